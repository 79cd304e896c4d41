"""What tests, faults and demos do to the cluster, over its internal listener: no login, no permission, no resolver."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupIdNotFound,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import RecordMetadata

from lab.kafka.broker import INTERNAL_ADDRESSES, INTERNAL_PORT

BOOTSTRAP_SERVERS = [f"{address}:{INTERNAL_PORT}" for address in INTERNAL_ADDRESSES.values()]

SETTLING_LIMIT = 15.0
"""Seconds that a change may take to reach every broker."""


# ── topics ───────────────────────────────────────────────────────────────────────────────────────────
async def create_topic(
    topic: str,
    partitions: int = 1,
    *,
    replicas: Sequence[Sequence[int]] | None = None,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Make a topic, replicated on both brokers; nothing happens if it exists. Returns when it has leaders.

    ``replicas`` places it instead: one list of brokers a partition, all of the same length, the first one leading.
    ``[[2], [1]]`` has a partition that is gone when broker 2 is.
    """
    if replicas is None:
        new = NewTopic(topic, partitions, 2, topic_configs=settings)
    else:
        new = NewTopic(topic, -1, -1, dict(enumerate(map(list, replicas))), settings)
    async with _admin() as admin:
        response = await admin.create_topics([new])
    for name, code, *detail in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"{name}: {detail}")
    await _until(topic, _led(len(replicas) if replicas is not None else partitions))


async def delete_topic(topic: str) -> None:
    """Remove a topic; nothing happens if there is none."""
    async with _admin() as admin:
        response = await admin.delete_topics([topic])
    for name, code in response.topic_error_codes:
        if code not in (0, UnknownTopicOrPartitionError.errno):
            raise for_code(code)(name)
    await _until(topic, lambda leaders: not leaders)


async def add_partitions(topic: str, total: int) -> None:
    """Give a topic more partitions, ``total`` in the end. Returns when they have leaders."""
    async with _admin() as admin:
        await admin.create_partitions({topic: NewPartitions(total)})
    await _until(topic, _led(total))


async def leaders(topic: str) -> dict[int, int]:
    """Partition -> the broker that leads it; -1 where there is none. Empty if there is no such topic."""
    async with _client() as client:
        return await _leaders(client, client.get_random_node(), topic)


async def brokers() -> set[int]:
    """The brokers that the cluster counts as alive."""
    async with _client() as client:
        return _alive(client)


async def configure_broker(node: int, settings: Mapping[str, str]) -> None:
    """Make these the broker's dynamic settings, in place of any that it has; empty: back to its file's."""
    async with _admin() as admin:
        resource = ConfigResource(ConfigResourceType.BROKER, str(node), dict(settings))
        responses = await admin.alter_configs([resource])
    for code, detail, *_ in (answer for response in responses for answer in response.resources):
        if code:
            raise for_code(code)(f"broker {node}: {detail}")


# ── consumer groups ──────────────────────────────────────────────────────────────────────────────────
async def coordinator(group: str) -> int:
    """The broker that coordinates a group."""
    async with _admin() as admin:
        return int(await admin.find_coordinator(group))


async def make_offsets_topic() -> None:
    """Have Kafka make the topic of committed offsets, which it does when the first group looks for its coordinator.

    It answers "not available" to that group; no client of the lab shall be the one who meets that.
    """
    async with asyncio.timeout(SETTLING_LIMIT):
        while True:
            try:
                await coordinator("any")
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(0.1)
            else:
                return


async def committed_offsets(group: str) -> dict[TopicPartition, int]:
    """What a group has committed."""
    async with _admin() as admin:
        offsets = await admin.list_consumer_group_offsets(group)
    return {partition: committed.offset for partition, committed in offsets.items()}


async def commit_offsets(group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Set what a group has committed. The group must have no member."""
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP_SERVERS, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    finally:
        await consumer.stop()


async def delete_group(group: str) -> None:
    """Forget a group and all its offsets, as Kafka does after days without a member. It must have none now."""
    async with _client() as client:
        node = await client.coordinator_lookup(CoordinationType.GROUP, group)
        response = await client.send(node, DeleteGroupsRequest([group]))
    for name, code in response.results:
        if code not in (0, GroupIdNotFound.errno):
            raise for_code(code)(name)


# ── records ──────────────────────────────────────────────────────────────────────────────────────────
async def produce(
    topic: str,
    values: Iterable[bytes | None],
    *,
    partition: int | None = None,
    compression: str | None = None,
) -> list[RecordMetadata]:
    """Append records and return where they are, in order. ``None`` is a tombstone.

    Without ``partition`` each goes to one chosen at random. ``compression`` is gzip, snappy, lz4 or zstd.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=BOOTSTRAP_SERVERS,
        acks="all",  # end offsets and consumers see only what both replicas have
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=4 * 1024 * 1024,
        compression_type=compression,
    )
    try:
        await producer.start()  # not by `async with`, which leaves it open when this fails
        # A tombstone is a key without a value: one of the two there must be.
        pending = [
            await producer.send(topic, value, key=b"tombstone" if value is None else None, partition=partition)
            for value in values
        ]
        return list(await asyncio.gather(*pending))
    finally:
        await producer.stop()


async def begin_offsets(topic: str) -> dict[int, int]:
    """Partition -> the first offset that still exists."""
    async with _reader() as consumer:
        partitions = [TopicPartition(topic, partition) for partition in await leaders(topic)]
        offsets = await consumer.beginning_offsets(partitions)
    return {partition.partition: offset for partition, offset in offsets.items()}


async def end_offsets(topic: str) -> dict[int, int]:
    """Partition -> the offset that the next record will get."""
    async with _reader() as consumer:
        partitions = [TopicPartition(topic, partition) for partition in await leaders(topic)]
        offsets = await consumer.end_offsets(partitions)
    return {partition.partition: offset for partition, offset in offsets.items()}


async def delete_records(topic: str, before: Mapping[int, int]) -> None:
    """Remove the records before an offset of each partition, as retention does."""
    async with _admin() as admin:
        await admin.delete_records(
            {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in before.items()}
        )


# ─────────────────────────────────────────────────────────────────────────────────────────────────────
async def _until(topic: str, settled: Callable[[dict[int, int]], bool]) -> None:
    """Return when every broker knows what was changed: the controller answers before it has told them."""
    async with asyncio.timeout(SETTLING_LIMIT), _client() as client:
        for node in _alive(client):
            while not settled(await _leaders(client, node, topic)):  # noqa: ASYNC110 - a broker can only be asked
                await asyncio.sleep(0.05)


async def _leaders(client: AIOKafkaClient, node: int, topic: str) -> dict[int, int]:
    """Partition -> leader, as one broker has it."""
    response = await client.send(node, MetadataRequest([topic], allow_auto_topic_creation=False))
    return {partition: leader for *_, partitions in response.topics for _, partition, leader, *_ in partitions}


def _alive(client: AIOKafkaClient) -> set[int]:
    return {broker.nodeId for broker in client.cluster.brokers()}


def _led(partitions: int) -> Callable[[dict[int, int]], bool]:
    return lambda leaders: len(leaders) >= partitions and -1 not in leaders.values()


@asynccontextmanager
async def _client() -> AsyncIterator[AIOKafkaClient]:
    client = AIOKafkaClient(bootstrap_servers=BOOTSTRAP_SERVERS, request_timeout_ms=10_000)
    try:
        await client.bootstrap()
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def _admin() -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP_SERVERS, request_timeout_ms=10_000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def _reader() -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP_SERVERS, group_id=None)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
