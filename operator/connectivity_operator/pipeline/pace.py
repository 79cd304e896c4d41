"""The policy's `maxMessagesPerMinute`: what exceeds it waits in Kafka as lag."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable


class Pace:
    """A token bucket, strict over any minute: a full bucket and what flows into it make ``per_minute`` together.

    The bucket holds one second's worth, so that traffic is smoothed and never stands still for long. May be
    shared by several pipelines (a namespace's limit); the policy may `change` it at any time.
    """

    def __init__(self, per_minute: int | None, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._limited = False
        self._tokens = self._size = self._rate = 0.0
        self._at: float | None = None
        self.change(per_minute)

    def change(self, per_minute: int | None) -> None:
        """A new limit, from now on; None: no limit."""
        self._limited = per_minute is not None
        if per_minute is None:
            return
        self._size = float(max(1, per_minute // 60))
        self._rate = (per_minute - self._size + 1) / 60
        self._tokens = min(self._tokens, self._size) if self._at is not None else self._size

    def allowed(self) -> int:
        """Messages that may be read now."""
        if not self._limited:
            return sys.maxsize
        self._refill()
        return max(0, int(self._tokens + 1e-9))

    def take(self, messages: int) -> None:
        """That many were read. More than allowed (two readers at once) is made up for by waiting longer."""
        if self._limited:
            self._refill()
            self._tokens -= messages

    def delay(self) -> float:
        """Seconds until the bucket is worth waking up for: full again, or a second's flow into it."""
        if not self._limited:
            return 0.0
        self._refill()
        wanted = max(1.0, min(self._size, self._rate))
        return max(0.0, (wanted - self._tokens) / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        if self._at is not None:
            self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
        self._at = now
