"""Connections for probes: one broker, one request, the broker's own answer.

Made by aiokafka's connection and protocol structures instead of its clients: these retry what they get, and what
they raise in the end ("unable to bootstrap") hides whether a name, a port, a certificate or a permission is wrong.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from connectivity_operator.adapters.kafka.access import Access
from connectivity_operator.adapters.kafka.enquiries import Enquiries
from connectivity_operator.adapters.kafka.errors import (
    MEMBER_ID_REQUIRED,
    OFFSET_OUT_OF_RANGE,
    Asked,
    reason_of,
    refusal,
    translate,
)
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Bounds, Broker, ClusterMetadata, TopicMetadata, TopicPartition
from connectivity_operator.reasons import Reason, Service

CONNECT_LIMIT = 10.0
"""Seconds for TCP, TLS and login together. A broker delays its refusal of a login by up to half a second."""
REQUEST_LIMIT = 5.0
JOIN_LIMIT = 10.0
"""Seconds for JoinGroup: brokers wait ``group.initial.rebalance.delay.ms`` (3 s) for further members of a new group."""
JOIN_SESSION_MS = 10_000
"""How long a broker would remember a member that joined and could not leave; at least 6 s by default."""

ANY_MEMBER = ""
CONSUMER_GROUP = 0
LATEST, EARLIEST = -1, -2
NOT_A_REPLICA = -1
READ_UNCOMMITTED = 0

_FOREIGN = (KafkaError, OSError, NotImplementedError, AssertionError, ValueError)
"""What a connection can raise: aiokafka's own; the sockets'; its ways to say that it speaks no version of a request;
a host name that cannot be one (`UnicodeError`)."""


class Prober:
    """Implements `ports.KafkaProber`."""

    def __init__(self, access: Access, *, client_id: str = "connectivity-operator-probe") -> None:
        self._access = access
        self._client_id = client_id
        self.enquiries = Enquiries(self, access.bootstrap_servers)
        """What all consumers of the process ask through."""

    async def connect(self, host: str, port: int) -> Connection:
        """A logged in connection to the broker that listens there."""
        evidence = {"host": host, "port": str(port)}
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                made = await create_conn(
                    host,
                    port,
                    client_id=self._client_id,
                    request_timeout_ms=int(CONNECT_LIMIT * 1000),
                    **self._access.connection_options(),
                )
        except _FOREIGN as error:
            raise translate(error, Asked.LOGIN, limit=f"{CONNECT_LIMIT:g}", **evidence) from error
        connection = Connection(made, evidence)
        if not self._access.logs_in:
            await _prove_that_no_login_is_wanted(connection)
        return connection


async def _prove_that_no_login_is_wanted(connection: Connection) -> None:
    """A listener that wants a login answers ApiVersions to anyone and closes the connection at the next request."""
    try:
        await connection.metadata([])
    except DependencyError as error:
        await connection.close()
        if error.reason is Reason.CONNECTION_RESET:
            raise DependencyError(Service.KAFKA, Reason.WRONG_LISTENER, evidence=error.evidence) from error
        raise


class Connection:
    """Implements `ports.KafkaConnection`."""

    def __init__(self, connection: AIOKafkaConnection, evidence: Mapping[str, str]) -> None:
        self._connection = connection
        self._evidence = dict(evidence)

    async def metadata(self, topics: Sequence[str]) -> ClusterMetadata:
        """Brokers of the cluster, and what it says of ``topics``. Creates none of them."""
        request = MetadataRequest(list(topics), allow_auto_topic_creation=False)
        answer = await self._ask(request, Asked.METADATA)
        brokers = {b["node_id"]: Broker(b["node_id"], b["host"], b["port"]) for b in answer["brokers"]}
        return ClusterMetadata(brokers, {t["topic"]: _topic(t) for t in answer["topics"]})

    async def find_coordinator(self, group: str) -> Broker:
        """The broker that coordinates ``group``."""
        answer = await self._ask(FindCoordinatorRequest(group, CONSUMER_GROUP), Asked.FIND_COORDINATOR, group=group)
        self._check(answer["error_code"], Asked.FIND_COORDINATOR, group=group)
        return Broker(answer["coordinator_id"], answer["host"], answer["port"])

    async def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """First and next offset of partitions that this broker leads."""
        begin, end = await asyncio.gather(self._offsets(partitions, EARLIEST), self._offsets(partitions, LATEST))
        return {partition: Bounds(begin[partition], end[partition]) for partition in partitions}

    async def read(self, partition: TopicPartition, offset: int) -> None:
        """Fetch without waiting. At the end of the partition nothing is sent back, elsewhere at least one batch."""
        topic, number = partition
        request = FetchRequest(0, 0, 1, READ_UNCOMMITTED, [(topic, [(number, offset, 1)])])
        answer = await self._send(request, Asked.FETCH, topic=topic)
        self._check(getattr(answer, "error_code", 0), Asked.FETCH, topic=topic)
        for _, parts in answer.topics:
            for _, code, *_ in parts:
                # Retention may have moved on meanwhile; a broker looks at the permission first.
                if code != OFFSET_OUT_OF_RANGE:
                    self._check(code, Asked.FETCH, topic=topic, topic_partition=str(number))

    async def join_and_leave(self, group: str, topics: Sequence[str]) -> None:
        """Become the only member of ``group`` and leave it. To be asked of its coordinator."""
        subscription = ConsumerProtocol.METADATA(0, list(topics), b"").encode()
        member = ANY_MEMBER
        code = MEMBER_ID_REQUIRED
        # Since KIP-394 a first request only gets a member id, with which the second one joins.
        while code == MEMBER_ID_REQUIRED:
            request = JoinGroupRequest(
                group, JOIN_SESSION_MS, JOIN_SESSION_MS, member, None, "consumer", [("range", subscription)]
            )
            answer = await self._ask(request, Asked.JOIN_GROUP, limit=JOIN_LIMIT, group=group)
            code, before, member = answer["error_code"], member, answer["member_id"]
            if before:
                break
        self._check(code, Asked.JOIN_GROUP, group=group)
        answer = await self._ask(LeaveGroupRequest(group, member), Asked.JOIN_GROUP, group=group)
        self._check(answer["error_code"], Asked.JOIN_GROUP, group=group)

    async def close(self) -> None:
        """Close without waiting: a peer that does not answer would hold TLS's farewell for half a minute."""
        self._connection.close()

    async def _offsets(self, partitions: Sequence[TopicPartition], time: int) -> dict[TopicPartition, int]:
        wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for topic, number in partitions:
            wanted[topic].append((number, time))
        topics = ", ".join(sorted(wanted))
        request = OffsetRequest(NOT_A_REPLICA, READ_UNCOMMITTED, list(wanted.items()))
        answer = await self._ask(request, Asked.LIST_OFFSETS, topic=topics)
        found = {}
        for listed in answer["topics"]:
            for part in listed["partitions"]:
                partition = TopicPartition(listed["topic"], part["partition"])
                evidence = {"topic": partition.topic, "topic_partition": str(partition.partition)}
                self._check(part["error_code"], Asked.LIST_OFFSETS, **evidence)
                found[partition] = part["offset"]
        return found

    async def _ask(
        self, request: Request[Any], asked: Asked, *, limit: float = REQUEST_LIMIT, **evidence: str
    ) -> dict[str, Any]:
        """The answer by names. Not for Fetch, whose answer has an array that may be null."""
        answer = await self._send(request, asked, limit=limit, **evidence)
        return dict(answer.to_object())

    async def _send(self, request: Request[Any], asked: Asked, *, limit: float = REQUEST_LIMIT, **evidence: str) -> Any:
        try:
            async with asyncio.timeout(limit):
                return await self._connection.send(request)
        except _FOREIGN as error:
            raise translate(error, asked, limit=f"{limit:g}", **self._evidence, **evidence) from error

    def _check(self, code: int, asked: Asked, **evidence: str) -> None:
        if code:
            raise refusal(code, asked, **self._evidence, **evidence)


def _topic(answer: Mapping[str, Any]) -> TopicMetadata:
    code = answer["error_code"]
    error = reason_of(code, Asked.METADATA) if code else None
    return TopicMetadata(error, {part["partition"]: part["leader"] for part in answer["partitions"]})
