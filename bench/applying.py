"""How long a person waits: from `kubectl apply` to `Ready=True`, of a resource with a topic and an index of its own.

Contenders of each round: the operator; `connectivity-operator check`, the other way to the same answer; and the
floor, the same two commands of kubectl for a resource that is ready already.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import place
from bench.figures import Spread, table, times
from bench.report import Result
from lab import operator_env, paths
from lab.operating import Operator, Resource, kubectl
from lab.part import PartError

OPERATOR, FLOOR, CHECK = "`kubectl apply` to `Ready=True`", "the same two commands, ready before", "`check`, once"
LIMIT = "60s"


@dataclass(frozen=True)
class Run:
    """One measured wait, in seconds."""

    contender: str
    round: int
    seconds: float


def measure(operator: Operator, rounds: int) -> Result:
    """The operator must not run yet; it does not run afterwards."""
    operator.start()
    try:
        _round(-1)  # connections to everything, class loading in the servers
        runs = [run for number in range(rounds) for run in _round(number)]
    finally:
        operator.stop()
    return Result("apply", runs, show(runs))


def seconds_to_ready(resource: Resource) -> float:
    """From the start of `kubectl apply` to the end of `kubectl wait`, two programs that start included."""
    began = time.perf_counter()
    resource.apply()
    kubectl("-n", resource.namespace, "wait", "--for=condition=Ready", f"ctest/{resource.name}", f"--timeout={LIMIT}")
    return time.perf_counter() - began


def show(runs: Sequence[Run]) -> str:
    """The table."""
    spreads = {name: Spread.of(r.seconds for r in runs if r.contender == name) for name in (OPERATOR, FLOOR, CHECK)}
    rows = [(name, spread.show(2), times(spread, spreads[CHECK])) for name, spread in spreads.items()]
    return table(["", "seconds", "of `check`"], rows)


def _round(number: int) -> list[Run]:
    with place.fresh() as here:
        resource = here.resource()
        try:
            waits = {
                OPERATOR: seconds_to_ready(resource),
                FLOOR: seconds_to_ready(resource),
                CHECK: _seconds_of_check(here.topic, here.index),
            }
        finally:
            resource.delete()
    return [Run(contender, number, seconds) for contender, seconds in waits.items()]


def _seconds_of_check(topic: str, index: str) -> float:
    argv = [sys.executable, "-m", "connectivity_operator", "check", "--topic", topic, "--index", index]
    wrapped, environment = operator_env.command(argv)
    began = time.perf_counter()
    found = subprocess.run(wrapped, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise PartError(f"check failed:\n{found.stdout}{found.stderr}")
    return time.perf_counter() - began
