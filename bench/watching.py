"""Runs in the operator's place: the watches of many resources, without pipelines, and counts what they ask.

``python -m bench.watching RESOURCES TOPICS INDICES`` prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from connectivity_operator import logs
from connectivity_operator.adapters.kafka.prober import Connection, Prober
from connectivity_operator.app import Engine, engine
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.models import dimensions
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import DEPENDENCIES
from connectivity_operator.settings import Settings
from connectivity_operator.watch import ServiceWatch
from lab.iam import control as iam
from lab.openai import control as openai
from lab.opensearch import control as opensearch

INTERVAL = 15.0
"""Seconds. The default is four times as long; what is shared does not depend on it."""
WINDOW = 2
"""Intervals to count in, after one and a half to begin in."""
MODELS = ("text-embedding-3-small", "text-embedding-3-large")
ASKED = ("metadata", "find_coordinator", "bounds", "read")

kafka: Counter[str] = Counter()


def main() -> None:
    """Entry of the process."""
    resources, topics, indices = sys.argv[1:]
    logs.configure("ERROR", "json", stream=sys.stderr)
    _count(Prober, "connect", "kafka: connections")
    for name in ASKED:
        _count(Connection, name, "kafka: requests")
    print(json.dumps(asyncio.run(_run(int(resources), topics.split(","), indices.split(",")))))


def _count(kind: type, name: str, what: str) -> None:
    ask: Callable[..., Any] = getattr(kind, name)

    @functools.wraps(ask)
    async def counted(*arguments: Any, **options: Any) -> Any:
        kafka[what] += 1
        return await ask(*arguments, **options)

    setattr(kind, name, counted)


async def _run(resources: int, topics: Sequence[str], indices: Sequence[str]) -> dict[str, Any]:
    async with engine(Settings.load(os.environ)) as shared:
        for number, index in enumerate(indices):
            await shared.index.create(index, dimensions(_model(number), None) or 0)
        watches = [watch for number in range(resources) for watch in _watches(shared, number, topics, indices)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_begin(watch)) for watch in watches]
            await asyncio.sleep(1.5 * INTERVAL)
            before, cpu, began = await _calls(), time.process_time(), time.monotonic()
            await asyncio.sleep(WINDOW * INTERVAL)
            after, intervals = await _calls(), (time.monotonic() - began) / INTERVAL
            cpu = time.process_time() - cpu
            for task in tasks:
                task.cancel()
    unwell = {str(w.standing.shown.failure) for w in watches if w.standing.shown and w.standing.shown.failure}
    never = sum(w.standing.shown is None for w in watches)
    if unwell or never:
        raise SystemExit(f"{never} watches never looked; failures: {unwell}")
    return {"intervals": intervals, "calls": {name: after[name] - before[name] for name in after}, "cpu": cpu}


def _model(index: int) -> str:
    """Each index holds the vectors of one model."""
    return MODELS[0] if index < 2 else MODELS[1]


def _watches(shared: Engine, number: int, topics: Sequence[str], indices: Sequence[str]) -> list[ServiceWatch]:
    """As `duty.Duty` makes them, without a consumer group."""
    index = number % len(indices)
    target = Target(topics=frozenset({topics[number % len(topics)]}), index=indices[index], model=_model(index))
    return [
        ServiceWatch(
            service,
            target,
            diagnosis=shared.diagnosis,
            kind_of=catalogue.kind_of,
            interval=INTERVAL,
            timeout=10.0,
            changed=lambda: None,
            ref=ObjectRef("bench", f"resource-{number}", str(number)),
        )
        for service in DEPENDENCIES
    ]


async def _begin(watch: ServiceWatch) -> None:
    """Resources come at any time: their intervals do not keep step."""
    await asyncio.sleep(random.uniform(0.0, INTERVAL))
    await watch.run()


async def _calls() -> dict[str, int]:
    """Everything asked so far."""
    verified, asked, answered = await asyncio.gather(
        asyncio.to_thread(iam.counters), asyncio.to_thread(openai.counters), asyncio.to_thread(opensearch.answered)
    )
    return {
        "kafka: connections": kafka["kafka: connections"],
        "kafka: requests": kafka["kafka: requests"],
        "openai: requests": asked.get("requests", 0),
        "opensearch: requests": sum(count for by_status in answered.values() for count in by_status.values()),
        "postgresql: logins": verified.get("rds", 0),
        "sts: requests": verified.get("GetCallerIdentity", 0),
    }


if __name__ == "__main__":
    main()
