"""No false alarms: harmless disturbances of a healthy environment, and nobody is told that anything is wrong.

Five minutes, in which every disturbance comes at least once; ``SOAK_SECONDS`` makes it longer, and ``SOAK_REPORT``
names a file for the summary.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab import processes
from lab.iam import control as iam
from lab.kafka import admin as kafka
from lab.openai import control as openai
from lab.opensearch import admin as collection
from lab.opensearch import control as opensearch
from lab.operating import Background, Operator, Resource, account, ends, send, texts, until
from tests.soak import disturbances, summary
from tests.soak.watching import Watch, flips

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
REPORT = os.environ.get("SOAK_REPORT")
COMMAND = f"SOAK_SECONDS={SECONDS:.0f} python -m pytest tests/soak"

PAUSES = (8.0, 25.0)
"""Seconds between two disturbances."""
INTERVALS = {10: 8, 60: 10}
"""Interval -> time-out of the resources, in seconds: one that is checked often, one by default."""


class Trickle(Background):
    """One message a second into each topic in turn."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__()
        self._topics = topics

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(1.0):
            try:
                send(self._topics[number % len(self._topics)], texts(f"soak {number}", 1))
            except Exception:  # a broker is being restarted; whether the message is there, the end offset tells
                continue
            number += 1


@pytest.fixture
def healthy(lab: None) -> Iterator[list[Resource]]:
    """Two resources that are verified end to end, looked after by an operator with short-lived credentials."""
    operator = Operator()
    operator.stop()
    made = [_resource(interval, timeout) for interval, timeout in INTERVALS.items()]
    with ExitStack() as stack:
        stack.enter_context(disturbances.short_lives())
        stack.callback(_clean, made)
        stack.callback(operator.stop)
        operator.start()
        for resource in made:
            resource.apply().until_reading()
            send(resource.topics[0], texts("first", 1))
        for resource in made:
            resource.until("Ready", "EndToEndVerified")
        yield made
        if not operator.running:
            operator.start()
        for resource in made:
            resource.delete()


def _resource(interval: int, timeout: int) -> Resource:
    mark = secrets.token_hex(3)
    topic = f"connectivity-test-soak-{mark}"
    asyncio.run(kafka.create_topic(topic, 4))
    return Resource(f"soak-{interval}s", [topic], topic, spec={"intervalSeconds": interval, "timeoutSeconds": timeout})


def _clean(made: Sequence[Resource]) -> None:
    openai.clear()
    opensearch.clear()
    for resource in made:
        asyncio.run(kafka.delete_topic(resource.topics[0]))
        collection.delete_index(resource.index)


@pytest.mark.timeout(SECONDS + 300)
def test_harmless_disturbances_flip_nothing(healthy: list[Resource]) -> None:
    """No condition of any resource changes its status, no Event is posted, nothing is lost, nothing crashes."""
    operator, done = Operator(), Counter[str]()
    began, start = datetime.now(UTC), time.monotonic()
    asked, before, errors = iam.counters(), _use(), len(_errors(operator))
    histories = {resource.name: resource.status["history"] for resource in healthy}
    watching = Watch([resource.name for resource in healthy])
    with watching as watch, Trickle([resource.topics[0] for resource in healthy]):
        until(lambda: watch.seen.versions >= len(healthy), limit=30, what="the watch")
        for pause, name in _plan(SECONDS):
            time.sleep(pause)
            if time.monotonic() - start > SECONDS and len(done) == len(disturbances.ALL):
                break
            disturbances.ALL[name]()
            done[name] += 1
        time.sleep(max(0.0, SECONDS - (time.monotonic() - start)))
    took = time.monotonic() - start
    now = iam.counters()
    found = summary.Soak(
        began=began,
        seconds=took,
        disturbances=done,
        renewals=now["AssumeRoleWithWebIdentity"] - asked["AssumeRoleWithWebIdentity"],
        logins=now["msk"] - asked["msk"],
        versions=watch.seen.versions,
        warnings=watch.seen.warnings,
        changes=watch.seen.changes,
        history=[str(e) for r in healthy for e in r.status["history"] if e not in histories[r.name]],
        errors=_errors(operator)[errors:],
        traffic=[_accounted(resource) for resource in healthy],
        before=before,
        after=_use(),
    )
    text = summary.page(found, COMMAND)
    print(text)
    if REPORT:
        Path(REPORT).write_text(text)
    assert set(done) == set(disturbances.ALL)
    assert found.renewals > 0
    assert [str(change) for change in flips(found.changes)] == []
    assert found.history == []
    assert found.errors == []
    assert all(one.rows - one.repeated <= one.sent for one in found.traffic)


def _plan(seconds: float) -> Iterator[tuple[float, str]]:
    """(pause, disturbance): each one once within three quarters of the time, then by chance, for ever."""
    chance, names = random.Random(0), list(disturbances.ALL)
    pause = min(PAUSES[1], 0.75 * seconds / len(names))
    yield from ((pause, name) for name in names)
    while True:
        yield chance.uniform(*PAUSES), chance.choice(names)


def _accounted(resource: Resource) -> summary.Traffic:
    """Wait until every message that is in the topic has its row and its document, and count them."""
    topic = resource.topics[0]
    sent = sum(ends(topic).values())

    def complete() -> bool:
        found = account(topic, resource.index)
        return len(found.rows) == len(found.documents) == sent

    until(complete, limit=120, what=f"{sent} rows and documents of {resource.name}", every=1.0)
    found = account(topic, resource.index)
    rows, documents = found.rows.total(), found.documents.total()
    return summary.Traffic(resource.name, resource.spec["intervalSeconds"], sent, rows, documents, found.repeated)


def _errors(operator: Operator) -> list[str]:
    return [str(e) for level in ("error", "critical") for e in operator.log(level=level)]


def _use() -> summary.Use:
    record = processes.find("operator")
    assert record is not None
    fields = dict(line.split(":", 1) for line in (Path("/proc") / str(record.pid) / "status").read_text().splitlines())
    return summary.Use(int(fields["VmRSS"].split()[0]) / 1024, int(fields["Threads"]))
