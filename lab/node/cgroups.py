"""The cgroups of the node's containers: what they use, and their removal after a power cut."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.node import layout
from lab.part import PartError

CGROUPS = Path("/sys/fs/cgroup")
NAMESPACE = "k8s.io"
"""containerd's namespace for Kubernetes, and the cgroup in which it puts the containers."""


@dataclass(frozen=True)
class Usage:
    """What a container uses. Memory in bytes."""

    working_set: int
    """Without pages of files that were not used lately, as the kubelet counts."""
    peak: int
    """The most that was counted against its limit."""
    cpu: float
    """Seconds so far."""


def usage(container: str) -> Usage:
    """Look at a running container, by its id."""
    memory, cpu = (CGROUPS / name / NAMESPACE / container for name in ("memory", "cpuacct"))
    if memory.is_dir():  # version 1
        current, peak, inactive = "memory.usage_in_bytes", "memory.max_usage_in_bytes", "total_inactive_file"
        seconds = int((cpu / "cpuacct.usage").read_text()) / 1e9
    else:
        memory = cpu = CGROUPS / NAMESPACE / container
        if not memory.is_dir():
            raise PartError(f"there is no container {container}")
        current, peak, inactive = "memory.current", "memory.peak", "inactive_file"
        seconds = _entries(cpu / "cpu.stat")["usage_usec"] / 1e6
    used, droppable = int((memory / current).read_text()), _entries(memory / "memory.stat")[inactive]
    return Usage(max(0, used - droppable), int((memory / peak).read_text()), seconds)


def _entries(file: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in file.read_text().splitlines())}


def clear() -> None:
    """Remove those of containers of this node; nothing may run on it. Other containerds' are left alone."""
    containers = [task.name for task in tasks()]
    for parent in [*CGROUPS.glob(f"*/{NAMESPACE}"), CGROUPS / NAMESPACE]:  # version 1, with controllers; version 2
        for container in containers:
            _remove(parent / container)
        with suppress(OSError):  # not ours alone, or not there
            parent.rmdir()


def tasks() -> list[Path]:
    """containerd's folder of each container that runs, or ran when the power was cut; its name is the container's."""
    known = layout.CONTAINERD_STATE / "io.containerd.runtime.v2.task" / NAMESPACE
    return sorted(known.iterdir()) if known.is_dir() else []


def _remove(cgroup: Path) -> None:
    """A cgroup goes from the leaves up; its files go with it."""
    if cgroup.is_dir():
        for child in cgroup.iterdir():
            if child.is_dir():
                _remove(child)
        with suppress(OSError):  # somebody is in it after all
            cgroup.rmdir()
