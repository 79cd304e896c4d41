"""What is asked about a topic and a consumer group once we are logged in, each question of the broker that must answer.

Needed permissions: Metadata and ListOffsets need DescribeTopic, Fetch needs ReadData, FindCoordinator needs
DescribeGroup, JoinGroup needs AlterGroup. A broker looks at the permission before anything else.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Sequence

from connectivity_operator.diagnosis.kafka.brokers import Brokers, Endpoint
from connectivity_operator.diagnosis.ladder import Notes, Step
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Broker, ClusterMetadata, KafkaConnection, TopicPartition
from connectivity_operator.reasons import Reason, Rung, Service

LIMIT = 10.0
"""Seconds for all that is asked at one rung; the first question may find its connection dead."""
JOIN_LIMIT = 15.0
"""Brokers wait some seconds for further members of a new group."""

_DENIALS = frozenset({Reason.READ_DATA_DENIED, Reason.DESCRIBE_TOPIC_DENIED, Reason.ALTER_GROUP_DENIED})
"""What an operation may find that is the rung below's to tell."""


class TopicQuestions:
    """One topic: may we describe it, does it exist, does every leader hand out messages?"""

    def __init__(self, brokers: Brokers, topic: str) -> None:
        self._brokers, self._topic = brokers, topic
        self._metadata = ClusterMetadata({}, {})

    def steps(self) -> list[Step]:
        """Authorization, operation."""
        return [
            Step(Rung.AUTHORIZATION, self._describe, LIMIT, Reason.REQUEST_TIMEOUT),
            Step(Rung.OPERATION, self._read, LIMIT, Reason.REQUEST_TIMEOUT),
        ]

    async def _describe(self, notes: Notes) -> None:
        metadata = await self._brokers.ask_any(lambda c: c.metadata([self._topic]), needed_for=self._topic)
        error = metadata.topics[self._topic].error
        if error not in (None, Reason.LEADER_UNAVAILABLE):
            raise DependencyError(Service.KAFKA, error)
        self._metadata = metadata

    async def _read(self, notes: Notes) -> None:
        led: dict[int, list[TopicPartition]] = defaultdict(list)
        for number, leader in sorted(self._metadata.topics[self._topic].leaders.items()):
            led[leader].append(TopicPartition(self._topic, number))
        leaderless = [str(parts[0].partition) for leader, parts in led.items() if leader not in self._metadata.brokers]
        if leaderless or not led:  # a topic being created has no partitions yet
            evidence = {"topic_partition": leaderless[0]} if leaderless else {}
            raise DependencyError(Service.KAFKA, Reason.LEADER_UNAVAILABLE, evidence=evidence)
        await _all([self._fetch(self._metadata.brokers[leader], parts) for leader, parts in led.items()])

    async def _fetch(self, leader: Broker, partitions: Sequence[TopicPartition]) -> None:
        async def fetch(connection: KafkaConnection) -> None:
            bounds = await connection.bounds(partitions)
            # At the end there is nothing to send back; the permission is looked at, and the leader answers.
            await connection.read(partitions[0], bounds[partitions[0]].end)

        await _denials_below(self._brokers.ask(_endpoint(leader), fetch, needed_for=self._topic))


class GroupQuestions:
    """One consumer group: may we look for its coordinator, does that answer, and (``join``) may we be a member?"""

    def __init__(self, brokers: Brokers, group: str, *, join: bool, topics: frozenset[str]) -> None:
        self._brokers, self._group = brokers, group
        self._join, self._topics = join, sorted(topics)
        self._coordinator: Broker | DependencyError = DependencyError(Service.KAFKA, Reason.COORDINATOR_UNAVAILABLE)

    def steps(self) -> list[Step]:
        """Authorization, operation."""
        return [
            Step(Rung.AUTHORIZATION, self._find, LIMIT, Reason.REQUEST_TIMEOUT),
            Step(Rung.OPERATION, self._coordinate, JOIN_LIMIT, Reason.COORDINATOR_UNAVAILABLE),
        ]

    async def _find(self, notes: Notes) -> None:
        try:
            self._coordinator = await self._brokers.ask_any(
                lambda c: c.find_coordinator(self._group), needed_for=self._needed_for
            )
        except DependencyError as error:
            if error.reason is not Reason.COORDINATOR_UNAVAILABLE:
                raise
            self._coordinator = error  # we were allowed to ask: it is the next rung that fails

    async def _coordinate(self, notes: Notes) -> None:
        if isinstance(self._coordinator, DependencyError):
            raise self._coordinator
        endpoint = _endpoint(self._coordinator)

        async def answer(connection: KafkaConnection) -> None:
            if self._join:
                await connection.join_and_leave(self._group, self._topics)
            else:
                await connection.find_coordinator(self._group)

        await _denials_below(self._brokers.ask(endpoint, answer, needed_for=self._needed_for))

    @property
    def _needed_for(self) -> str:
        return f"consumer group {self._group}"


async def _all(questions: Sequence[Awaitable[None]]) -> None:
    """Ask side by side; a refusal tells more than a broker that is away."""
    answers = await asyncio.gather(*questions, return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, BaseException)]
    if errors:
        raise next((e for e in errors if isinstance(e, DependencyError) and e.rung), errors[0])


async def _denials_below(question: Awaitable[None]) -> None:
    """A denial is of the rung authorization, although only the operation shows it."""
    try:
        await question
    except DependencyError as error:
        if error.reason in _DENIALS:
            error.rung = Rung.AUTHORIZATION
        raise


def _endpoint(broker: Broker) -> Endpoint:
    return Endpoint(broker.host, broker.port)
