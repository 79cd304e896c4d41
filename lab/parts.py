"""The parts of the lab by name. Loaded when asked for: they import client libraries, which takes a second."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from lab.part import Part, PartError

CLASSES = {
    "dns": "lab.dns:Dns",
    "kubernetes": "lab.kubernetes.part:Kubernetes",
    "iam": "lab.iam.part:Iam",
    "openai": "lab.openai.part:OpenAI",
    "postgresql": "lab.postgresql.part:PostgreSQL",
    "kafka": "lab.kafka.part:Kafka",
    "opensearch": "lab.opensearch.part:OpenSearch",
    "node": "lab.node.part:Node",
}

NAMES = tuple(CLASSES)

ON_REQUEST = frozenset({"node"})
"""Brought up only if named: what needs Pods says so."""

BY_DEFAULT = tuple(name for name in NAMES if name not in ON_REQUEST)


def load(name: str) -> Part:
    """The part of that name."""
    if name not in CLASSES:
        raise PartError(f"there is no part {name}; the parts are {', '.join(NAMES)}")
    module, _, kind = CLASSES[name].partition(":")
    part: Part = getattr(importlib.import_module(module), kind)()
    return part


def with_needs(names: Iterable[str]) -> list[Part]:
    """The named parts and what they need, directly or through others, in the order of `NAMES`."""
    found: dict[str, Part] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = load(name)
            waiting += found[name].needs
    return [found[name] for name in NAMES if name in found]


def owner(process: str) -> str | None:
    """The part that a process belongs to, by its name; None for `operator` and other guests of the lab."""
    return next((name for name in NAMES if process == name or process.startswith(f"{name}-")), None)
