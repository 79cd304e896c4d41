"""The one writer of one resource's status: coalesces, retries, never raises.

kopf's own ``patch`` is not used: it is sent only when a handler ends, and a failing one kills the daemon
silently. Urgent changes go out within a second, counters at most every half minute, and a heartbeat shows that
the operator lives. An API server that is away loses nothing: the newest status is written when it is back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

import structlog

from connectivity_operator.errors import ConnectivityError
from connectivity_operator.ports import ObjectGone, ObjectRef, ResourceApi
from connectivity_operator.status import HEARTBEAT

COUNTERS_EVERY = HEARTBEAT
"""Seconds between two writes that change nothing but counters and times."""
LOOK = 5.0
"""Seconds after which it looks again whether something is due."""
SETTLE = 0.2
"""Seconds in which changes that come together become one write."""
GONE_AFTER = 5.0
"""A 404 counts only when it is repeated after this time: an API server may answer nonsense while it starts."""
RETRY_FIRST, RETRY_MOST = 1.0, 15.0
EVENTS_KEPT = 50
OUTDATED_CRD = "OutdatedCRD"
"""Reason of the Event and of the log's line; no condition could say it, an older CRD might drop that, too."""


class Urgency(IntEnum):
    """How soon a status should be seen."""

    HEARTBEAT = 0
    COUNTERS = 1
    CHANGE = 2


class _Event(NamedTuple):
    kind: str
    reason: str
    message: str
    at: datetime


class StatusWriter:
    """Writes what was `submit`ted last. `gone` is set when the object is certainly not there any more."""

    def __init__(self, api: ResourceApi, ref: ObjectRef, *, heartbeat: float = COUNTERS_EVERY) -> None:
        self._api, self._ref = api, ref
        self._log = structlog.get_logger().bind(service="operator", namespace=ref.namespace, name=ref.name)
        self.heartbeat = max(heartbeat, COUNTERS_EVERY)
        self.gone = asyncio.Event()
        self._body: Mapping[str, Any] | None = None
        self._events: list[_Event] = []
        self._urgent = asyncio.Event()
        self._counters = False
        self._written_at = time.monotonic()
        self._lost: frozenset[str] = frozenset()

    def submit(self, body: Mapping[str, Any], urgency: Urgency) -> None:
        """Hand over the newest status; older ones that were not written yet are forgotten."""
        self._body = body
        self._counters = self._counters or urgency is Urgency.COUNTERS
        if urgency is Urgency.CHANGE:
            self._urgent.set()

    def withdraw(self) -> None:
        """Nothing of ours is to be written any more, no heartbeat either: another operator looks after the object."""
        self._body = None
        self._events = []

    def event(self, kind: str, reason: str, message: str, at: datetime) -> None:
        """Queue one Event (bounded: the oldest are dropped in an outage)."""
        self._events = [*self._events, _Event(kind, reason, message, at)][-EVENTS_KEPT:]
        self._urgent.set()

    async def run(self) -> None:
        """Write until cancelled or the object is gone."""
        while not self.gone.is_set():
            try:
                async with asyncio.timeout(min(LOOK, max(0.0, self._due() - time.monotonic()))):
                    await self._urgent.wait()
                await asyncio.sleep(SETTLE)
            except TimeoutError:
                if time.monotonic() < self._due():
                    continue
            await self._flush()

    def _due(self) -> float:
        """When the next write is due that nobody waits for."""
        return self._written_at + (COUNTERS_EVERY if self._counters else self.heartbeat)

    async def finish(self, limit: float = 3.0) -> None:
        """Write what is pending once, for a shutdown; gives up after ``limit`` seconds."""
        try:
            async with asyncio.timeout(limit):
                if self._body is not None:
                    await self._write()
                    await self._post_events()
        except (TimeoutError, ConnectivityError, ObjectGone):
            self._log.warning("status not written before exit", action="status", status="failed")

    async def _flush(self) -> None:
        self._urgent.clear()
        self._counters = False
        if self._body is None:
            self._written_at = time.monotonic()
            return
        delay = RETRY_FIRST
        missing_since: float | None = None
        while self._body is not None:
            try:
                await self._write()
                await self._post_events()
            except ObjectGone:
                now = time.monotonic()
                if missing_since is not None and now - missing_since >= GONE_AFTER:
                    self.gone.set()
                    return
                missing_since = missing_since or now
                await asyncio.sleep(GONE_AFTER)
            except Exception as error:
                # The edge of this task: ended by a fault of ours, nobody would notice but the readers of the status.
                missing_since = None
                self._tell_failure(error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST)
            else:
                return

    def _tell_failure(self, error: Exception) -> None:
        ours = isinstance(error, ConnectivityError)
        self._log.warning(
            "status not written, trying again", action="status", status="retrying",
            detail=str(error) if ours else type(error).__name__, exc_info=None if ours else error,
        )  # fmt: skip

    async def _write(self) -> None:
        # Read at the last moment: what was submitted during a retry replaces what failed.
        assert self._body is not None  # noqa: S101 (for mypy: both callers have looked)
        lost = await self._api.patch_status(self._ref, self._body)
        self._written_at = time.monotonic()
        if lost - self._lost:
            self._tell_lost(lost)
        self._lost = lost

    def _tell_lost(self, lost: frozenset[str]) -> None:
        message = (
            f"The CRD in this cluster is older than the operator and drops {', '.join(sorted(lost))}; all else works. "
            "Apply the operator's own: kubectl apply --server-side --force-conflicts -f crds/"
        )
        self._log.warning(
            "status not kept whole", action="status", status="failed", reason=OUTDATED_CRD, message=message
        )
        self.event("Warning", OUTDATED_CRD, message, datetime.now(UTC))

    async def _post_events(self) -> None:
        """Best effort: an Event that cannot be posted waits for the next write of the status."""
        while self._events:
            event = self._events[0]
            try:
                await self._api.post_event(
                    self._ref, kind=event.kind, reason=event.reason, message=event.message, at=event.at
                )
            except ConnectivityError as error:
                self._log.warning(
                    "event not posted", action="event", status="retrying", reason=event.reason, detail=str(error)
                )
                return
            self._events = self._events[1:]
