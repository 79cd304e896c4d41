"""Identical failures in a row are counted, not repeated.

A dependency that is down makes libraries and our own retries say the same several times a second. The first
line is written; identical ones are held back and counted; the next one after a minute is written with
``repeated: n``, where n is how many failures that line stands for. The row ends when the same thing succeeds:
what is still held back is then written as one line with its count, before the success.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from structlog import DropEvent
from structlog.types import EventDict, WrappedLogger

QUIET_SECONDS = 60.0
SCOPES = 2000
"""So many (service, action, resource) are remembered; the least recently failing one is forgotten first."""
ROWS = 50
"""So many different failures of one scope are remembered."""

_COUNTED = frozenset({"warning", "error", "critical", "exception"})
_NEVER_HELD = frozenset({"transition"})
"""A change is no repetition, however often it comes."""
_SCOPE = ("service", "action", "namespace", "name", "topic", "logger")
_IDENTITY = ("level", "status", "partition", "offset", "document_id", "reason", "rung")
_CHANGING = re.compile(r"0x[0-9a-f]+|\d+(?:\.\d+)?")
"""What changes between two tellings of the same failure: counts, ports, node and correlation ids, times."""


@dataclass(slots=True)
class _Row:
    written_at: float
    held: int = 0
    last: EventDict = field(default_factory=dict)


class Repeats:
    """A structlog processor. ``write`` gets the events that are written late."""

    def __init__(
        self, *, write: Callable[[EventDict], None], quiet: float = QUIET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._write = write
        self._quiet = quiet
        self._clock = clock
        self._scopes: OrderedDict[tuple[Any, ...], OrderedDict[tuple[Any, ...], _Row]] = OrderedDict()
        self._lock = threading.Lock()  # libraries log from threads of their own

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        scope = tuple(event.get(key) for key in _SCOPE)
        if event.get("level") not in _COUNTED or event.get("event") in _NEVER_HELD:
            if event.get("status") == "ok" and scope in self._scopes:
                self._end(scope)
            return event
        text = _CHANGING.sub("#", str(event.get("event")))
        identity = (text, *(event.get(key) for key in _IDENTITY))
        with self._lock:
            return self._count(scope, identity, event)

    def _count(self, scope: tuple[Any, ...], identity: tuple[Any, ...], event: EventDict) -> EventDict:
        rows = self._scopes.setdefault(scope, OrderedDict())
        self._scopes.move_to_end(scope)
        row = rows.get(identity)
        now = self._clock()
        if row and now - row.written_at < self._quiet:
            row.held += 1
            # Without its traceback: the first line has it, and it would keep every frame's values alive.
            row.last = {key: value for key, value in event.items() if key != "exc_info"}
            raise DropEvent
        if row and row.held:
            event["repeated"] = row.held + 1
        rows[identity] = _Row(written_at=now)
        rows.move_to_end(identity)
        while len(rows) > ROWS:
            rows.popitem(last=False)
        while len(self._scopes) > SCOPES:
            self._scopes.popitem(last=False)
        return event

    def _end(self, scope: tuple[Any, ...]) -> None:
        with self._lock:
            rows = self._scopes.pop(scope, None) or OrderedDict()
        for row in rows.values():
            if row.held:
                self._write({**row.last, "repeated": row.held})
