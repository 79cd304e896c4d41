"""How fast a backlog goes through the whole pipeline, against the obvious loop (`bench.naive`).

Both find a topic full of messages. The clock runs from the first message that arrives to the last row (the operator,
by its log) or the last commit (the loop). Rows, documents and committed offsets are counted after each run: one that
lost or repeated a message is void.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from bench import place, usage
from bench.figures import Spread, table, times
from bench.place import Place
from bench.report import Result
from connectivity_operator.adapters.opensearch.documents import index_body
from lab import commands, operator_env, paths
from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.operating import Operator, account, ends, until
from lab.part import PartError

OPERATOR, LOOP = "the operator", "the obvious loop"
PARTITIONS = 4
DIMENSIONS = 1536
LIMIT = 120.0
"""Seconds for a run."""


@dataclass(frozen=True)
class Load:
    """How many messages each contender gets, and their size in bytes."""

    operator: int = 2000
    loop: int = 150
    size: int = 500


@dataclass(frozen=True)
class Run:
    """One contender's backlog."""

    contender: str
    round: int
    messages: int
    rate: float
    """Messages a second."""
    cpu: float
    """The contender's own CPU time a message, in milliseconds."""
    peak: float
    """Largest resident memory of its process, in MiB."""
    exact: bool
    """One row, one document and one committed offset a message."""
    servers: dict[str, float]
    """CPU time of each part of the lab a message, in milliseconds."""


def measure(operator: Operator, rounds: int, load: Load) -> Result:
    """The operator must not run yet; it does not run afterwards. Each run has a process of its own."""
    _operator(operator, -1, load.operator // 4, load.size)  # makes the table; the servers' first time is not counted
    _loop(-1, load.loop // 4, load.size)
    runs = []
    for number in range(rounds):
        turns = [
            lambda n=number: _operator(operator, n, load.operator, load.size),
            lambda n=number: _loop(n, load.loop, load.size),
        ]
        runs += [turn() for turn in (turns if number % 2 == 0 else reversed(turns))]
    return Result("backlog", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table of the runs that count, and how many do not. Raises `ValueError` if none of a contender counts."""
    kept = {name: [run for run in runs if run.contender == name and run.exact] for name in (OPERATOR, LOOP)}
    rates = {name: Spread.of(run.rate for run in found) for name, found in kept.items()}
    rows = [
        (
            f"{name}, {found[0].messages:,} messages",
            rates[name].show(),
            times(rates[name], rates[LOOP]),
            Spread.of(run.cpu for run in found).show(2),
            Spread.of(sum(run.servers.values()) for run in found).show(2),
            Spread.of(run.peak for run in found).show(),
        )
        for name, found in kept.items()
    ]
    head = ["", "messages a second", "times the loop", "its CPU, ms a message", "servers' CPU", "its peak memory, MiB"]
    return f"{table(head, rows)}\n\n{_servers(kept[OPERATOR])} {_counted(runs)}"


def _servers(runs: Sequence[Run]) -> str:
    parts = {part: Spread.of(run.servers[part] for run in runs) for part in runs[0].servers}
    largest = sorted(parts, key=lambda part: -parts[part].median)[:3]
    return f"The servers' share beside the operator: {', '.join(f'{p} {parts[p].show(2)} ms' for p in largest)}."


def _counted(runs: Sequence[Run]) -> str:
    void = sum(not run.exact for run in runs)
    text = f"Rows, documents and offsets were exact in {len(runs) - void} of {len(runs)} runs"
    return f"{text}; the other {void} are void." if void else f"{text}."


def _operator(operator: Operator, number: int, count: int, size: int) -> Run:
    with _full_place(count, size) as here:
        operator.start()
        resource = here.resource(startFrom="Earliest")
        try:
            before, others = usage.named("operator"), usage.servers()
            resource.apply()
            until(lambda: place.rows(here.topics) >= count, limit=LIMIT, what=f"{count} rows", every=0.25)
            after, servers = usage.named("operator"), _each(others, usage.servers(), count)
            group = resource.group
            exact = _settled(here, group, count)
            seconds = _between_first_and_last(operator, here.topic)
            resource.delete()
        finally:
            operator.stop()
    cpu = 1000 * (after.cpu - before.cpu) / count
    return Run(OPERATOR, number, count, count / seconds, cpu, after.peak, exact, servers)


def _loop(number: int, count: int, size: int) -> Run:
    with _full_place(count, size) as here:
        group = f"connectivity-test.bench.{here.mark}"
        argv = [sys.executable, "-m", "bench.naive", here.topic, here.index, group, str(count)]
        wrapped, environment = operator_env.command(argv)
        others = usage.servers()
        spent = json.loads(commands.run(wrapped, env=environment, cwd=paths.ROOT, limit=LIMIT))
        servers = _each(others, usage.servers(), count)
        exact = _settled(here, group, count)
    rate, cpu = count / spent["seconds"], 1000 * spent["cpu"] / count
    return Run(LOOP, number, count, rate, cpu, spent["peak"], exact, servers)


@contextmanager
def _full_place(count: int, size: int) -> Iterator[Place]:
    with place.fresh(partitions=PARTITIONS) as here:
        opensearch.create_index(here.index, index_body(DIMENSIONS))
        place.spread(place.messages(count, size), here.topics)
        yield here


def _settled(here: Place, group: str, count: int) -> bool:
    """Whether every message has exactly one row and one document and is committed, or will be in a moment."""
    try:
        until(lambda: _committed(group) == ends(here.topic), limit=15, what="the last commit")
    except PartError:
        return False
    found = account(here.topic, here.index)
    return len(found.rows) == len(found.documents) == count and found.repeated == 0


def _each(before: Mapping[str, float], after: Mapping[str, float], count: int) -> dict[str, float]:
    """CPU seconds by part -> milliseconds a message."""
    return {part: 1000 * (after[part] - before[part]) / count for part in after}


def _committed(group: str) -> dict[int, int]:
    found = asyncio.run(kafka.committed_offsets(group))
    return {partition.partition: offset for partition, offset in found.items()}


def _between_first_and_last(operator: Operator, topic: str) -> float:
    """Seconds from the first message that was consumed to the last row that was inserted, by the log."""
    consumed = operator.log(topic=topic, event="message consumed")
    inserted = operator.log(topic=topic, event="row inserted")
    return (max(map(moment, inserted)) - min(map(moment, consumed))).total_seconds()


def moment(event: Mapping[str, str]) -> datetime:
    """When an event of the operator's log happened."""
    return datetime.fromisoformat(event["timestamp"])
