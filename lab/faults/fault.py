"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def nothing() -> None:
    """For faults that only change the operator's environment."""


@dataclass(frozen=True)
class Fault:
    """A named switch that makes the lab's world really wrong, and right again.

    ``on`` and ``off`` may be called twice in a row, in any order with those of other faults, and from another
    process than the one that called before: what they need to know they keep in the lab's state or in the server
    that they change. ``off`` must also work when the server it changed was restarted meanwhile.
    """

    name: str
    """``<dependency>-<what is wrong>``, such as ``kafka-readdata-denied``."""
    summary: str
    """How it is provoked, in a few words for `lab fault list` and the report."""
    on: Callable[[], None] = nothing
    off: Callable[[], None] = nothing
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Variables of the operator's environment that are different while it is on (None: absent). They reach what is
    started after the switch: `lab run -- connectivity-operator check`, or the operator after a restart."""
