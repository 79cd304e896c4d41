"""How a service describes its ladder for one target: stages of sections.

A section is a part of a ladder that can be shared between resources (the connection, one topic, one model):
its ``key`` names what is probed. Sections of one stage run side by side; a stage runs only when the one
before it passed, otherwise its rungs are skipped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.reasons import Rung, Service


@dataclass(frozen=True, slots=True)
class Target:
    """What one asker wants to know about: a resource, or the options of ``check``.

    None (or no topics) means: not asked, the ladder ends where it would be needed.
    """

    topics: frozenset[str] = frozenset()
    index: str | None = None
    model: str | None = None
    dimensions: int | None = None
    """Length of the vectors; None: the model's own (`models.dimensions`), unknown for unknown models."""
    group: str | None = None
    """The consumer group whose coordinator is looked up (DescribeGroup)."""
    join: bool = False
    """Prove AlterGroup by joining and leaving ``group``; only `check` does, a resource's own consumer proves it."""
    create: bool = False
    """Create an absent index; otherwise it is the warning `IndexAbsent`."""


@dataclass(frozen=True, slots=True)
class Section:
    """A shareable part of a ladder."""

    key: tuple[str, ...]
    """What is probed: ``("kafka", "connection")``, ``("kafka", "topic", "orders")`` …"""
    rungs: tuple[Rung, ...]
    """The rungs it climbs, listed as skipped when it is not reached."""
    climb: Callable[[], Awaitable[Climb]]
    """Runs it afresh; never raises but on cancellation."""


class ServiceLadder(Protocol):
    """One service's way up."""

    service: Service

    def stages(self, target: Target) -> Sequence[Sequence[Section]]: ...
