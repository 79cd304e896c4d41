"""What outlives a single life of the pipeline: counters, the last messages, notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from connectivity_operator.pipeline.positions import Notice
from connectivity_operator.pipeline.progress import LastMessage, LastRejected, Progress
from connectivity_operator.pipeline.work import Message, Outcome
from connectivity_operator.status import Counters


class Tally:
    """Counts messages by what became of them: of those consumed, each is logged, skipped or rejected in the end."""

    def __init__(self, counters: Counters, followed: frozenset[str], changed: Callable[[], None]) -> None:
        self.consumed, self.embedded, self.indexed = counters.consumed, counters.embedded, counters.indexed
        self.logged, self.skipped, self.rejected = counters.logged, counters.skipped, counters.rejected
        self.followed = followed
        self.changed = changed
        self.notices: list[Notice] = []
        self._last_message: LastMessage | None = None
        self._last_rejected: LastRejected | None = None
        self._finished_at: float | None = None
        self._accepted_at: float | None = None
        self._lagging_since: float | None = None

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.changed()

    def finished(self, messages: Sequence[Message], *, embed: float, index: float, log: float) -> None:
        """Rows of these were inserted; seconds that the stages took."""
        now = asyncio.get_running_loop().time()
        self._finished_at = now
        accepted: Message | None = None
        for message in messages:
            if message.outcome is Outcome.ACCEPTED:
                self.logged += 1
                accepted = message
            elif message.outcome is Outcome.SKIPPED:
                self.skipped += 1
                self._accepted_at = now
            else:
                self.rejected += 1
                record = message.record
                assert message.reason is not None  # noqa: S101 (for mypy: `reject` sets both)
                self._last_rejected = LastRejected(record.topic, record.partition, record.offset, message.reason)
        if accepted:
            self._accepted_at = now
            record = accepted.record
            self._last_message = LastMessage(
                record.topic, record.partition, record.offset, accepted.document_id or "", datetime.now(UTC),
                embed=embed, index=index, log=log, total=now - accepted.received,
            )  # fmt: skip
        self.changed()

    def progress(self, lag: int = 0) -> Progress:
        """A snapshot without what only a living pipeline knows."""
        if not lag:
            self._lagging_since = None
        elif self._lagging_since is None:
            self._lagging_since = asyncio.get_running_loop().time()
        since = self._lagging_since
        return Progress(
            counters=Counters(self.consumed, self.embedded, self.indexed, self.logged, self.skipped, self.rejected),
            lag=lag,
            followed=self.followed,
            last_message=self._last_message,
            last_rejected=self._last_rejected,
            finished_at=self._finished_at,
            accepted_at=self._accepted_at,
            lagging_since=None if since is None else max(since, self._finished_at or since),
        )
