"""Messages that were read and wait for their batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from connectivity_operator.pipeline.budget import Share
from connectivity_operator.pipeline.packing import MOST_ITEMS
from connectivity_operator.pipeline.work import Message

MOST = 4 * MOST_ITEMS
"""Messages that wait at most: enough that the next batches are full while others are under way."""
BATCH_BYTES = 4_000_000
"""Text of one batch at most (a single message may be larger)."""


class Backlog:
    """First in, first out; gives its part of the memory budget back with whatever it drops."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._messages: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def space(self) -> int:
        """How many more may come."""
        return max(0, MOST - len(self._messages))

    def add(self, messages: Iterable[Message]) -> None:
        self._messages.extend(messages)

    def take(self) -> list[Message]:
        """What is there, up to a full batch; the oldest first."""
        batch: list[Message] = []
        size = 0
        while self._messages and len(batch) < MOST_ITEMS:
            size += self._messages[0].size
            if batch and size > BATCH_BYTES:
                break
            batch.append(self._messages.popleft())
        return batch

    def drop(self, unwanted: Callable[[Message], bool]) -> None:
        """Forget messages that were read but not begun; whoever gets their partition reads them again."""
        dropped = [m for m in self._messages if unwanted(m)]
        if dropped:
            self._messages = deque(m for m in self._messages if not unwanted(m))
            self._share.give(sum(m.weight for m in dropped))
