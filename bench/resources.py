"""What many resources cost one operator: memory, threads, connections and CPU while nothing happens, and a burst.

Each resource has a topic of its own; they share an index. Idle is the state with every dependency of every resource
checked at the default interval, over one whole interval. The burst is as many messages as there are resources, one in
each, against the same number in one of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench import place, usage
from bench.applying import seconds_to_ready
from bench.backlogs import moment
from bench.figures import Spread, table, times
from bench.place import Place
from bench.report import Result
from lab.openai import control as openai
from lab.operating import NAMESPACE, Operator, Resource, kubectl, until

COUNTS = (1, 10, 100)
WINDOW = 60.0
"""Seconds of idleness to look at: one default interval, in which every resource is checked once."""
SETTLING = 15.0
"""Seconds after the last resource has become ready until its connections of the first check are closed."""
SAMPLE = 1.0
EACH, ONE = "one message in each of", "all of them in one of"
NEWCOMERS = 3
SERVICES = ("kafka", "openai", "opensearch", "postgresql", "sts", "kubernetes")
CLIENTS = ("openai", "opensearch", "postgresql")


@dataclass(frozen=True)
class Idle:
    """The operator with so many resources, nothing to do but to check. Memory in MiB."""

    resources: int
    resident: float
    private: float
    threads: int
    cpu: float
    """Share of one core."""
    ready: float
    """Seconds from the `kubectl apply` of those that were new until all were ready."""
    connections: dict[str, float]
    """Service -> median number during the window; those of a check live for milliseconds."""


@dataclass(frozen=True)
class Burst:
    """As many messages as resources, all at once."""

    kind: str
    round: int
    messages: int
    seconds: float
    """From before the first is sent to the last row."""
    requests: int
    """That the embeddings API answered in this time, those of checks included."""
    cpu: float
    """Of the operator, milliseconds a message."""
    threads: int
    clients: int
    """Connections to OpenAI, OpenSearch and PostgreSQL together when the last row was there."""
    exact: bool
    """One row a message."""


@dataclass(frozen=True)
class Newcomer:
    """From `kubectl apply` to `Ready=True` of one more resource beside so many others, in seconds."""

    neighbours: int
    seconds: float


Run = Idle | Burst | Newcomer


def measure(operator: Operator, rounds: int, window: float, counts: Sequence[int] = COUNTS) -> Result:
    """The operator must not run yet; it does not run afterwards. ``window``: seconds of each look at idleness."""
    with place.fresh(topics=max(counts) + NEWCOMERS) as here:
        applied: list[Resource] = []
        operator.start()
        try:
            runs: list[Run] = [_idle(0, 0.0, window / 6)]
            runs += _newcomers(here, max(counts), 0)
            for count in counts:
                new = [here.resource(number) for number in range(len(applied), count)]
                applied += new
                runs.append(_idle(count, seconds_to_all_ready(new), window))
            for number in range(rounds):
                turns = [(EACH, applied), (ONE, applied[:1])]
                turns = turns if number % 2 == 0 else turns[::-1]
                runs += [_burst(kind, number, operator, some, len(applied)) for kind, some in turns]
            runs += _newcomers(here, max(counts), len(applied))
            place.delete(applied)
        finally:
            operator.stop()
    return Result("resources", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The tables."""
    idle = [run for run in runs if isinstance(run, Idle)]
    bursts = [run for run in runs if isinstance(run, Burst)]
    newcomers = [run for run in runs if isinstance(run, Newcomer)]
    return "\n\n".join([_idle_table(idle), each(idle), _burst_table(bursts), _newcomer_sentence(newcomers)])


def each(idle: Sequence[Idle]) -> str:
    """What one more resource costs: the difference between the two largest numbers of resources."""
    few, many = idle[-2:]
    more = many.resources - few.resources
    grown = {name: many.connections[name] - few.connections[name] for name in SERVICES}
    shared = [f"{name} {number:+.0f}" for name, number in grown.items() if name != "kafka"]
    return (
        f"From {few.resources} to {many.resources} resources, each one more costs "
        f"{1024 * (many.private - few.private) / more:.0f} KiB of private memory, {(many.cpu - few.cpu) / more:.2%} "
        f"of a core and {grown['kafka'] / more:.1f} connections to Kafka (its member of a consumer group). "
        f"All {more} together: threads {many.threads - few.threads:+d}, connections to {', '.join(shared)}."
    )


def _idle_table(idle: Sequence[Idle]) -> str:
    head = [
        "resources",
        "resident, MiB",
        "private, MiB",
        "threads",
        "CPU, % of a core",
        "new ones ready after, s",
        *SERVICES,
    ]
    rows = [
        (
            run.resources, f"{run.resident:.0f}", f"{run.private:.0f}", run.threads, f"{100 * run.cpu:.1f}",
            f"{run.ready:.1f}" if run.resources else "",
            *(f"{run.connections[name]:.0f}" for name in SERVICES),
        )
        for run in idle
    ]  # fmt: skip
    return table(head, rows)


def _burst_table(bursts: Sequence[Burst]) -> str:
    kinds = {kind: [run for run in bursts if run.kind == kind] for kind in (EACH, ONE)}
    seconds = {kind: Spread.of(run.seconds for run in found) for kind, found in kinds.items()}
    rows = [
        (
            f"{found[0].messages} messages: {kind} {found[0].messages} resources",
            seconds[kind].show(2),
            times(seconds[kind], seconds[ONE]),
            Spread.of(run.requests for run in found).show(),
            Spread.of(run.cpu for run in found).show(1),
            max(run.threads for run in found),
            max(run.clients for run in found),
        )
        for kind, found in kinds.items()
    ]
    head = ["", "seconds", "times", "embedding requests", "CPU a message, ms", "threads", "connections*"]
    exact = sum(run.exact for run in bursts)
    note = f"*to OpenAI, OpenSearch and PostgreSQL together. Rows were exact in {exact} of {len(bursts)} bursts."
    return f"{table(head, rows)}\n\n{note}"


def _newcomer_sentence(newcomers: Sequence[Newcomer]) -> str:
    numbers = sorted({run.neighbours for run in newcomers})
    alone, among = (Spread.of(run.seconds for run in newcomers if run.neighbours == n) for n in numbers)
    return (
        f"A new resource beside {numbers[-1]} others is `Ready` after {among.show(2)} s, alone after "
        f"{alone.show(2)} s: {times(among, alone)} times."
    )


def _idle(resources: int, ready: float, window: float) -> Idle:
    time.sleep(SETTLING)
    before, began = usage.named("operator"), time.monotonic()
    samples = [before]
    while (left := began + window - time.monotonic()) > 0:
        time.sleep(min(SAMPLE, left))
        samples.append(usage.named("operator"))
    after, took = samples[-1], time.monotonic() - began
    typical = {name: median(sample.connections.get(name, 0) for sample in samples) for name in SERVICES}
    return Idle(
        resources=resources,
        resident=after.resident,
        private=after.private,
        threads=max(sample.threads for sample in samples),
        cpu=(after.cpu - before.cpu) / took,
        ready=ready,
        connections=typical,
    )


def _burst(kind: str, number: int, operator: Operator, resources: Sequence[Resource], count: int) -> Burst:
    topics = [resource.topics[0] for resource in resources]
    expected = place.rows(topics) + count
    before, asked, began = usage.named("operator"), openai.counters().get("requests", 0), time.time()
    place.spread(place.messages(count, 500), topics)
    until(lambda: place.rows(topics) >= expected, limit=60, what=f"{expected} rows", every=0.1)
    requests, after = openai.counters().get("requests", 0) - asked, usage.named("operator")
    last = max(moment(event).timestamp() for event in operator.log(event="row inserted"))
    exact = place.rows(topics) == expected
    cpu = 1000 * (after.cpu - before.cpu) / count
    clients = sum(after.connections.get(name, 0) for name in CLIENTS)
    return Burst(kind, number, count, last - began, requests, cpu, after.threads, clients, exact)


def _newcomers(here: Place, first: int, neighbours: int) -> list[Newcomer]:
    found = []
    for number in range(first, first + NEWCOMERS):
        resource = here.resource(number)
        found.append(Newcomer(neighbours, seconds_to_ready(resource)))
        resource.delete()
    return found


def seconds_to_all_ready(resources: Sequence[Resource]) -> float:
    """From the `kubectl apply` of all of them until the last is ready."""
    began = time.monotonic()
    place.apply(resources)
    names = {resource.name for resource in resources}

    def all_ready() -> bool:
        items = json.loads(kubectl("-n", NAMESPACE, "get", "ctest", "-o", "json"))["items"]
        return names <= {item["metadata"]["name"] for item in items if _is_ready(item)}

    until(all_ready, limit=120, what=f"{len(names)} resources to be ready", every=0.25)
    return time.monotonic() - began


def _is_ready(item: dict[str, dict[str, list[dict[str, str]]]]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
