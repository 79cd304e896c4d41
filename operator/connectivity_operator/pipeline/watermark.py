"""The finished prefix of one partition during one assignment. Pure.

Batches overtake each other, but a committed offset says "everything before it is done". So only the longest
finished prefix may be committed. A watermark belongs to one assignment: after a rebalance the partition gets
another one, and what still finishes under the old one is never committed (another member may be ahead of it).
"""

from __future__ import annotations

from collections import deque


class Watermark:
    """Which offsets were read and which are finished.

    Offsets of one partition are read in rising order but not without gaps: compaction and transaction
    markers leave holes that no record ever fills.
    """

    __slots__ = ("_done", "_last", "_open", "committed", "flying", "over", "position")

    def __init__(self, start: int, *, committed: int | None) -> None:
        self.position = start
        """What may be committed: every offset before it is finished."""
        self.committed = committed
        """What the group has committed, as far as we know."""
        self.over = False
        """The partition was taken away: nothing under this watermark may be written or committed any more."""
        self.flying = 0
        """Messages that are being worked on now."""
        self._last = start - 1
        self._open: deque[int] = deque()
        self._done: set[int] = set()

    @property
    def outstanding(self) -> int:
        """How many offsets were read and do not belong to the finished prefix yet."""
        return len(self._open)

    @property
    def last_read(self) -> int:
        """The highest offset read; one less than the start before the first."""
        return self._last

    def read(self, offset: int) -> bool:
        """Take note of a record. False when that offset, or a later one, was read before."""
        if offset <= self._last:
            return False
        self._last = offset
        self._open.append(offset)
        return True

    def finish(self, offset: int) -> None:
        """The record at ``offset`` needs no more work."""
        self._done.add(offset)
        while self._open and self._open[0] in self._done:
            first = self._open.popleft()
            self._done.remove(first)
            self.position = first + 1

    def jump(self, offset: int) -> None:
        """Nothing more will come before ``offset``: it is the position once all that was read is finished."""
        if self.read(offset - 1):
            self.finish(offset - 1)
