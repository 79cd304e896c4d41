"""What somebody asked a server of the lab to do otherwise: named, for so many requests, the oldest that fits first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar


@dataclass(frozen=True, kw_only=True)
class Limited:
    """What every injection has, whatever it makes the server do."""

    times: int | None = None
    """For so many requests; None: until it is cleared."""
    name: str = ""
    """So that it can be ended alone; an injection replaces the one that has its name."""


T = TypeVar("T", bound=Limited)


class InForce(Generic[T]):
    """Those in force, in the order in which they came."""

    def __init__(self, active: Iterable[T] = ()) -> None:
        self.active = list(active)

    def add(self, injection: T) -> None:
        """Put it behind those in force."""
        if injection.name:
            self.clear(injection.name)
        self.active.append(injection)

    def clear(self, name: str = "") -> None:
        """End those of a name, or all."""
        self.active = [one for one in self.active if name and one.name != name]

    def take(self, fits: Callable[[T], bool]) -> T | None:
        """The first that is meant for a request, counted as used."""
        for position, injection in enumerate(self.active):
            if fits(injection):
                self._use(position, injection)
                return injection
        return None

    def _use(self, position: int, injection: T) -> None:
        if injection.times is None:
            return
        if injection.times <= 1:
            del self.active[position]
        else:
            self.active[position] = replace(injection, times=injection.times - 1)
