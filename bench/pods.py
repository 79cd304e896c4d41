"""What the operator needs as a Pod: memory and CPU of its container, against the chart's requests.

It is installed as in the demo, but with a policy that does not slow it down: at rest, with resources that have nothing
to do but to check, and while it works through a backlog in all of them at once, which is the most that it can hold.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from bench import place
from bench.figures import table
from bench.report import Result
from bench.resources import seconds_to_all_ready
from lab import installation, paths, runner
from lab.node import cgroups
from lab.node.cgroups import Usage
from lab.operating import until

RESOURCES = 100
WINDOW = 60.0
"""Seconds of each look: one default interval, in which every resource is checked once."""
SETTLING = 15.0
MESSAGES, SIZE = 20_000, 2_000
"""Of the backlog, all resources together; bytes of one."""

UNLIMITED = {"namespaces": ["*"], "topics": ["*"], "indices": ["*"], "models": ["*"]}
MEBI = 1024 * 1024


@dataclass(frozen=True)
class Run:
    """The container in one state. Memory in MiB."""

    state: str
    working_set: float
    """The largest seen: what evicts a Pod, and what `kubectl top` shows."""
    peak: float
    """The most that the kernel has counted against the limit since the container began."""
    cpu: float
    """Share of one core."""


def measure() -> Result:
    """Everything in one container, so the peaks can only grow."""
    image = installation.prepare()
    installation.install(image, f"--set-json=policy.rules={json.dumps([UNLIMITED])}")
    try:
        with place.fresh(topics=RESOURCES) as here:
            resources = [here.resource(number) for number in range(RESOURCES)]
            runs = [_watched("no resource", WINDOW / 2)]
            seconds_to_all_ready(resources)
            runs.append(_watched(f"{RESOURCES} resources, no message", WINDOW))
            place.spread(place.messages(MESSAGES, SIZE), here.topics)
            backlog = f"{RESOURCES} resources, a backlog of {MESSAGES:,} messages of {SIZE:,} bytes"
            runs.append(_watched(backlog, WINDOW / 2, settling=0))
            until(lambda: place.rows(here.topics) >= MESSAGES, limit=300, what="the end of the backlog")
            runs.append(_watched("the same, afterwards", WINDOW / 2))
            place.delete(resources)
    finally:
        installation.remove()
        runner.stop("node")
    return Result("pod", runs, show(runs))


def show(runs: Sequence[Run]) -> str:
    """The table, and what the chart asks for."""
    head = ["", "working set, MiB", "peak so far, MiB", "CPU, % of a core"]
    rows = [(run.state, f"{run.working_set:.0f}", f"{run.peak:.0f}", f"{100 * run.cpu:.0f}") for run in runs]
    asked, most = (_wanted()[kind] for kind in ("requests", "limits"))
    return (
        f"{table(head, rows)}\n\nThe chart requests {asked['memory']} of memory and {asked['cpu']} of CPU; "
        f"the limits are {most['memory']} and {most['cpu']}."
    )


def _wanted() -> dict[str, Any]:
    values = yaml.safe_load((paths.ROOT / installation.CHART / "values.yaml").read_text())
    resources: dict[str, Any] = values["ho-microservice"]["resources"]
    return resources


def _watched(state: str, window: float, settling: float = SETTLING) -> Run:
    time.sleep(settling)
    began, first = time.monotonic(), _usage()
    samples = [first]
    while time.monotonic() < began + window:
        time.sleep(1)
        samples.append(_usage())
    return Run(
        state,
        max(sample.working_set for sample in samples) / MEBI,
        samples[-1].peak / MEBI,
        (samples[-1].cpu - first.cpu) / (time.monotonic() - began),
    )


def _usage() -> Usage:
    [pod] = installation.pods()
    [container] = pod["status"]["containerStatuses"]
    return cgroups.usage(container["containerID"].removeprefix("containerd://"))
