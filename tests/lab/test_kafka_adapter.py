"""The Kafka adapter against the lab's brokers."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer
from lab.kafka import admin
from tests.contracts.message_source import MessageSourceContract

from connectivity_operator.adapters.kafka import Access, GroupConsumer, Membership, Prober
from connectivity_operator.ports import MessageSource

QUICK = Membership(session_ms=6_000, heartbeat_ms=300)
"""Rebalances are noticed at a heartbeat: tests need not wait three seconds for each."""


class LabCluster:
    """A topic and a group of their own, over the listener that wants no login."""

    def __init__(self) -> None:
        name = uuid.uuid4().hex[:8]
        self.topic, self.group = f"adapter-{name}", f"adapter.{name}"
        self._access = Access(bootstrap_servers=tuple(admin.BOOTSTRAP_SERVERS), security_protocol="PLAINTEXT")
        self._members: list[GroupConsumer] = []

    def member(self) -> MessageSource:
        made = GroupConsumer(
            access=self._access,
            prober=Prober(self._access),
            group=self.group,
            client_id=f"test-{len(self._members)}",
            membership=QUICK,
        )
        self._members.append(made)
        return made

    async def produce(self, partition: int, *values: bytes | None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=admin.BOOTSTRAP_SERVERS, acks="all") as producer:
            for value in values:
                await producer.send_and_wait(self.topic, value, key=b"key", partition=partition)

    async def delete_before(self, partition: int, offset: int) -> None:
        await admin.delete_records(self.topic, {partition: offset})

    async def end(self) -> None:
        for member in self._members:
            await member.stop()
        await admin.delete_topic(self.topic)


@pytest.fixture
async def cluster(lab: object) -> AsyncIterator[LabCluster]:
    made = LabCluster()
    await admin.create_topic(made.topic, 2)
    yield made
    await made.end()


class TestMessageSource(MessageSourceContract):
    """The contract, kept by the real source."""
