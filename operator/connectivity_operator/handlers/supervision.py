"""How kopf's daemons become supervisors that never fail kopf. No kopf in here: its rules are.

A daemon that returns or raises is never started again for its object, or only a minute later; an object that
vanishes at the wrong moment leaves its daemon behind, running. So a daemon lives exactly as long as kopf wants
it to, whatever the supervisor does, and it also ends when its object's deletion is seen.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from connectivity_operator.handlers.host import Host

RETRY_FIRST, RETRY_MOST = 5.0, 40.0
"""Seconds before a supervisor that failed is started again; doubled each time.

With its jitter less than what the liveness probe allows an object to be without one (60 s): a fault that one object
provokes must not restart the operator of all.
"""

DISSOLVED_WITHIN = 15.0
"""Seconds that the supervisors have to put down their work when their kind is deleted."""

CANCELLED_WITHIN = 4.0
"""Seconds that a cancelled supervisor has; less than what kopf gives the daemon (`CANCELLATION_TIMEOUT`)."""


class Stopped(Protocol):
    """kopf's ``stopped``, as far as it is used."""

    def wait(self) -> Awaitable[object]: ...


@dataclass(frozen=True, eq=False)
class _Life:
    """A daemon under way, and what ends it."""

    stop: asyncio.Event
    daemon: asyncio.Task[Any]


class Supervision:
    """The supervisors of one process."""

    def __init__(self, host: Host, *, pause: Callable[[float], float] | None = None) -> None:
        """``pause`` turns a nominal delay (seconds) into the one that is slept; default: jitter of a third."""
        self._host = host
        self._pause = pause or (lambda delay: delay * random.uniform(0.67, 1.33))  # noqa: S311 (no secret)
        self._lives: dict[str, _Life] = {}

    def seen(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """A watch event. ``kind`` is kopf's ``type``: None while listing, ADDED, MODIFIED or DELETED."""
        if kind != "DELETED":
            self._host.resource_changed(body)
            return
        # kopf forgets the object at this moment without stopping its daemon, unless the finalizer made it
        # wait: it can be removed by hand, or the object can be deleted before kopf has put it there.
        if life := self._lives.get(body["metadata"]["uid"]):
            life.stop.set()
        self._host.resource_gone(body)

    async def dissolve(self) -> None:
        """The kind itself is being deleted: end all daemons, and let their objects go.

        kopf does not: of a CRD in deletion the API server says that its objects cannot be patched, so kopf stops
        watching them, and the CRD would wait for their finalizers for ever.
        """
        lives = list(self._lives.values())
        for life in lives:
            life.stop.set()
        if lives:
            await asyncio.wait({life.daemon for life in lives}, timeout=DISSOLVED_WITHIN)
        await self._host.release_all()

    async def live(self, body: Mapping[str, Any], stopped: Stopped) -> None:
        """The life of one daemon. ``body`` may be a live view: it is read anew at each (re)start."""
        uid = body["metadata"]["uid"]
        stop, daemon = asyncio.Event(), asyncio.current_task()
        assert daemon is not None  # noqa: S101 (for mypy: kopf runs daemons as tasks)
        life = self._lives[uid] = _Life(stop, daemon)
        follower = asyncio.create_task(_follow(stopped, stop))
        try:
            await self._supervise(body, stop)
            # A supervisor whose object is gone has ended by itself. If kopf does not know that (it does not
            # notice what vanished while its watch was interrupted), the daemon must not end on its own.
            await stop.wait()
        finally:
            follower.cancel()
            if self._lives.get(uid) is life:
                del self._lives[uid]

    async def _supervise(self, body: Mapping[str, Any], stop: asyncio.Event) -> None:
        delay = RETRY_FIRST
        while not stop.is_set():
            failure = await _outcome(self._host.run_supervisor(dict(body), stop))
            if failure is None:
                return
            metadata = body["metadata"]
            structlog.get_logger().error(
                "supervisor failed, it will be started again", service="operator", action="supervise",
                status="retrying", namespace=metadata["namespace"], name=metadata["name"], exc_info=failure,
            )  # fmt: skip
            await _wait(stop, self._pause(delay))
            delay = min(delay * 2, RETRY_MOST)


async def _outcome(work: Awaitable[None]) -> BaseException | None:
    """Run it as a task of its own, so that a stray cancellation inside is a failure and not ours.

    If we are cancelled ourselves, it is cancelled and given `CANCELLED_WITHIN` to end.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=CANCELLED_WITHIN)
        raise
    return asyncio.CancelledError("cancelled from inside") if task.cancelled() else task.exception()


async def _follow(stopped: Stopped, stop: asyncio.Event) -> None:
    await stopped.wait()
    stop.set()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


class Kind:
    """What becomes of the CRD while we run: it may be deleted, and made again."""

    def __init__(self, supervision: Supervision, end: Callable[[], None]) -> None:
        self._supervision, self._end = supervision, end
        self._dissolved = False

    async def seen(self, crd: Mapping[str, Any]) -> None:
        """A watch event, but not that of its end."""
        if "deletionTimestamp" in crd["metadata"]:
            self._dissolved = True
            await self._supervision.dissolve()
        elif self._dissolved and _established(crd):
            # kopf asks which resources there are as soon as it sees the CRD; the API server may not know yet, and
            # nothing would ask again. The next process of the container finds everything.
            structlog.get_logger().warning(
                "the CRD was made again, the operator ends to be started anew",
                service="operator", action="stop", status="ok",
            )  # fmt: skip
            self._end()


def _established(crd: Mapping[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


class Crowd:
    """Spreads the starts of many supervisors: a restart must not knock at every broker a thousand times at once."""

    FREE = 20
    """So many start at once without waiting."""
    RATE = 50.0
    """Starts a second that the rest is spread to."""
    MOST = 30.0
    """Seconds that none waits longer than; the liveness probe misses a supervisor after 60."""
    WINDOW = 10.0
    """Seconds that a start counts as recent."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, spread: Callable[[float], float] | None = None
    ) -> None:
        self._clock = clock
        self._spread = spread or (lambda most: random.uniform(0, most))  # noqa: S311 (no secret)
        self._recent: deque[float] = deque()

    def delay(self) -> float:
        """Seconds that the supervisor which starts now should wait."""
        now = self._clock()
        while self._recent and now - self._recent[0] > self.WINDOW:
            self._recent.popleft()
        self._recent.append(now)
        excess = len(self._recent) - self.FREE
        return 0.0 if excess <= 0 else self._spread(min(self.MOST, excess / self.RATE))
