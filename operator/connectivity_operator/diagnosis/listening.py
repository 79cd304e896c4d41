"""Who hears of each step while it is climbed: the live display of ``check``, and what is told when it is interrupted.

A context variable, because between the one who listens and the step lie the engine, shared probes and every ladder,
and none of them has anything to do with it. Tasks inherit it, so it must be set before they are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from connectivity_operator.reasons import Rung, Service

if TYPE_CHECKING:
    from connectivity_operator.diagnosis.ladder import RungOutcome


class Listener(Protocol):
    """Hears of steps as they happen; several steps of one rung (brokers, topics) may be under way at once."""

    def begun(self, service: Service, rung: Rung) -> None: ...

    def ended(self, service: Service, outcome: RungOutcome) -> None: ...


class _Nobody:
    def begun(self, service: Service, rung: Rung) -> None: ...

    def ended(self, service: Service, outcome: RungOutcome) -> None: ...


_listener: ContextVar[Listener] = ContextVar("listener", default=_Nobody())  # noqa: B039 (it has no state)


def listener() -> Listener:
    """Whoever listens to what is climbed here."""
    return _listener.get()


@contextmanager
def listening(who: Listener) -> Iterator[None]:
    """``who`` hears of every step that is climbed within, in tasks that are made within too."""
    token = _listener.set(who)
    try:
        yield
    finally:
        _listener.reset(token)
