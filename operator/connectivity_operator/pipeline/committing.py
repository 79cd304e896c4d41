"""Commits of finished prefixes: coalesced, newest first, never fatal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.patience import Patience, Troubles
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.ports import MessageSource, TopicPartition
from connectivity_operator.reasons import Service

EVERY = 1.0
"""Seconds between two commits while messages flow."""
EVERY_IDLE = 0.1
"""Seconds between two commits when nothing is under way: practically at once."""

Watermarks = Mapping[TopicPartition, Watermark]


class Committer:
    """Commits what has changed. Positions are read at the last moment, so the newest always wins."""

    def __init__(
        self,
        source: MessageSource,
        watermarks: Watermarks,
        troubles: Troubles,
        journal: Journal,
        *,
        idle: Callable[[], bool],
        committed: Callable[[Watermarks], None],
    ) -> None:
        self._source, self._watermarks, self._journal = source, watermarks, journal
        self._idle, self._committed = idle, committed
        self._patience = Patience(Service.KAFKA, "commit", troubles)
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._last = float("-inf")

    def nudge(self) -> None:
        """Something was finished, or a position was fixed."""
        self._changed.set()

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self._changed.wait()
            await self._wait_until_due()
            await self._patience.insist(self.commit, wanted=lambda: bool(_uncommitted(self._watermarks)))

    async def commit(self, watermarks: Watermarks | None = None) -> None:
        """Commit now (only those given); raises `DependencyError`. An older commit never lands after a newer one."""
        async with self._one_at_a_time:
            some = _uncommitted(self._watermarks if watermarks is None else watermarks)
            if not some:
                return
            offsets = {partition: watermark.position for partition, watermark in some.items()}
            self._last = asyncio.get_running_loop().time()
            await self._source.commit(offsets)
            for partition, watermark in some.items():
                watermark.committed = offsets[partition]
            self._committed(some)

    async def _wait_until_due(self) -> None:
        clock = asyncio.get_running_loop().time
        while (left := self._last + (EVERY_IDLE if self._idle() else EVERY) - clock()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                break
        self._changed.clear()


def _uncommitted(watermarks: Watermarks) -> Watermarks:
    return {p: w for p, w in watermarks.items() if w.position != w.committed}
