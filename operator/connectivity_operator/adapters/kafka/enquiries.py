"""Questions about topics that must not wait behind a consumer's fetch, and cost no login each.

A broker answers one connection's requests one after the other: behind a fetch that waits for messages, a consumer's
own question about an offset waits for seconds. So all consumers of the process ask through connections of their own,
one to each broker.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Bounds, ClusterMetadata, KafkaConnection, KafkaProber, TopicPartition
from connectivity_operator.reasons import Reason, Service

T = TypeVar("T")

LIMIT = 10.0
"""Seconds for all that one call asks."""

_DEAD = frozenset({Reason.CONNECTION_RESET, Reason.REQUEST_TIMEOUT})
"""How a request fails on a connection that has died since it was opened."""
_REFUSED = frozenset({Reason.CLUSTER_ACCESS_DENIED, Reason.CREDENTIALS_TOO_SHORT, Reason.CONNECTION_RATE_EXCEEDED})
"""Why a broker that was reached does not let us in."""


class _Endpoint(NamedTuple):
    host: str
    port: int


class Enquiries:
    """One for the process. Its users `join` and `leave`; the last one to leave closes the connections."""

    def __init__(self, prober: KafkaProber, bootstrap_servers: Sequence[str]) -> None:
        self._prober = prober
        parts = (server.rpartition(":") for server in bootstrap_servers)
        self._bootstrap = [_Endpoint(host, int(port)) for host, _, port in parts]
        self._connections: dict[_Endpoint, KafkaConnection] = {}
        self._locks: defaultdict[_Endpoint, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users = 0

    def join(self) -> None:
        self._users += 1

    async def leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            connections, self._connections = self._connections, {}
            for connection in connections.values():
                await connection.close()

    async def partitions(self, topics: frozenset[str]) -> frozenset[TopicPartition]:
        """Partitions of ``topics`` that exist now; absent topics have none."""
        async with _limited(topics):
            metadata = await self._metadata(topics)
        found = metadata.topics.items()
        return frozenset(TopicPartition(topic, number) for topic, seen in found for number in seen.leaders)

    async def bounds(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """First and next offset of ``partitions``, from their leaders."""
        if not partitions:
            return {}
        async with _limited(partition.topic for partition in partitions):
            metadata = await self._metadata(frozenset(partition.topic for partition in partitions))
            led = _by_leader(partitions, metadata)
            answers = await asyncio.gather(*(self._of_leader(leader, parts) for leader, parts in led.items()))
        return {partition: bounds for answer in answers for partition, bounds in answer.items()}

    async def _metadata(self, topics: frozenset[str]) -> ClusterMetadata:
        """From the first broker that can be reached. Raises for a topic that we must not describe."""
        metadata = await self._any(lambda connection: connection.metadata(sorted(topics)))
        for topic, seen in metadata.topics.items():
            if seen.error is Reason.DESCRIBE_TOPIC_DENIED:
                raise _error(seen.error, topic=topic)
        return metadata

    async def _of_leader(self, leader: _Endpoint, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        try:
            return await self._ask(leader, lambda connection: connection.bounds(partitions))
        except DependencyError as error:
            error.evidence.setdefault("topic", partitions[0].topic)
            raise

    async def _any(self, question: Callable[[KafkaConnection], Awaitable[T]]) -> T:
        errors: list[DependencyError] = []
        for endpoint in dict.fromkeys([*self._connections, *self._bootstrap]):
            try:
                return await self._ask(endpoint, question)
            except DependencyError as error:
                if error.reason is not Reason.BROKER_UNREACHABLE:
                    raise
                errors.append(error)
        raise errors[0] if errors else _error(Reason.NOT_CONFIGURED, variable="KAFKA_BOOTSTRAP_SERVERS")

    async def _ask(self, endpoint: _Endpoint, question: Callable[[KafkaConnection], Awaitable[T]]) -> T:
        if connection := self._connections.get(endpoint):
            try:
                return await question(connection)
            except DependencyError as error:
                if error.reason not in _DEAD:
                    raise
            if self._connections.get(endpoint) is connection:
                del self._connections[endpoint]
                await connection.close()
        return await question(await self._connected(endpoint))

    async def _connected(self, endpoint: _Endpoint) -> KafkaConnection:
        async with self._locks[endpoint]:
            if connection := self._connections.get(endpoint):
                return connection
            try:
                connection = await self._prober.connect(*endpoint)
            except DependencyError as error:
                if error.service is Service.IDENTITY or error.reason in _REFUSED:
                    raise
                broker = f"{endpoint.host}:{endpoint.port}"
                raise _error(Reason.BROKER_UNREACHABLE, broker=broker, detail=str(error.reason)) from error
            self._connections[endpoint] = connection
            return connection


def _by_leader(
    partitions: Iterable[TopicPartition], metadata: ClusterMetadata
) -> dict[_Endpoint, list[TopicPartition]]:
    led: dict[_Endpoint, list[TopicPartition]] = defaultdict(list)
    for partition in sorted(partitions):
        seen = metadata.topics[partition.topic]
        leader = metadata.brokers.get(seen.leaders.get(partition.partition, -1))
        if leader is None:
            reason = seen.error or Reason.LEADER_UNAVAILABLE
            raise _error(reason, topic=partition.topic, topic_partition=str(partition.partition))
        led[_Endpoint(leader.host, leader.port)].append(partition)
    return led


@asynccontextmanager
async def _limited(topics: Iterable[str]) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIMIT):
            yield
    except TimeoutError as error:
        told = ", ".join(sorted(set(topics)))
        raise _error(Reason.REQUEST_TIMEOUT, topic=told, limit=f"{LIMIT:g}") from error


def _error(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.KAFKA, reason, evidence=evidence)
