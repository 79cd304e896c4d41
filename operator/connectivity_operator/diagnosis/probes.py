"""Shared probes: one climb per distinct thing probed, however many resources ask.

Cost grows with distinct topics, indices and models, never with resources. A success lives for the asker's
interval, a failure for a few seconds; askers of the same key during a climb share it (single flight).
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace

from connectivity_operator.diagnosis.ladder import Climb

Key = tuple[str, ...]
"""What is probed; the service comes first."""

LONGEST_LIFE = 3600.0
"""Seconds: the longest interval that a resource can have."""
SWEEP_EVERY = 60.0
FAILURE_LIFE = 5.0
"""Seconds for which a failed climb is shared; after that the next asker climbs again."""

_CLIMBING_SINCE = ContextVar("climbing since", default=0.0)


def climbing_since() -> float:
    """Monotonic time at which the climb began that asks this; 0 outside of one.

    What a climb takes from another one must not be older than itself: it may be the answer to a requested check.
    """
    return _CLIMBING_SINCE.get()


@dataclass(frozen=True, slots=True)
class _Result:
    climb: Climb
    began: float
    ended: float


class Probes:
    """Climbs by key.

    ``limit`` is how many of one service run at once: a silent one must not keep the others waiting. ``made`` hears
    of each one made.

    A climb must not ask the `Probes` that it runs in: it would hold the slot that it waits for.
    """

    def __init__(
        self,
        *,
        limit: int = 16,
        clock: Callable[[], float] = time.monotonic,
        made: Callable[[Climb], None] = lambda climb: None,
    ) -> None:
        self._clock, self._made = clock, made
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limit))
        self._results: dict[Key, _Result] = {}
        self._flights: dict[Key, tuple[float, asyncio.Task[Climb]]] = {}
        self._swept = clock()

    async def get(
        self, key: Key, run: Callable[[], Awaitable[Climb]], *, max_age: float, not_before: float = 0.0
    ) -> Climb:
        """A climb that is at most ``max_age`` seconds old and began at ``not_before`` (monotonic) or later."""
        while True:
            result = self._results.get(key)
            if result and self._serves(result, max_age, not_before):
                return result.climb
            flight = self._flights.get(key)
            if flight is None:
                began = self._clock()
                task = asyncio.create_task(self._fly(key, run, began), name=f"probe {key}")
                flight = self._flights[key] = (began, task)
            began, task = flight
            # The climb belongs to all who wait for it: one asker going away must not end it for the others.
            climb = await asyncio.shield(task)
            if began >= not_before:
                return climb

    def witness(self, key: Key) -> None:
        """Real traffic has just proven what ``key`` probes: its last success counts as made now."""
        result = self._results.get(key)
        if result and result.climb.passed:
            now = self._clock()
            # How long that probe took says nothing of the traffic: a slow one must not stay slow for ever.
            outcomes = tuple(replace(outcome, seconds=None) for outcome in result.climb.outcomes)
            self._results[key] = _Result(replace(result.climb, outcomes=outcomes), now, now)

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = [task for _, task in self._flights.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self) -> None:
        """Drop what nobody can ask for any more: groups and topics of resources that are gone."""
        now = self._clock()
        if now - self._swept < SWEEP_EVERY:
            return
        self._swept = now
        self._results = {k: r for k, r in self._results.items() if now - r.ended <= LONGEST_LIFE}

    def _serves(self, result: _Result, max_age: float, not_before: float) -> bool:
        life = max_age if result.climb.passed else min(max_age, FAILURE_LIFE)
        return result.began >= not_before and self._clock() - result.ended <= life

    async def _fly(self, key: Key, run: Callable[[], Awaitable[Climb]], began: float) -> Climb:
        _CLIMBING_SINCE.set(began)  # in the context of this task alone
        try:
            async with self._slots[key[0]]:
                climb = await run()
            self._results[key] = _Result(climb, began, self._clock())
            self._forget()
            self._made(climb)
            return climb
        finally:
            del self._flights[key]
