"""How long the first `lab up` of a machine spends on building: every part prepared side by side in an empty cache.

What Go, Maven and pip keep for themselves stays warm unless the caller says otherwise (GOCACHE, MAVEN_ARGS …).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.figures import table
from bench.report import Result
from lab import certificates, parts

WORTH_TELLING = 0.1


@dataclass(frozen=True)
class Run:
    """One part's preparation, beside the others', in seconds."""

    part: str
    seconds: float


def measure() -> Result:
    """Cache and state of the lab must be empty."""
    certificates.ensure()
    with ThreadPoolExecutor(len(parts.NAMES)) as pool:
        runs = list(pool.map(_prepare, parts.NAMES))
    return Result("prepare", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table, longest first, and what waits for the longest."""
    longest = sorted((run for run in runs if run.seconds >= WORTH_TELLING), key=lambda run: -run.seconds)
    return table(["part", "seconds, all side by side"], [(run.part, f"{run.seconds:.1f}") for run in longest])


def _prepare(name: str) -> Run:
    began = time.perf_counter()
    parts.load(name).prepare()
    return Run(name, time.perf_counter() - began)
