"""A vector collection in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import DependencyFailure, Document, IndexState
from connectivity_operator.reasons import Reason, Service
from tests.fakes.faults import Faults


class FakeIndex:
    """Indices by name. Faults: describe, create, write, remove, probe_write, probe_access."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.seconds = 0.0
        self.dimensions: dict[str, int | None] = {}
        """Index -> dimension of its vectors; None: its ``vector`` is something else."""
        self.documents: dict[str, list[Document]] = {}
        self.writes: list[list[Document]] = []
        """Documents of every write that came through."""
        self.refuses: Callable[[Document], DependencyFailure | None] = lambda document: None
        self.removed: list[str] = []

    def put(self, index: str, dimensions: int | None) -> None:
        """Make an index by hand."""
        self.dimensions[index] = dimensions
        self.documents[index] = []

    def delete(self, index: str) -> None:
        del self.dimensions[index], self.documents[index]

    async def describe(self, index: str) -> IndexState | None:
        self.faults.check("describe")
        return IndexState(self.dimensions[index]) if index in self.dimensions else None

    async def create(self, index: str, dimensions: int) -> None:
        self.faults.check("create")
        if index not in self.dimensions:
            self.put(index, dimensions)

    async def write(self, index: str, documents: Sequence[Document]) -> Sequence[str | DependencyFailure]:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.faults.check("write")
        if index not in self.dimensions:
            raise self._error(Reason.INDEX_NOT_FOUND, index)
        if self.dimensions[index] is None:
            raise self._error(Reason.MAPPING_MISMATCH, index)
        if self.dimensions[index] != len(documents[0].vector) // 4:
            raise self._error(Reason.DIMENSION_MISMATCH, index)
        self.writes.append(list(documents))
        answers: list[str | DependencyFailure] = []
        for document in documents:
            if failure := self.refuses(document):
                answers.append(failure)
                continue
            self.documents[index].append(document)
            answers.append(f"id:{document.message_id}")
        return answers

    async def remove(self, index: str, document_id: str) -> None:
        self.faults.check("remove")
        self.removed.append(document_id)
        self.documents[index] = [d for d in self.documents[index] if f"id:{d.message_id}" != document_id]

    async def probe_write(self, index: str) -> None:
        self.faults.check("probe_write")

    async def probe_access(self) -> None:
        self.faults.check("probe_access")

    def _error(self, reason: Reason, index: str) -> DependencyError:
        return DependencyError(Service.OPENSEARCH, reason, evidence={"index": index})
