"""The cgroups of the node's containers, which outlive a node whose power was cut: the kernel keeps empty ones."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from lab.node import layout

CGROUPS = Path("/sys/fs/cgroup")
NAMESPACE = "k8s.io"
"""containerd's namespace for Kubernetes, and the cgroup in which it puts the containers."""


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
