"""Whether `check` climbs side by side: all four ladders together against the slowest of them alone.

Both are the same command in the same healthy environment; `--only` leaves the other three out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import place
from bench.figures import Spread, table, times
from bench.place import Place
from bench.report import Result
from lab import operator_env, paths
from lab.opensearch import admin as opensearch
from lab.operating import Operator, send, texts, until
from lab.part import PartError

ALL = "everything"
ALONE = ("kafka", "openai", "opensearch", "postgresql")


@dataclass(frozen=True)
class Run:
    """One `check`. Seconds."""

    contender: str
    round: int
    whole: float
    """From the start of the program to its end."""
    climbing: float
    """What the report says: without the start of Python and the imports."""


def measure(operator: Operator, rounds: int) -> Result:
    """The operator must not run; it runs only to make the index and the table, which a healthy environment has."""
    with place.fresh(partitions=4) as here:
        _make(operator, here)
        _round(here, -1)  # files in the page cache, connections' classes in the servers
        runs = [run for number in range(rounds) for run in _round(here, number)]
    return Result("check", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table; the ratio is to the slowest ladder alone."""
    climbing = {name: Spread.of(r.climbing for r in runs if r.contender == name) for name in (ALL, *ALONE)}
    whole = {name: Spread.of(r.whole for r in runs if r.contender == name) for name in (ALL, *ALONE)}
    slowest = max(ALONE, key=lambda name: climbing[name].median)
    rows = [
        (
            "`check`" if name == ALL else f"`check --only {name}`",
            climbing[name].show(2),
            times(climbing[name], climbing[slowest]),
            whole[name].show(2),
            times(whole[name], whole[slowest]),
        )
        for name in (ALL, *ALONE)
    ]
    head = ["", "climbing, s", f"of {slowest} alone", "with the program's start, s", f"of {slowest} alone"]
    return table(head, rows)


def _make(operator: Operator, here: Place) -> None:
    operator.start()
    resource = here.resource()
    try:
        resource.apply().until_reading()
        send(here.topic, texts("check", 1))
        until(lambda: place.rows([here.topic]) and opensearch.exists(here.index), limit=60, what="a row and a document")
    finally:
        resource.delete()
        operator.stop()


def _round(here: Place, number: int) -> list[Run]:
    turns = [ALL, *ALONE] if number % 2 == 0 else [*reversed(ALONE), ALL]
    return [_check(name, number, here) for name in turns]


def _check(contender: str, number: int, here: Place) -> Run:
    argv = [sys.executable, "-m", "connectivity_operator", "check", "-o", "json", "--topic", here.topic]
    argv += ["--index", here.index, *(() if contender == ALL else ("--only", contender))]
    wrapped, environment = operator_env.command(argv)
    began = time.perf_counter()
    found = subprocess.run(wrapped, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if found.returncode:
        raise PartError(f"check failed:\n{found.stdout}{found.stderr}")
    return Run(contender, number, took, float(json.loads(found.stdout)["seconds"]))
