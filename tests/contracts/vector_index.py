"""What every `ports.VectorIndex` keeps, the real one and a fake: one set of tests for both.

A test module derives a class from `VectorIndexContract` and gives it the fixture ``collection``, an object as
`Collection` describes it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Protocol

import pytest

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import DependencyFailure, Document, IndexState, VectorIndex
from connectivity_operator.reasons import Reason

DIMENSIONS = 4


class Collection(Protocol):
    """A collection for one test."""

    store: VectorIndex
    index: str
    """The name of an index that does not exist yet and that ``store`` may create."""

    async def put_foreign(self) -> None:
        """Make ``index`` with a ``vector`` that is no knn_vector."""

    async def delete(self) -> None:
        """Remove ``index``, behind the store's back."""

    async def texts(self) -> list[str]:
        """Texts of all documents of ``index``, in the order of their offsets; none if there is no index."""

    async def exists(self) -> bool: ...


def document(number: int, *, dimensions: int = DIMENSIONS) -> Document:
    vector = struct.pack(f"<{dimensions}f", *(float(number + place) for place in range(dimensions)))
    return Document(f"m{number}", "team", "demo", "orders", 0, number, f"text {number}", "model", vector, 1795449600000)


def documents(count: int) -> list[Document]:
    return [document(number) for number in range(count)]


def ids(answers: Sequence[str | DependencyFailure]) -> list[str]:
    """All documents were written; their ids."""
    assert all(isinstance(answer, str) for answer in answers), answers
    return [str(answer) for answer in answers]


async def refusal(store: VectorIndex, index: str, sent: Sequence[Document]) -> Reason:
    with pytest.raises(DependencyError) as caught:
        await store.write(index, sent)
    return caught.value.reason


class VectorIndexContract:
    """The tests; `Collection` comes from the derived class's module."""

    async def test_an_absent_index_is_none(self, collection: Collection) -> None:
        """Absence is an answer, not a failure."""
        assert await collection.store.describe(collection.index) is None

    async def test_a_created_index_has_the_dimension_that_was_asked_for(self, collection: Collection) -> None:
        """And the vectors' field is one that can be searched."""
        await collection.store.create(collection.index, DIMENSIONS)
        assert await collection.store.describe(collection.index) == IndexState(DIMENSIONS)

    async def test_creating_what_exists_changes_nothing(self, collection: Collection) -> None:
        """Two resources may want the same index at the same moment."""
        await collection.store.create(collection.index, DIMENSIONS)
        await collection.store.create(collection.index, DIMENSIONS * 2)
        assert await collection.store.describe(collection.index) == IndexState(DIMENSIONS)

    async def test_an_index_with_another_vector_field_is_seen_to_be_none_of_ours(self, collection: Collection) -> None:
        """It exists, but holds no vectors."""
        await collection.put_foreign()
        assert await collection.store.describe(collection.index) == IndexState(None)

    async def test_every_document_gets_an_id_of_its_own(self, collection: Collection) -> None:
        """In the order in which they were given."""
        await collection.store.create(collection.index, DIMENSIONS)
        made = ids(await collection.store.write(collection.index, documents(3)))
        assert len(set(made)) == 3
        assert await collection.texts() == ["text 0", "text 1", "text 2"]
        await collection.store.remove(collection.index, made[1])
        assert await collection.texts() == ["text 0", "text 2"]

    async def test_removing_what_is_not_there_is_no_failure(self, collection: Collection) -> None:
        """The document is gone, which is what was wanted."""
        await collection.store.create(collection.index, DIMENSIONS)
        await collection.store.remove(collection.index, "nobody")

    async def test_writing_does_not_make_an_index(self, collection: Collection) -> None:
        """OpenSearch would, with a mapping guessed from the first document."""
        assert await refusal(collection.store, collection.index, documents(2)) is Reason.INDEX_NOT_FOUND
        assert not await collection.exists()

    async def test_an_index_deleted_under_traffic_does_not_come_back_by_a_write(self, collection: Collection) -> None:
        """However short ago it was seen and written to."""
        await collection.store.create(collection.index, DIMENSIONS)
        ids(await collection.store.write(collection.index, documents(1)))
        await collection.delete()
        assert await refusal(collection.store, collection.index, documents(1)) is Reason.INDEX_NOT_FOUND
        assert not await collection.exists()

    async def test_vectors_of_another_length_are_refused_as_a_whole(self, collection: Collection) -> None:
        """It is the index's or the model's fault, no message's."""
        await collection.store.create(collection.index, DIMENSIONS)
        wrong = [document(0, dimensions=DIMENSIONS - 1)]
        assert await refusal(collection.store, collection.index, wrong) is Reason.DIMENSION_MISMATCH
        assert await collection.texts() == []

    async def test_an_index_of_another_mapping_takes_no_documents(self, collection: Collection) -> None:
        """It would take them in silence, and no search for neighbours would ever find one."""
        await collection.put_foreign()
        assert await refusal(collection.store, collection.index, documents(1)) is Reason.MAPPING_MISMATCH
        assert await collection.texts() == []

    async def test_probes_leave_nothing_behind(self, collection: Collection) -> None:
        """Neither a document nor an index."""
        await collection.store.create(collection.index, DIMENSIONS)
        await collection.store.probe_access()
        await collection.store.probe_write(collection.index)
        assert await collection.texts() == []
