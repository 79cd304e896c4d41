"""The fake index keeps the contract of the real one."""

from __future__ import annotations

import pytest

from tests.contracts.vector_index import VectorIndexContract
from tests.fakes.index import FakeIndex


class FakeCollection:
    """One fake index."""

    def __init__(self) -> None:
        self.store = FakeIndex()
        self.index = "contract"

    async def put_foreign(self) -> None:
        self.store.put(self.index, None)

    async def delete(self) -> None:
        self.store.delete(self.index)

    async def texts(self) -> list[str]:
        return [document.text for document in self.store.documents.get(self.index, [])]

    async def exists(self) -> bool:
        return self.index in self.store.dimensions


@pytest.fixture
def collection() -> FakeCollection:
    return FakeCollection()


class TestFakeIndex(VectorIndexContract):
    """The contract, kept by the fake."""
