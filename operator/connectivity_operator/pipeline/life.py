"""One life of a pipeline: from joining the group to leaving it.

Records come from the reader, wait in the backlog, and leave it in batches. A batch starts as soon as a worker
is free, with whatever is there: a lone message is never delayed, and a backlog fills batches by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from time import perf_counter

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline import content, tasks
from connectivity_operator.pipeline.backlog import Backlog
from connectivity_operator.pipeline.budget import Budget
from connectivity_operator.pipeline.committing import Committer
from connectivity_operator.pipeline.embedding import EmbeddingStage
from connectivity_operator.pipeline.indexing import IndexStage
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.membership import Membership
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.packing import MOST_ITEMS, text_bytes
from connectivity_operator.pipeline.patience import DOWNSTREAM, Troubles
from connectivity_operator.pipeline.progress import Progress
from connectivity_operator.pipeline.reading import Reader
from connectivity_operator.pipeline.row_log import RowStage
from connectivity_operator.pipeline.tally import Tally
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Message, Outcome, Work
from connectivity_operator.ports import Embedder, MessageSource, Record, RowLog, TopicPartition, VectorIndex

WORKERS = 8
"""Batches under way at once: enough to overlap embedding, indexing and inserting of different batches."""
SPACING = 0.01
"""Seconds between the starts of two batches that are not full. A request costs about 2 ms of CPU whatever is
in it, so a fast backend and a steady trickle would otherwise spend all of it on batches of one."""
GRACE = 5.0
"""Seconds for work in flight when partitions are revoked or the pipeline stops."""
COMMIT_LIMIT = 2.0
"""Seconds for the last commit before letting go."""
LEAVE_LIMIT = 3.0
"""Seconds for leaving the group."""
TYPICAL_DIMENSIONS = 1536


class Life:
    """What runs between one start and one stop. ``source`` is not started yet; it is stopped at the end."""

    def __init__(
        self,
        work: Work,
        tally: Tally,
        journal: Journal,
        *,
        source: MessageSource,
        embedder: Embedder,
        index: VectorIndex,
        rows: RowLog,
        budget: Budget,
        pace: Pace | None,
        interval: float,
    ) -> None:
        self._work, self._tally, self._journal, self._source, self._interval = work, tally, journal, source, interval
        self._troubles = Troubles(journal, self._something_changed)
        self._share = budget.join(self._reopen)
        self._backlog = Backlog(self._share)
        self._membership = Membership(
            work, source, self._troubles, journal,
            followed=tally.followed, release=self._release, moved=self._moved, notify=tally.notify,
        )  # fmt: skip
        self._committer = Committer(
            source, self._membership.watermarks, self._troubles, journal, idle=self._idle, committed=self._committed
        )
        self._reader = Reader(
            work, source, self._membership, self._backlog, self._share, self._troubles, journal,
            pace=pace, accept=self._accept,
        )  # fmt: skip
        self._embedding = EmbeddingStage(work, embedder, self._troubles, journal)
        self._indexing = IndexStage(work, index, self._troubles, journal)
        self._row_log = RowStage(work, rows, self._troubles, journal)
        self._batches: set[asyncio.Task[None]] = set()
        self._next_start = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._landed = asyncio.Event()
        self._dispatching = True
        self._group: asyncio.TaskGroup

    def progress(self) -> Progress:
        """How things stand now."""
        known = self._tally.progress(self._membership.lag)
        since = known.lagging_since
        return replace(
            known,
            # Messages that an outage has held back are given the same time after it as any others.
            lagging_since=None if since is None else max(since, self._troubles.ended),
            starting=self._membership.starting,
            troubles=self._troubles.by_service,
            throttled=self._reader.throttled,
            silent=self._reader.silence.longest,
            proofs=dict(self._troubles.proofs),
            dimensions=self._embedding.dimensions,
        )

    async def live(self, stop: asyncio.Event) -> None:
        """Work until ``stop``, then finish what can be finished in time. Raises only for a fault of our own."""
        self._clock = asyncio.get_running_loop().time
        try:
            async with asyncio.TaskGroup() as self._group:
                reader, *others = [
                    self._group.create_task(self._for_life(part))
                    for part in (self._reader.run, self._membership.run, self._committer.run, self._heartbeat)
                ]
                await stop.wait()
                self._membership.close()
                await tasks.end([reader])
                self._backlog.drop(lambda message: True)
                await self._wait_for(lambda: not self._batches)
                await tasks.end([*others, *self._batches])
        finally:
            if self._timer:
                self._timer.cancel()
            await self._leave()

    async def _for_life(self, part: Callable[[], Awaitable[None]]) -> None:
        """A part that ends with the life or ends it; from then on no batch begins (nobody would cancel it)."""
        try:
            await tasks.noticed(part)
        finally:
            self._dispatching = False

    # ── from records to batches ──────────────────────────────────────────────────────────────────────
    def _accept(self, records: Sequence[Record]) -> None:
        """Take in what was fetched; records of partitions that are not ours (any more) are not."""
        now, uid = self._clock(), self._work.uid
        overhead = 1024 + 4 * (self._embedding.dimensions or TYPICAL_DIMENSIONS)
        messages: list[Message] = []
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            watermark = self._membership.watermarks.get(partition)
            if watermark is None or not watermark.read(record.offset):
                continue
            text, outcome, reason = content.read(record.value)
            size = text_bytes(text) if text is not None else 0
            message_id = content.message_id(uid, record)
            weight = overhead + 3 * len(record.value or b"")
            messages.append(Message(record, watermark, message_id, now, weight, text, size, outcome, reason))
            self._membership.ends[partition] = max(self._membership.ends.get(partition, 0), record.offset + 1)
        if not messages:
            return
        self._share.take(sum(m.weight for m in messages), len(messages))
        self._tally.consumed += len(messages)
        self._journal.consumed(messages)
        self._note_unusable(messages)
        self._backlog.add(messages)
        self._dispatch()

    def _note_unusable(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.outcome is Outcome.SKIPPED:
                self._journal.skipped(message)
            elif message.outcome is Outcome.REJECTED:
                self._journal.rejected(message, None)

    def _dispatch(self) -> None:
        """Start batches while there are messages and free workers."""
        while self._dispatching and self._backlog and len(self._batches) < WORKERS:
            now = self._clock()
            if now < self._next_start and len(self._backlog) < MOST_ITEMS:
                self._timer = self._timer or asyncio.get_running_loop().call_at(self._next_start, self._on_time)
                return
            self._next_start = now + SPACING
            self._launch(self._backlog.take())

    def _on_time(self) -> None:
        self._timer = None
        self._dispatch()

    def _launch(self, batch: Sequence[Message]) -> None:
        for message in batch:
            message.watermark.flying += 1
        task = self._group.create_task(tasks.noticed(partial(self._process, batch)))
        self._batches.add(task)
        task.add_done_callback(partial(self._land, batch))

    def _land(self, batch: Sequence[Message], task: asyncio.Task[None]) -> None:
        """A batch is done, dropped or failed: its place and its memory are free."""
        self._batches.discard(task)
        if task.cancelled() or task.exception():
            self._dispatching = False
        for message in batch:
            message.watermark.flying -= 1
        self._share.give(sum(m.weight for m in batch))
        self._landed.set()
        self._reopen()
        self._dispatch()
        self._committer.nudge()

    # ── one batch ────────────────────────────────────────────────────────────────────────────────────
    async def _process(self, batch: Sequence[Message]) -> None:
        began = perf_counter()
        await self._embedding.run(batch)
        embedded = perf_counter()
        self._tally.embedded += sum(m.vector is not None for m in batch)
        await self._indexing.run(batch)
        indexed = perf_counter()
        self._tally.indexed += sum(m.document_id is not None for m in batch)
        await self._row_log.run(batch)
        logged = [m for m in batch if m.logged]
        for message in logged:
            message.watermark.finish(message.record.offset)
        if logged:
            self._tally.finished(logged, embed=embedded - began, index=indexed - embedded, log=perf_counter() - indexed)

    # ── letting go ───────────────────────────────────────────────────────────────────────────────────
    async def _release(self, gone: Mapping[TopicPartition, Watermark]) -> None:
        """Before these partitions are taken away: finish what is in flight if that can be, commit, drop the rest."""
        watermarks = set(gone.values())
        self._backlog.drop(lambda message: message.watermark in watermarks)
        await self._wait_for(lambda: not any(w.flying for w in watermarks))
        await self._commit(gone)

    async def _wait_for(self, condition: Callable[[], bool]) -> None:
        """At most `GRACE`; not at all for a dependency that is down."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while not condition() and not self._troubles.down(*DOWNSTREAM):
                    self._landed.clear()
                    await self._landed.wait()

    async def _commit(self, watermarks: Mapping[TopicPartition, Watermark]) -> None:
        try:
            async with asyncio.timeout(COMMIT_LIMIT):
                await self._committer.commit(watermarks)
        except TimeoutError:
            self._journal.warn("last commit not answered in time", "commit", status="failed")
        except DependencyError as error:
            self._journal.warn("last commit failed", "commit", status="failed", reason=str(error.reason))

    async def _leave(self) -> None:
        try:
            await self._commit(self._membership.watermarks)
            async with asyncio.timeout(LEAVE_LIMIT):
                await self._source.stop()
            self._journal.note("left the consumer group", "leave")
        except TimeoutError:
            self._journal.warn("leaving the group was not answered in time", "leave", status="failed")
        finally:
            self._share.leave()

    # ── what the parts tell each other ───────────────────────────────────────────────────────────────
    def _idle(self) -> bool:
        return not self._batches and not self._backlog

    def _committed(self, watermarks: Mapping[TopicPartition, Watermark]) -> None:
        self._membership.committed(watermarks)
        self._followed()

    def _followed(self) -> None:
        if self._membership.followed != self._tally.followed:
            self._tally.followed = self._membership.followed
            self._tally.changed()

    def _moved(self) -> None:
        self._followed()
        self._reopen()
        self._committer.nudge()
        self._tally.changed()

    def _something_changed(self) -> None:
        self._reopen()
        self._landed.set()
        self._tally.changed()

    def _reopen(self) -> None:
        self._reader.reopen()

    async def _heartbeat(self) -> None:
        """A sign of life at each interval even when nothing comes: positions and lag."""
        while True:
            await asyncio.sleep(self._interval)
            if self._membership.watermarks:
                await self._membership.measure()
            positions = {f"{p.topic}/{p.partition}": w.position for p, w in self._membership.watermarks.items()}
            self._journal.note(
                "heartbeat", "heartbeat", lag=self._membership.lag, partitions=len(positions),
                positions=dict(list(positions.items())[:50]), consumed=self._tally.consumed, logged=self._tally.logged,
            )  # fmt: skip
            self._tally.changed()
