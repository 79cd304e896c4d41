"""How long `python -m lab up` takes, warm: what is expensive to make is in the cache."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import Spread, table, times
from bench.report import Result
from lab import commands, paths

NEW, AGAIN, RUNNING = "`up` on a machine without state", "`up` after `down`", "`up` while everything runs"
LIMIT = 180.0


@dataclass(frozen=True)
class Run:
    """One `lab up`, in seconds."""

    contender: str
    round: int
    seconds: float


def measure(rounds: int) -> Result:
    """There must be no lab in this network yet; there is none afterwards."""
    runs = [run for number in range(rounds) for run in _round(number)]
    return Result("lab", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table."""
    spreads = {name: Spread.of(r.seconds for r in runs if r.contender == name) for name in (NEW, AGAIN, RUNNING)}
    rows = [(name, spread.show(1), times(spread, spreads[NEW])) for name, spread in spreads.items()]
    return table(["", "seconds", "of the first"], rows)


def _round(number: int) -> list[Run]:
    waits = {NEW: _lab("up")}
    _lab("down")
    waits |= {AGAIN: _lab("up"), RUNNING: _lab("up")}
    _lab("down", "--purge")
    return [Run(contender, number, seconds) for contender, seconds in waits.items()]


def _lab(*arguments: str) -> float:
    began = time.perf_counter()
    commands.run([sys.executable, "-m", "lab", *arguments], cwd=paths.ROOT, limit=LIMIT)
    return time.perf_counter() - began
