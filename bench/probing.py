"""What checking costs the dependencies: a thousand resources against ten, on the same topics, indices and models.

The diagnosis of the operator, its probes and its watches run in a process of their own in the operator's place
(`bench.watching`), without pipelines: membership in consumer groups is each resource's own. What is counted are real
requests: at the lab's IAM, OpenAI and OpenSearch, and to Kafka's brokers by their connections.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench import place
from bench.figures import Spread, table, times
from bench.place import Place
from bench.report import Result
from lab import operator_env, paths
from lab.opensearch import admin as opensearch
from lab.part import PartError

FEW, MANY = 10, 1000
TOPICS, INDICES = 10, 3
CALLS = {
    "kafka: connections": "to brokers, with login",
    "kafka: requests": "Metadata, ListOffsets, Fetch, FindCoordinator",
    "openai: requests": "of which one a model is paid for",
    "opensearch: requests": "",
    "postgresql: logins": "each with one insert, rolled back",
    "sts: requests": "GetCallerIdentity",
}
"""What is counted, and what it is."""


@dataclass(frozen=True)
class Run:
    """Calls within one window of some intervals."""

    resources: int
    round: int
    intervals: float
    calls: dict[str, int]
    cpu: float
    """Seconds of the process's CPU."""


def measure(rounds: int) -> Result:
    """The operator must not run."""
    with place.fresh(topics=TOPICS) as here:
        indices = [f"{here.index}-{number}" for number in range(INDICES)]
        try:
            runs = []
            for number in range(rounds):
                turns = (FEW, MANY) if number % 2 == 0 else (MANY, FEW)
                runs += [_watch(resources, number, here, indices) for resources in turns]
        finally:
            for index in indices:
                opensearch.delete_index(index)
    return Result("probes", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table."""
    few, many = ([run for run in runs if run.resources == count] for count in (FEW, MANY))
    rows = [_row(name, f"{name} ({note})" if note else name, few, many) for name, note in CALLS.items()]
    totals = [Spread.of(sum(run.calls.values()) / run.intervals for run in found) for found in (few, many)]
    rows.append(("all", totals[0].show(1), totals[1].show(1), times(totals[1], totals[0])))
    cpu = [Spread.of(run.cpu / run.intervals for run in found) for found in (few, many)]
    rows.append(("CPU of the process, s", cpu[0].show(2), cpu[1].show(2), times(cpu[1], cpu[0])))
    return table(["in one interval", f"{FEW} resources", f"{MANY:,} resources", "times"], rows)


def _row(name: str, title: str, few: Sequence[Run], many: Sequence[Run]) -> tuple[str, str, str, str]:
    spreads = [Spread.of(run.calls[name] / run.intervals for run in found) for found in (few, many)]
    ratio = times(spreads[1], spreads[0]) if spreads[0].median else ""
    return title, spreads[0].show(1), spreads[1].show(1), ratio


def _watch(resources: int, number: int, here: Place, indices: Sequence[str]) -> Run:
    argv = [sys.executable, "-m", "bench.watching", str(resources), ",".join(here.topics), ",".join(indices)]
    wrapped, environment = operator_env.command(argv)
    found = subprocess.run(wrapped, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise PartError(f"the watches failed:\n{found.stdout}{found.stderr}")
    answer = json.loads(found.stdout.splitlines()[-1])
    return Run(resources, number, answer["intervals"], dict(Counter(answer["calls"])), answer["cpu"])
