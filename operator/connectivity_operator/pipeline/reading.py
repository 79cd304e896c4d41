"""The only one who fetches: when it may, as much as it may; and when it may not, the group still hears from us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from connectivity_operator.errors import DependencyError, PositionsLost
from connectivity_operator.pipeline.backlog import Backlog
from connectivity_operator.pipeline.budget import Share
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.membership import Membership
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.packing import MOST_ITEMS
from connectivity_operator.pipeline.patience import DOWNSTREAM, Patience, Troubles, backoff
from connectivity_operator.pipeline.silence import Silence
from connectivity_operator.pipeline.work import Work
from connectivity_operator.ports import MessageSource, Record, TopicPartition
from connectivity_operator.reasons import Service

FETCH_WAIT = 5.0
"""Seconds that a fetch waits for the first record. Brokers answer as soon as there is one."""
KEEP_ALIVE = 3.0
"""Seconds between two fetches while reading stands still. Without them the group takes the partitions away after
``max_poll_interval_ms``, and an outage of a database would become a rebalance. Partitions are paused only for the
first of them: most stops are shorter, and a pause costs a round trip to the broker."""
AFTER_LOSS = 0.5
"""Seconds after positions were out of range, should the broker insist on that."""

TROUBLE_LASTS = 5.0
"""Seconds after a failed fetch until successful ones mean that it works again."""


class Reader:
    """Fetches records and hands them to ``accept``."""

    def __init__(
        self,
        work: Work,
        source: MessageSource,
        membership: Membership,
        backlog: Backlog,
        share: Share,
        troubles: Troubles,
        journal: Journal,
        *,
        pace: Pace | None,
        accept: Callable[[Sequence[Record]], None],
    ) -> None:
        self._work, self._source, self._membership = work, source, membership
        self._backlog, self._share = backlog, share
        self._troubles, self._journal, self._pace, self._accept = troubles, journal, pace, accept
        self._start = Patience(Service.KAFKA, "join", troubles)
        self._failures = 0
        self._failed_at = float("-inf")
        self._reopened = asyncio.Event()
        self._paused = False
        self._fetched_at = float("-inf")
        self.throttled = False
        """The policy's pace is what holds us back."""
        self.silence = Silence()

    def reopen(self) -> None:
        """Something that held reading back may be gone."""
        self._reopened.set()

    async def run(self) -> None:
        """Join the group and read until cancelled."""
        await self._start.insist(lambda: self._source.start(self._work.topics, self._membership))
        self._journal.note("joined the consumer group", "join", topics=sorted(self._work.topics))
        while True:
            self._reopened.clear()
            if limit := self._allowance():
                self._go_on()
                await self._read(limit, FETCH_WAIT)
            elif await self._stays_closed():
                # Again and again: a pause ends with the assignment, and new partitions come unpaused.
                self._source.pause()
                self._paused = True
                await self._read(MOST_ITEMS, 0.0)

    def _allowance(self) -> int:
        """How many records may be read now; whatever holds them back calls `reopen` when that may have changed."""
        self.throttled = False
        if not self._membership.settled or self._troubles.down(*DOWNSTREAM):
            return 0
        most = min(MOST_ITEMS, self._backlog.space)
        if most and self._pace:
            most = min(most, self._pace.allowed())
            self.throttled = not most
        return self._share.room(most) if most else 0

    async def _stays_closed(self) -> bool:
        """Wait for leave to read; True when there is none and it is time for a sign of life."""
        # Counted from the last fetch: being woken in between must not put the sign of life off.
        wait = self._fetched_at + KEEP_ALIVE - asyncio.get_running_loop().time()
        if self.throttled and self._pace:
            wait = min(wait, max(self._pace.delay(), 0.01))
        try:
            async with asyncio.timeout(max(wait, 0.0)):
                await self._reopened.wait()
        except TimeoutError:
            return not self._allowance()
        return False

    def _go_on(self) -> None:
        if self._paused:
            self._source.resume()
            self._paused = False

    async def _read(self, limit: int, wait: float) -> None:
        self._fetched_at = asyncio.get_running_loop().time()
        try:
            records = await self._source.fetch(limit=limit, wait=wait)
        except PositionsLost as lost:
            await self._membership.lost(lost.partitions)
            await asyncio.sleep(AFTER_LOSS)
        except DependencyError as error:
            await self._failed(error)
        else:
            self._worked()
            if records:
                self._take(records)
            elif not self._paused:
                self._membership.catch_up()
            if len(records) < limit and not self._paused:
                self.silence.looked(self._membership.unread, asyncio.get_running_loop().time())

    def _take(self, records: Sequence[Record]) -> None:
        if self._pace:
            self._pace.take(len(records))
        self._troubles.prove(Service.KAFKA)
        self.silence.heard({TopicPartition(record.topic, record.partition) for record in records})
        self._accept(records)

    async def _failed(self, error: DependencyError) -> None:
        delay = backoff(self._failures, error.retry_after)
        self._failures += 1
        self._failed_at = asyncio.get_running_loop().time()
        self._troubles.failed(Service.KAFKA, "fetch", error, delay)
        await asyncio.sleep(delay)

    def _worked(self) -> None:
        """Fetching from one topic may fail while others go on, so a success between two failures ends no trouble."""
        self._failures = 0
        if asyncio.get_running_loop().time() - self._failed_at > TROUBLE_LASTS:
            self._troubles.worked(Service.KAFKA, "fetch")
