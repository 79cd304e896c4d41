"""Switches faults on and off, by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from lab import switched_on
from lab.faults import FAULTS
from lab.faults.fault import Fault
from lab.part import PartError


class UnknownFault(PartError):
    """There is no fault of that name; the text names the nearest ones."""


def find(names: Iterable[str]) -> list[Fault]:
    """The faults of these names. Raises `UnknownFault` if any is unknown, before anything is done."""
    wanted = list(names)
    unknown = [name for name in wanted if name not in FAULTS]
    if unknown:
        raise UnknownFault("\n".join(map(_unknown, unknown)))
    return [FAULTS[name] for name in wanted]


def on(names: Iterable[str]) -> None:
    """Switch on; what is on already is made sure of."""
    for fault in find(names):
        switched_on.add(fault.name, fault.environment)  # before: what breaks off half way can still be switched off
        fault.on()


def off(names: Iterable[str]) -> None:
    """Switch off; what is off already is made sure of."""
    for fault in find(names):
        fault.off()
        switched_on.remove(fault.name)


@contextmanager
def during(names: Iterable[str]) -> Iterator[None]:
    """On for as long as the block lasts; off afterwards, also if switching on has broken off half way."""
    names = list(names)
    try:
        on(names)
        yield
    finally:
        off(names)


def off_all() -> list[str]:
    """Switch off whatever is on, the last first. Returns the names of those that cannot be while a server is away."""
    stuck: list[str] = []
    for name in reversed(switched_on.read()):
        fault = FAULTS.get(name)
        try:
            if fault:  # a name from another version of the lab is only forgotten
                fault.off()
        except Exception:
            stuck.append(name)
        else:
            switched_on.remove(name)
    return stuck


def are_on() -> Sequence[str]:
    """Names of the faults that are on."""
    return list(switched_on.read())


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, FAULTS, n=3, cutoff=0.5)
    near += [other for other in FAULTS if name in other and other not in near][: 3 - len(near)]
    hint = f"; near it are {', '.join(near)}" if near else ""
    return f"there is no fault {name}{hint} (`python -m lab fault list` shows all)"
