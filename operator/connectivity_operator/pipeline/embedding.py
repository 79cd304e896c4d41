"""First stage: a vector for each text."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from connectivity_operator import models
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.content import KNOWN_GOOD_TEXT, REQUEST_BYTES, SURELY_FITS
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.packing import pack
from connectivity_operator.pipeline.patience import Patience, Troubles
from connectivity_operator.pipeline.sharing import PartOfRequest
from connectivity_operator.pipeline.sifting import proven, sift
from connectivity_operator.pipeline.work import Message, Work
from connectivity_operator.ports import Embedder, Embeddings
from connectivity_operator.reasons import Reason, Service


class EmbeddingStage:
    """Embeds batches. Vectors that were made are kept whatever happens later."""

    def __init__(self, work: Work, embedder: Embedder, troubles: Troubles, journal: Journal) -> None:
        self._work, self._embedder, self._journal, self._troubles = work, embedder, journal, troubles
        self._patience = Patience(Service.OPENAI, "embed", troubles)
        self.dimensions = models.dimensions(work.model, work.dimensions)
        """Length of the vectors; None until the first answer of a model that we do not know."""

    async def run(self, messages: Sequence[Message]) -> None:
        """Give every message its vector, or reject it; returns only when none is left that wants one."""

        def left() -> list[Message]:
            return [m for m in messages if m.wants_vector]

        if left():
            await self._patience.insist(
                lambda: self._embed(left()), wanted=lambda: bool(left()), known_good=lambda: proven(self._known_good)
            )

    async def _embed(self, messages: Sequence[Message]) -> None:
        # A text that may be too long travels alone, so that its refusal concerns nobody else.
        parts = list(pack(messages, lambda m: m.size, most_bytes=REQUEST_BYTES, alone_above=SURELY_FITS))
        if len(parts) == 1:
            await self._send(parts[0])
            return
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._outcome(part)) for part in parts]
        for error in (task.result() for task in tasks):
            if error:
                raise error

    async def _outcome(self, part: Sequence[Message]) -> DependencyError | None:
        """One request of several: its failure must not cancel the others, their answers are paid for."""
        try:
            await self._send(part)
        except DependencyError as error:
            return error
        return None

    async def _send(self, part: Sequence[Message]) -> None:
        try:
            await self._request(part)
        except ContentRefused as refusal:
            for message, reason in await sift(part, refusal, self._request, self._known_good):
                message.reject(reason.reason)
                self._journal.rejected(message, reason)

    async def _request(self, part: Sequence[Message]) -> None:
        began = perf_counter()
        answer = await self._ask([m.text or "" for m in part])
        for message, vector in zip(part, answer.vectors, strict=True):
            message.vector = vector
        self._troubles.prove(Service.OPENAI)
        inputs = answer.inputs if isinstance(answer, PartOfRequest) else len(part)
        self._journal.embedded(part, answer.dimensions, answer.tokens, inputs, perf_counter() - began)

    async def _known_good(self) -> None:
        await self._ask([KNOWN_GOOD_TEXT])

    async def _ask(self, texts: Sequence[str]) -> Embeddings:
        model = self._work.model
        answer = await self._embedder.embed(texts, model=model, dimensions=self._work.dimensions)
        if len(answer.vectors) != len(texts):
            evidence = {"model": model, "detail": f"{len(answer.vectors)} vectors for {len(texts)} texts"}
            raise DependencyError(Service.OPENAI, Reason.INVALID_RESPONSE, evidence=evidence)
        if self.dimensions is None:
            self.dimensions = answer.dimensions
        elif answer.dimensions != self.dimensions:
            evidence = {
                "model": model,
                "dimensions": str(answer.dimensions),
                "expected_dimensions": str(self.dimensions),
            }
            raise DependencyError(Service.OPENAI, Reason.DIMENSION_MISMATCH, evidence=evidence)
        return answer
