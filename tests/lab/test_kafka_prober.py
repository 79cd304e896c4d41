"""Probe connections against the lab's brokers: each stage and each permission has its own reason."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

from connectivity_operator.adapters.kafka import Producer
from connectivity_operator.adapters.kafka.prober import Connection
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Bounds, TopicPartition
from connectivity_operator.reasons import Reason, Service
from lab import processes, world
from lab.iam import control
from lab.kafka import admin
from tests.lab.msk_login import BROKERS, Role, resolve_as

FIRST = BROKERS[0]
GROUP = "connectivity-test.prober"


@pytest.fixture
def role(lab: object) -> Iterator[Role]:
    made = Role()
    yield made
    made.remove()


@pytest.fixture
async def topic(lab: object) -> AsyncIterator[str]:
    """One partition, led by the first broker, with three messages of which one has been removed."""
    name = f"connectivity-test-prober-{secrets.token_hex(4)}"
    await admin.create_topic(name, replicas=[[1]])
    await admin.produce(name, [b"a", b"b", b"c"], partition=0)
    await admin.delete_records(name, {0: 1})
    yield name
    await admin.delete_topic(name)


async def refused(question: Awaitable[object]) -> DependencyError:
    with pytest.raises(DependencyError) as error:
        await question
    return error.value


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("protocol", "port", "reason"),
    [
        ("SASL_SSL", 9098, None),
        ("SASL_SSL", 9092, Reason.CONNECTION_RESET),
        ("SASL_SSL", 9094, Reason.WRONG_LISTENER),
        ("SASL_SSL", 9096, Reason.WRONG_LISTENER),
        ("SASL_SSL", 9099, Reason.CONNECTION_REFUSED),
        ("SSL", 9094, None),
        ("SSL", 9096, Reason.WRONG_LISTENER),
        ("SSL", 9098, Reason.WRONG_LISTENER),
        ("PLAINTEXT", 9092, None),
        ("PLAINTEXT", 9094, Reason.WRONG_LISTENER),
        ("PLAINTEXT", 9098, Reason.WRONG_LISTENER),
    ],
)
async def test_a_listener_lets_in_its_own_protocol_only(
    role: Role, protocol: str, port: int, reason: Reason | None
) -> None:
    """MSK has a port for each: the mistake of taking another one has a name."""
    attempt = role.prober(protocol=protocol).connect(FIRST, port)
    if reason is None:
        connection = await attempt
        assert len((await connection.metadata([])).brokers) == 2
        await connection.close()
    else:
        assert (await refused(attempt)).reason is reason


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("absent.invalid", 9098, Reason.NAME_NOT_RESOLVED),
        ("a" * 64, 9098, Reason.NAME_NOT_RESOLVED),
        ("127.77.0.11", 9098, Reason.CERTIFICATE_NAME_MISMATCH),
        (world.OPENAI[0], 443, Reason.UNEXPECTED_ANSWER),
        (world.POSTGRESQL[0], 5432, Reason.CONNECTION_RESET),
    ],
)
async def test_what_is_no_broker_is_told(
    role: Role, monkeypatch: pytest.MonkeyPatch, host: str, port: int, reason: Reason
) -> None:
    """A wrong name, an address instead of a name, another service."""
    resolve_as(monkeypatch, {"absent.invalid": None})
    assert (await refused(role.prober().connect(host, port))).reason is reason


async def test_a_silent_port_ends_at_the_limit(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """A security group that drops packets must not hold a check for the minutes that TCP would wait."""
    monkeypatch.setattr("connectivity_operator.adapters.kafka.prober.CONNECT_LIMIT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(role.prober().connect("127.0.0.1", silent.getsockname()[1]))
    assert error.reason is Reason.CONNECTION_TIMEOUT
    assert error.evidence["limit"] == "0.5"


async def test_each_refusal_of_a_login_has_its_reason(role: Role) -> None:
    """MSK gives error 58 for all of them and tells them apart by its text alone."""
    with role.without("Connect"):
        assert (await refused(role.prober().connect(FIRST, 9098))).reason is Reason.CLUSTER_ACCESS_DENIED
    ending = role.prober(seconds=5)
    assert (await refused(ending.connect(FIRST, 9098))).reason is Reason.CREDENTIALS_TOO_SHORT
    elsewhere = role.prober(region="us-east-1")
    assert (await refused(elsewhere.connect(FIRST, 9098))).reason is Reason.CLUSTER_ACCESS_DENIED


async def test_too_many_logins_a_second_have_their_reason(role: Role) -> None:
    """The brokers' quota for new IAM connections."""
    prober = role.prober()
    with control.changed({"faults": {"connect_rate": 1}}):
        logins = [prober.connect(FIRST, 9098) for _ in range(6)]
        answers = await asyncio.gather(*logins, return_exceptions=True)
    for connection in answers:
        if isinstance(connection, Connection):
            await connection.close()
    assert Reason.CONNECTION_RATE_EXCEEDED in [a.reason for a in answers if isinstance(a, DependencyError)]


async def test_without_a_token_it_is_the_identitys_failure(role: Role) -> None:
    """What the token provider raises comes out unchanged."""
    access = role.access()

    async def none() -> tuple[str, int]:
        raise DependencyError(Service.IDENTITY, Reason.CREDENTIALS_EXPIRED)

    access._tokens._make = none
    prober = role.prober()
    prober._access = access
    error = await refused(prober.connect(FIRST, 9098))
    assert (error.service, error.reason) == (Service.IDENTITY, Reason.CREDENTIALS_EXPIRED)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────
async def test_the_least_privilege_answers_every_question(role: Role, topic: str) -> None:
    """Metadata, offsets, a fetch, the coordinator, and a membership of no duration."""
    connection = await role.prober().connect(FIRST, 9098)
    metadata = await connection.metadata([topic])
    assert metadata.topics[topic].error is None
    assert metadata.topics[topic].leaders == {0: 1}
    partition = TopicPartition(topic, 0)
    assert await connection.bounds([partition]) == {partition: Bounds(1, 3)}
    for offset in (1, 3, 99):
        await connection.read(partition, offset)
    coordinator = await connection.find_coordinator(GROUP)
    await connection.close()
    at_home = await role.prober().connect(coordinator.host, coordinator.port)
    await at_home.join_and_leave(GROUP, [topic])
    await at_home.close()
    assert await admin.committed_offsets(GROUP) == {}


async def test_topics_that_cannot_be_asked_for_are_told_apart(role: Role, topic: str) -> None:
    """Absent, not allowed, and no name at all; asking creates none of them."""
    connection = await role.prober().connect(FIRST, 9098)
    seen = (await connection.metadata([topic, f"{topic}-absent", "somebody-elses"])).topics
    await connection.close()
    assert {name: found.error for name, found in seen.items()} == {
        topic: None,
        f"{topic}-absent": Reason.TOPIC_NOT_FOUND,
        "somebody-elses": Reason.DESCRIBE_TOPIC_DENIED,
    }
    assert await admin.leaders(f"{topic}-absent") == {}


async def _read(connection: Connection, topic: str) -> None:
    await connection.read(TopicPartition(topic, 0), 1)


async def _bounds(connection: Connection, topic: str) -> None:
    await connection.bounds([TopicPartition(topic, 0)])


async def _find(connection: Connection, topic: str) -> None:
    await connection.find_coordinator(GROUP)


async def _join(connection: Connection, topic: str) -> None:
    await connection.join_and_leave(GROUP, [topic])


@pytest.mark.parametrize(
    ("action", "question", "reason"),
    [
        ("ReadData", _read, Reason.READ_DATA_DENIED),
        ("DescribeTopic", _bounds, Reason.DESCRIBE_TOPIC_DENIED),
        ("DescribeGroup", _find, Reason.DESCRIBE_GROUP_DENIED),
        ("AlterGroup", _join, Reason.ALTER_GROUP_DENIED),
    ],
)
async def test_each_missing_action_has_its_reason(
    role: Role, topic: str, action: str, question: Callable[[Connection, str], Awaitable[None]], reason: Reason
) -> None:
    """Kafka has one code for topics and one for groups; the question tells which action it is."""
    with role.without(action):
        connection = await role.prober().connect(FIRST, 9098)
        error = await refused(question(connection, topic))
        await connection.close()
    assert error.reason is reason


async def test_a_broker_that_does_not_lead_says_so(role: Role, topic: str) -> None:
    """Offsets and messages are the leader's to give."""
    connection = await role.prober().connect(BROKERS[1], 9098)
    assert (await refused(_bounds(connection, topic))).reason is Reason.LEADER_UNAVAILABLE
    await connection.close()


async def test_a_group_of_another_kind_of_client_cannot_be_joined(role: Role) -> None:
    """A code of the broker that says nothing of our rights: its number and name are told."""
    asked = await role.prober().connect(FIRST, 9098)
    coordinator = await asked.find_coordinator(GROUP)
    await asked.close()
    first = await role.prober().connect(coordinator.host, coordinator.port)
    second = await role.prober().connect(coordinator.host, coordinator.port)

    def join(member: str) -> Awaitable[Any]:
        return first._connection.send(
            JoinGroupRequest(GROUP, 10_000, 10_000, member, None, "connect", [("eager", b"")])
        )

    member = (await join("")).to_object()["member_id"]
    await join(member)
    error = await refused(second.join_and_leave(GROUP, ["orders"]))
    await first._connection.send(LeaveGroupRequest(GROUP, member))
    await first.close()
    await second.close()
    assert error.reason is Reason.SERVICE_UNAVAILABLE
    assert error.evidence["detail"] == "JoinGroup: error 23, INCONSISTENT_GROUP_PROTOCOL"


async def test_a_broker_that_stops_answering_ends_a_question_at_its_limit(role: Role) -> None:
    """The process hangs; its connections stay."""
    connection = await role.prober().connect(BROKERS[1], 9098)
    processes.send("kafka-2", signal.SIGSTOP)
    try:
        error = await refused(connection.find_coordinator(GROUP))
    finally:
        processes.send("kafka-2", signal.SIGCONT)
    await connection.close()
    assert error.reason is Reason.REQUEST_TIMEOUT


async def test_a_closed_connection_says_so(role: Role) -> None:
    """Also of one that was opened long ago."""
    connection = await role.prober().connect(FIRST, 9098)
    await connection.close()
    assert (await refused(connection.metadata([]))).reason is Reason.CONNECTION_RESET


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────
async def test_messages_are_sent_and_their_places_told(role: Role, topic: str) -> None:
    """In order, on the partition that there is."""
    access = role.access()
    places = await Producer(access, role.prober()).send(topic, [b"d", b"e"])
    assert places == [(0, 3), (0, 4)]


async def test_each_refusal_to_send_has_its_reason(role: Role, topic: str) -> None:
    """A missing topic is told at once, not after a producer's minute of patience."""

    async def send(to: str) -> Reason:
        return (await refused(Producer(role.access(), role.prober()).send(to, [b"x"]))).reason

    assert await send(f"{topic}-absent") is Reason.TOPIC_NOT_FOUND
    assert await send("somebody-elses") is Reason.DESCRIBE_TOPIC_DENIED
    with role.without("WriteData"):
        assert await send(topic) is Reason.WRITE_DATA_DENIED
    with role.without("Connect"):
        assert await send(topic) is Reason.CLUSTER_ACCESS_DENIED
    too_large = await refused(Producer(role.access(), role.prober()).send(topic, [b"x" * 2_000_000]))
    assert too_large.reason is Reason.TOO_LARGE
    assert too_large.evidence["detail"] == "Produce: error 10, MESSAGE_SIZE_TOO_LARGE"
