"""Memory: bytes of messages that all pipelines of the process may hold together, shared fairly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

TOTAL = 64 * 1024 * 1024
FIRST_LOOK = 8
"""Messages that are read before it is known how much one of them weighs."""


class Budget:
    """The process's budget. Each pipeline holds a `Share`.

    A pipeline that holds less than its fair part (the total divided by the number of pipelines) may always
    read a little, whatever the others hold; beyond that it may read while there is room at all.
    """

    def __init__(self, total: int = TOTAL) -> None:
        self.total = total
        self.used = 0
        self._members = 0
        self._waiting: deque[Share] = deque()

    def join(self, freed: Callable[[], None]) -> Share:
        """A new share; ``freed`` is called when a share that had no room may have some again."""
        self._members += 1
        return Share(self, freed)

    @property
    def fair(self) -> int:
        """Bytes that each pipeline can count on."""
        return self.total // max(1, self._members)

    def _leave(self, share: Share) -> None:
        self._members -= 1
        if share in self._waiting:
            self._waiting.remove(share)

    def _wait(self, share: Share) -> None:
        if share not in self._waiting:
            self._waiting.append(share)

    def _freed(self) -> None:
        # One after the other, as long as there is room: each takes some of it when it wakes.
        for _ in range(len(self._waiting)):
            share = self._waiting.popleft()
            share.freed()
            if self.used >= self.total:
                break


class Share:
    """One pipeline's part of the budget."""

    def __init__(self, budget: Budget, freed: Callable[[], None]) -> None:
        self._budget = budget
        self.freed = freed
        self.held = 0
        self._typical: float | None = None

    def room(self, most: int) -> int:
        """How many messages may be read now, at most ``most``; 0: wait for `freed`."""
        left = max(self._budget.total - self._budget.used, self._budget.fair - self.held)
        if left <= 0:
            self._budget._wait(self)  # noqa: SLF001 (two halves of one thing)
            return 0
        return max(1, min(most, int(left / self._typical) if self._typical else FIRST_LOOK))

    def take(self, weight: int, messages: int) -> None:
        """Charge messages that were read. They may exceed the room a little: their size was not known before."""
        self.held += weight
        self._budget.used += weight
        one = weight / messages
        self._typical = one if self._typical is None else self._typical + 0.2 * (one - self._typical)

    def give(self, weight: int) -> None:
        """Messages of that weight are gone."""
        self.held -= weight
        self._budget.used -= weight
        self._budget._freed()  # noqa: SLF001

    def leave(self) -> None:
        """The pipeline ends: whatever it still holds is given back."""
        self.give(self.held)
        self._budget._leave(self)  # noqa: SLF001
