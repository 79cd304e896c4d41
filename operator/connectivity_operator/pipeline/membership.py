"""Our place in the consumer group: which partitions are ours, and where each of them stands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline import positions
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.patience import Patience, Troubles
from connectivity_operator.pipeline.positions import Notice, Placement
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Work
from connectivity_operator.ports import Bounds, MessageSource, TopicPartition
from connectivity_operator.reasons import Service

PLACING_LIMIT = 10.0
"""Seconds for which a rebalance is held up to fix positions. Other members wait meanwhile, and no heartbeat is
sent; a Kafka that takes longer is waited for outside the rebalance, with nothing being fetched."""


class Membership:
    """The `AssignmentListener`. Partitions get a watermark when their position is fixed, and lose it when revoked."""

    def __init__(
        self,
        work: Work,
        source: MessageSource,
        troubles: Troubles,
        journal: Journal,
        *,
        followed: frozenset[str],
        release: Callable[[Mapping[TopicPartition, Watermark]], Awaitable[None]],
        moved: Callable[[], None],
        notify: Callable[[Notice], None],
    ) -> None:
        self._work, self._source, self._journal = work, source, journal
        self._release, self._moved, self._notify = release, moved, notify
        self._patience = Patience(Service.KAFKA, "position", troubles)
        self.watermarks: dict[TopicPartition, Watermark] = {}
        self.ends: dict[TopicPartition, int] = {}
        """End offsets as last seen."""
        self.followed = followed & work.topics
        self._unplaced: set[TopicPartition] = set()
        self._revoking = 0
        self._assignment = 0
        self._placed = asyncio.Event()
        self._to_place = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """We are about to leave: what is assigned from now on gets no position."""
        self._closed = True

    @property
    def settled(self) -> bool:
        """Every partition that is ours has a position and none is being taken away: records may be fetched."""
        return not self._unplaced and not self._revoking

    @property
    def starting(self) -> bool:
        """Positions are not fixed yet, or there is nothing to have a position in."""
        return bool(self._unplaced) or not self.watermarks

    @property
    def lag(self) -> int:
        """Messages between the finished prefixes and the ends, as far as known."""
        return sum(max(0, self.ends.get(p, 0) - w.position) for p, w in self.watermarks.items())

    @property
    def unread(self) -> dict[TopicPartition, Watermark]:
        """Partitions of ours that hold more than we have read, as far as known."""
        return {p: w for p, w in self.watermarks.items() if self.ends.get(p, 0) > max(w.last_read + 1, w.position)}

    # ── AssignmentListener ───────────────────────────────────────────────────────────────────────────
    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """Fix the positions before anything is fetched, if that can be done in time."""
        self._assignment += 1
        for partition in partitions:
            if old := self.watermarks.pop(partition, None):
                old.over = True  # taken and given back without a word: whatever is under way is another's by now
        self._unplaced |= partitions
        self._journal.note("partitions assigned", "assign", partitions=len(partitions))
        self._moved()
        if not partitions or self._closed:
            return
        self._placed.clear()
        self._to_place.set()
        try:
            async with asyncio.timeout(PLACING_LIMIT):
                await self._placed.wait()
        except TimeoutError:
            self._journal.warn("positions not fixed yet, nothing is fetched", "position", status="retrying")

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Finish or drop what is under way, commit, and let go."""
        self._assignment += 1
        self._unplaced -= partitions
        gone = {p: w for p, w in self.watermarks.items() if p in partitions}
        self._revoking += 1
        try:
            if gone:
                await self._release(gone)
        finally:
            self._revoking -= 1
            for partition, watermark in gone.items():
                watermark.over = True
                if self.watermarks.get(partition) is watermark:
                    del self.watermarks[partition]
            self._moved()
        self._journal.note("partitions revoked", "revoke", partitions=len(partitions))

    # ── positions ────────────────────────────────────────────────────────────────────────────────────
    async def run(self) -> None:
        """Fix positions whenever partitions have none, until cancelled."""
        while True:
            await self._to_place.wait()
            self._to_place.clear()
            while self._unplaced:
                await self._patience.insist(self._place, wanted=lambda: bool(self._unplaced))
            self._placed.set()

    async def _place(self) -> None:
        assignment, partitions = self._assignment, frozenset(self._unplaced)
        known = await self._source.partitions(frozenset(p.topic for p in partitions)) | partitions
        committed = await self._source.committed(known)
        bounds = await self._source.bounds(partitions)
        if assignment != self._assignment:
            return  # a rebalance in between: what was learnt may be of another time
        placement = positions.place(
            partitions,
            committed=committed,
            bounds=bounds,
            followed=self.followed,
            start_from=self._work.start_from,
        )
        for partition, start in placement.starts.items():
            self._source.seek(partition, start.offset)
            self.watermarks[partition] = Watermark(start.offset, committed=start.committed)
        self._unplaced -= partitions
        self.followed |= {p.topic for p, offset in committed.items() if offset is not None}
        self._tell(placement, bounds)

    async def lost(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Positions turned out to be out of range while reading: go on at the beginning of what exists."""
        ours = {p: self.watermarks[p] for p in offsets if p in self.watermarks}
        bounds = await self._patience.insist(lambda: self._source.bounds(frozenset(ours)), wanted=lambda: bool(ours))
        current = {p: offsets[p] for p, w in ours.items() if self.watermarks.get(p) is w}
        if not current or bounds is None:
            return
        placement = positions.resume(current, bounds)
        for partition, (offset, _) in placement.starts.items():
            self._source.seek(partition, offset)
            watermark = self.watermarks[partition]
            if offset > watermark.last_read:
                watermark.jump(offset)
            else:
                # Another log under the same name: what was read of the old one is finished but says nothing here.
                self.watermarks[partition] = Watermark(offset, committed=None)
        self._tell(placement, bounds)

    def catch_up(self) -> None:
        """After a fetch that gave nothing: holes (compaction, transaction markers) up to the position are no lag.

        Only right there: at any other moment the position may be ahead because of records not handed over yet.
        """
        for partition, watermark in self.watermarks.items():
            position = None if watermark.outstanding else self._source.position(partition)
            if position is not None and position > watermark.position:
                watermark.jump(position)
                self.ends[partition] = max(self.ends.get(partition, 0), position)
                self._moved()

    async def measure(self) -> None:
        """Look at the ends of our partitions; a failure leaves the old ones."""
        try:
            bounds = await self._source.bounds(frozenset(self.watermarks))
        except DependencyError as error:
            self._journal.warn("lag not measured", "measure", status="failed", reason=str(error.reason))
        else:
            self._see(bounds)

    def committed(self, watermarks: Mapping[TopicPartition, Watermark]) -> None:
        """The group has offsets for these now: from here on their topics are followed."""
        self.followed |= {p.topic for p in watermarks}

    def _tell(self, placement: Placement, bounds: Mapping[TopicPartition, Bounds]) -> None:
        self._see(bounds)
        self._journal.placed({p: start.offset for p, start in placement.starts.items()})
        for notice in placement.notices:
            self._journal.warn(notice.message, "position", status="ok", reason=str(notice.reason))
            self._notify(notice)
        self._moved()

    def _see(self, bounds: Mapping[TopicPartition, Bounds]) -> None:
        self.ends.update({p: b.end for p, b in bounds.items() if p in self.watermarks})
