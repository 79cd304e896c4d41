"""The Kafka in memory keeps the contract that the real source keeps, so tests with it prove something."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contracts.message_source import MessageSourceContract
from tests.fakes.source import FakeKafka


@pytest.fixture
async def cluster() -> AsyncIterator[FakeKafka]:
    kafka = FakeKafka()
    yield kafka
    for member in list(kafka.members):
        await member.stop()


class TestFakeSource(MessageSourceContract):
    """The contract, kept by the fake."""
