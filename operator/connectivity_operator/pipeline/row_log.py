"""Third stage: one row for each message, whatever became of it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.content import row_ascii, row_text
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.patience import Patience, Troubles
from connectivity_operator.pipeline.sifting import sift
from connectivity_operator.pipeline.work import Message, Work
from connectivity_operator.ports import Row, RowLog
from connectivity_operator.reasons import Reason, Service


class RowStage:
    """Inserts rows; the table is looked for before the first one and after every failure."""

    def __init__(self, work: Work, rows: RowLog, troubles: Troubles, journal: Journal) -> None:
        self._work, self._rows, self._troubles, self._journal = work, rows, troubles, journal
        self._patience = Patience(Service.POSTGRESQL, "insert", troubles)
        self._table_seen = False

    async def run(self, messages: Sequence[Message]) -> None:
        """Insert the row of every message; tries until that is done."""

        def left() -> list[Message]:
            return [m for m in messages if m.wants_row]

        if left():
            await self._patience.insist(lambda: self._insert(left()), wanted=lambda: bool(left()))

    async def _insert(self, messages: Sequence[Message]) -> None:
        try:
            if not self._table_seen:
                await self._rows.ensure_table()
                self._table_seen = True
            await self._send(messages)
        except DependencyError:
            self._table_seen = False
            raise

    async def _send(self, messages: Sequence[Message]) -> None:
        try:
            await self._request(messages)
        except ContentRefused as refusal:
            # `probe` is the known-good row: a real insert, rolled back.
            for message, reason in await sift(messages, refusal, self._request, self._rows.probe):
                await self._insert_condemned(message, reason)

    async def _insert_condemned(self, message: Message, refusal: ContentRefused) -> None:
        """The table refuses the text (a database in another encoding): what it can hold of it, as an error."""
        rejected_before = message.reason
        message.reject(message.reason or Reason.ROW_REJECTED)
        if rejected_before is None:
            self._journal.rejected(message, refusal)
        began = perf_counter()
        try:
            await self._rows.insert([self._row(message, row_ascii(message.record.value))])
        except ContentRefused:
            await self._rows.insert([self._row(message, None)])
        self._inserted([message], perf_counter() - began)

    async def _request(self, messages: Sequence[Message]) -> None:
        began = perf_counter()
        await self._rows.insert([self._row(m, _text(m)) for m in messages])
        self._inserted(messages, perf_counter() - began)

    def _inserted(self, messages: Sequence[Message], seconds: float) -> None:
        for message in messages:
            message.logged = True
        self._troubles.prove(Service.POSTGRESQL)
        self._journal.inserted(messages, seconds)

    def _row(self, message: Message, text: str | None) -> Row:
        record, work = message.record, self._work
        indexed = message.document_id is not None
        return Row(
            kafka_topic=record.topic,
            kafka_partition=record.partition,
            kafka_offset=record.offset,
            message_content=text,
            embedding_model=work.model if message.vector else None,
            embedding_dimensions=len(message.vector) // 4 if message.vector else None,
            opensearch_index=work.index if indexed else None,
            opensearch_doc_id=message.document_id,
            log_level=message.outcome.log_level,
        )


def _text(message: Message) -> str | None:
    text = message.text
    # Short text without NUL, nearly all of it, goes as it is.
    if text is not None and message.size <= 16_384 and "\x00" not in text:
        return text
    return row_text(message.record.value)
