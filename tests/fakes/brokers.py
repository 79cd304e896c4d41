"""Kafka brokers for the diagnosis: a cluster in memory that answers probes, and counts the logins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Bounds, Broker, ClusterMetadata, TopicMetadata, TopicPartition
from connectivity_operator.reasons import Reason, Service

END = 7
"""Where every partition ends."""


def failure(reason: Reason, service: Service = Service.KAFKA) -> DependencyError:
    return DependencyError(service, reason)


@dataclass
class FakeCluster:
    """Implements `ports.KafkaProber`. What a test wants to go wrong it writes into the dictionaries."""

    brokers: dict[int, Broker]
    topics: dict[str, TopicMetadata] = field(default_factory=dict)
    coordinator: int = 1
    logins: list[tuple[str, int]] = field(default_factory=list)
    """Where was logged in, in order."""
    login_failures: dict[tuple[str, int], DependencyError] = field(default_factory=dict)
    answers: dict[str, DependencyError] = field(default_factory=dict)
    """Question ("metadata", "bounds", "read", "find", "join") -> how every broker answers it."""
    reads: list[tuple[TopicPartition, int]] = field(default_factory=list)
    joined: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    open: list[FakeConnection] = field(default_factory=list)

    async def connect(self, host: str, port: int) -> FakeConnection:
        self.logins.append((host, port))
        if error := self.login_failures.get((host, port)):
            raise error
        connection = FakeConnection(self)
        self.open.append(connection)
        return connection

    def check(self, question: str) -> None:
        if error := self.answers.get(question):
            raise DependencyError(error.service, error.reason, evidence=error.evidence)


class FakeConnection:
    """Implements `ports.KafkaConnection`."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.broken = False
        """The peer has gone: the next question finds out."""

    async def metadata(self, topics: Sequence[str]) -> ClusterMetadata:
        self._check("metadata")
        absent = TopicMetadata(Reason.TOPIC_NOT_FOUND, {})
        return ClusterMetadata(self._cluster.brokers, {t: self._cluster.topics.get(t, absent) for t in topics})

    async def find_coordinator(self, group: str) -> Broker:
        self._check("find")
        return self._cluster.brokers[self._cluster.coordinator]

    async def bounds(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Bounds]:
        self._check("bounds")
        return {partition: Bounds(0, END) for partition in partitions}

    async def read(self, partition: TopicPartition, offset: int) -> None:
        self._check("read")
        self._cluster.reads.append((partition, offset))

    async def join_and_leave(self, group: str, topics: Sequence[str]) -> None:
        self._check("join")
        self._cluster.joined.append((group, tuple(topics)))

    async def close(self) -> None:
        if self in self._cluster.open:
            self._cluster.open.remove(self)

    def _check(self, question: str) -> None:
        if self.broken or self not in self._cluster.open:
            raise failure(Reason.CONNECTION_RESET)
        self._cluster.check(question)


def led_by(leaders: Mapping[int, int]) -> TopicMetadata:
    """A topic: partition -> id of its leader."""
    return TopicMetadata(None, leaders)
