"""Second stage: one document for each vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.content import KNOWN_GOOD_TEXT
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.packing import BULK_BYTES, document_bytes, pack
from connectivity_operator.pipeline.patience import Patience, Troubles
from connectivity_operator.pipeline.sifting import Refused, proven, sift
from connectivity_operator.pipeline.work import Message, Work
from connectivity_operator.ports import DependencyFailure, Document, VectorIndex
from connectivity_operator.reasons import Reason, Service

KNOWN_GOOD_TIMESTAMP = 0
"""1970: a date that every date field takes."""

_BLAMES_CONTENT = frozenset({Reason.DOCUMENT_REJECTED, Reason.TOO_LARGE})
"""Refusals of one document that may be the document's own fault; all others are the index's or the server's."""


class IndexStage:
    """Writes batches of documents. What was written is kept whatever happens later.

    The index is not looked at here: `VectorIndex.write` does that before each request, and raises for an index
    that is absent (then it is created), of another dimension or mapping (then we wait until someone mends it).
    """

    def __init__(self, work: Work, index: VectorIndex, troubles: Troubles, journal: Journal) -> None:
        self._work, self._index, self._troubles, self._journal = work, index, troubles, journal
        self._patience = Patience(Service.OPENSEARCH, "index", troubles)

    async def run(self, messages: Sequence[Message]) -> None:
        """Write a document of every message that wants one, or reject it; tries until that is done."""

        def left() -> list[Message]:
            return [m for m in messages if m.wants_document]

        if left():
            await self._patience.insist(lambda: self._write(left()), wanted=lambda: bool(left()))

    async def _write(self, messages: Sequence[Message]) -> None:
        dimensions = len(messages[0].vector or b"") // 4
        for part in pack(messages, lambda m: document_bytes(m.size, dimensions), most_bytes=BULK_BYTES):
            try:
                await self._request(part)
            except ContentRefused as refusal:
                self._condemn(await sift(part, refusal, self._request, lambda: self._known_good(part[0])))  # noqa: B023

    async def _request(self, part: Sequence[Message]) -> None:
        """One bulk request; raises for what it did not write, with the rest written and noted."""
        began = perf_counter()
        answers = await self._send([self._document(m) for m in part])
        written: list[Message] = []
        refused: list[tuple[Message, DependencyFailure]] = []
        for message, answer in zip(part, answers, strict=True):
            if isinstance(answer, str):
                message.document_id = answer
                written.append(message)
            else:
                refused.append((message, answer))
        if written:
            self._troubles.prove(Service.OPENSEARCH)
            self._journal.written(written, perf_counter() - began)
        if refused:
            await self._settle(refused, index_proven=bool(written))

    async def _send(self, documents: Sequence[Document]) -> Sequence[str | DependencyFailure]:
        """Write to the index, made first if it is not there."""
        name = self._work.index
        try:
            return await self._index.write(name, documents)
        except DependencyError as error:
            if error.reason is not Reason.INDEX_NOT_FOUND:
                raise
        dimensions = len(documents[0].vector) // 4
        await self._index.create(name, dimensions)
        self._journal.index_created(dimensions)
        return await self._index.write(name, documents)

    async def _settle(self, refused: Sequence[tuple[Message, DependencyFailure]], *, index_proven: bool) -> None:
        """Documents refused inside an accepted request: their own fault, or to be sent again."""
        to_blame = [
            Refused(message, ContentRefused(Service.OPENSEARCH, failure.reason, evidence=failure.evidence))
            for message, failure in refused
            if not failure.transient and failure.reason in _BLAMES_CONTENT
        ]
        if to_blame:
            # Another document that the same request wrote is proof that the index takes documents of this shape.
            if not index_proven:
                await proven(lambda: self._known_good(to_blame[0].message))
            self._condemn(to_blame)
        again = [failure for message, failure in refused if message.wants_document]
        if again:
            raise DependencyError(Service.OPENSEARCH, again[0].reason, evidence=again[0].evidence)

    def _condemn(self, refused: Sequence[Refused]) -> None:
        for message, refusal in refused:
            message.reject(refusal.reason)
            self._journal.rejected(message, refusal)

    async def _known_good(self, like: Message) -> None:
        """A document of the same shape, with nothing in it that a producer chose, is accepted, and removed at once."""
        document = self._document(like)
        message_id = f"{document.message_id}-known-good"
        good = replace(document, message_id=message_id, text=KNOWN_GOOD_TEXT, timestamp=KNOWN_GOOD_TIMESTAMP)
        (answer,) = await self._send([good])
        if not isinstance(answer, str):
            raise DependencyError(Service.OPENSEARCH, answer.reason, evidence=answer.evidence)
        await self._index.remove(self._work.index, answer)

    def _document(self, message: Message) -> Document:
        record, work = message.record, self._work
        return Document(
            message_id=message.message_id,
            namespace=work.namespace,
            name=work.name,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            text=message.text or "",
            model=work.model,
            vector=message.vector or b"",
            timestamp=record.timestamp,
        )
