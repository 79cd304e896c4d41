"""Trying again until it works: back-off, one try at a time for all who wait, and what is shown meanwhile.

Nothing is skipped because a dependency is down. The first failure of a series concerns its caller alone (a
throttled item among many should not hold up the others); from the second on, the dependency counts as down,
one caller tries for all, and the pipeline stops reading until it works.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.progress import Trouble
from connectivity_operator.reasons import Service

T = TypeVar("T")
A = TypeVar("A")

FIRST_DELAY, LONGEST_DELAY = 0.5, 10.0
"""Seconds; the delay is drawn from the whole range below (full jitter), so that thousands do not move in step."""
LONGEST_REQUESTED = 300.0
"""Seconds that a server's Retry-After is followed at most."""
DOWN_AFTER = 2
"""Failures in a row after which a dependency counts as down."""

DOWNSTREAM = (Service.OPENAI, Service.OPENSEARCH, Service.POSTGRESQL)
"""Where messages go after they were read: while one of these is down, nothing more is read."""

_JITTER = random.Random()  # noqa: S311 (not for secrets)


class Troubles:
    """What does not work at present, by what is tried."""

    def __init__(self, journal: Journal, changed: Callable[[], None]) -> None:
        self._journal, self._changed = journal, changed
        self._present: dict[tuple[Service, str], Trouble] = {}
        self.proofs: dict[Service, float] = {}
        self.ended = float("-inf")
        """Loop time at which a trouble ended last."""

    @property
    def by_service(self) -> Mapping[Service, Trouble]:
        """The oldest trouble of each service."""
        found: dict[Service, Trouble] = {}
        for (service, _), trouble in sorted(self._present.items(), key=lambda item: item[1].since):
            found.setdefault(service, trouble)
        return found

    def tries(self, service: Service, action: str) -> int:
        """Failures in a row; 0 when it works."""
        trouble = self._present.get((service, action))
        return trouble.tries if trouble else 0

    def down(self, *services: Service) -> bool:
        """Whether one of these counts as down."""
        return any(s in services and trouble.tries >= DOWN_AFTER for (s, _), trouble in self._present.items())

    def failed(self, service: Service, action: str, error: DependencyError, delay: float) -> None:
        """It failed (again), and is tried again in ``delay`` seconds."""
        now = asyncio.get_running_loop().time()
        old = self._present.get((service, action))
        self._present[service, action] = Trouble(error, old.since if old else now, old.tries + 1 if old else 1)
        if old is None or old.error.reason != error.reason:
            self._journal.retrying(service, action, error, delay)
        self._changed()

    def worked(self, service: Service, action: str) -> None:
        """It works."""
        if trouble := self._present.pop((service, action), None):
            self.ended = asyncio.get_running_loop().time()
            self._journal.recovered(service, action, trouble)
            self._changed()

    def forget(self, service: Service, action: str) -> None:
        """Nobody tries any more, so nothing is known."""
        if self._present.pop((service, action), None):
            self._changed()

    def prove(self, service: Service) -> None:
        """Traffic went through."""
        self.proofs[service] = asyncio.get_running_loop().time()


class Patience:
    """Tries one kind of action against one dependency until it works."""

    def __init__(self, service: Service, action: str, troubles: Troubles) -> None:
        self._service, self._action, self._troubles = service, action, troubles
        self._turn = asyncio.Lock()
        self._callers = 0

    async def insist(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        wanted: Callable[[], bool] = lambda: True,
        known_good: Callable[[], Awaitable[object]] | None = None,
    ) -> T | None:
        """The result of the first ``attempt`` that raises no `DependencyError`; None when not ``wanted`` any more.

        ``known_good`` is tried first while the dependency counts as down: something small and certainly
        acceptable, so that an outage does not send (and pay for) whole batches again and again.
        """
        self._callers += 1
        try:
            while wanted():
                if self._failures >= DOWN_AFTER:
                    async with self._turn:
                        result = await self._take_turn(attempt, wanted, known_good)
                else:
                    result = await self._try(attempt)
                if result is not None:
                    return result[0]
            return None
        finally:
            self._callers -= 1
            if not self._callers:
                self._troubles.forget(self._service, self._action)

    @property
    def _failures(self) -> int:
        return self._troubles.tries(self._service, self._action)

    async def _take_turn(
        self,
        attempt: Callable[[], Awaitable[T]],
        wanted: Callable[[], bool],
        known_good: Callable[[], Awaitable[object]] | None,
    ) -> tuple[T] | None:
        """As the only one who tries: until it works, or until another attempt than ours is what is missing."""
        while wanted() and self._failures >= DOWN_AFTER:
            # That alone ends no trouble: it may well be the size of the batch that is too much.
            if known_good is not None and await self._try(known_good, ends_trouble=False) is None:
                continue
            if (result := await self._try(attempt)) is not None:
                return result
        return None

    async def _try(self, attempt: Callable[[], Awaitable[A]], *, ends_trouble: bool = True) -> tuple[A] | None:
        try:
            result = await attempt()
        except DependencyError as error:
            delay = backoff(self._failures, error.retry_after)
            self._troubles.failed(self._service, self._action, error, delay)
            await asyncio.sleep(delay)
            return None
        if ends_trouble:
            self._troubles.worked(self._service, self._action)
        return (result,)


def backoff(failures: int, requested: float | None = None) -> float:
    """Seconds to wait after that many earlier failures in a row; never less than the server asked for."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 10))
    return max(_JITTER.uniform(0.0, longest), min(requested or 0.0, LONGEST_REQUESTED))
