"""A member of a consumer group on the lab's brokers: the contract, and what aiokafka alone would get wrong."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from connectivity_operator.adapters.kafka import Access, GroupConsumer, Membership, Prober, client
from connectivity_operator.adapters.kafka.reading import REST
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import MessageSource, Record, TopicPartition
from connectivity_operator.reasons import Reason, Service
from lab.kafka import admin
from tests.contracts.message_source import (
    LIMIT,
    Listener,
    MessageSourceContract,
    from_the_beginning,
    joined,
    read,
    turn,
    values,
)
from tests.lab.msk_login import BOOTSTRAP, BROKERS, Role, resolve_as

QUICK = Membership(session_ms=6_000, heartbeat_ms=300)
"""Rebalances are noticed at a heartbeat: tests need not wait three seconds for each."""


class LabCluster:
    """A topic and a group of its own, over the listener that wants no login unless ``access`` is given."""

    def __init__(self, access: Access | None = None) -> None:
        name = secrets.token_hex(4)
        self.topic, self.group = f"connectivity-test-adapter-{name}", f"connectivity-test.adapter-{name}"
        servers = tuple(admin.BOOTSTRAP_SERVERS)
        self.access = access or Access(bootstrap_servers=servers, security_protocol="PLAINTEXT")
        self.prober = Prober(self.access)
        self.topics = [self.topic]
        self._members: list[GroupConsumer] = []

    def member(self, membership: Membership = QUICK) -> GroupConsumer:
        made = GroupConsumer(
            access=self.access,
            prober=self.prober,
            group=self.group,
            client_id=f"test-{len(self._members)}",
            membership=membership,
        )
        self._members.append(made)
        return made

    async def produce(self, partition: int, *messages: bytes | None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=admin.BOOTSTRAP_SERVERS, acks="all") as producer:
            for message in messages:
                await producer.send_and_wait(self.topic, message, key=b"key", partition=partition)

    async def delete_before(self, partition: int, offset: int) -> None:
        await admin.delete_records(self.topic, {partition: offset})

    async def create(self, partitions: int = 2) -> LabCluster:
        await admin.create_topic(self.topic, partitions)
        return self

    async def end(self) -> None:
        for member in self._members:
            await member.stop()
        for topic in self.topics:
            await admin.delete_topic(topic)


@pytest.fixture
async def cluster(lab: object) -> AsyncIterator[LabCluster]:
    made = await LabCluster().create()
    yield made
    await made.end()


class TestMessageSource(MessageSourceContract):
    """The contract, kept by the real source."""


def inside(source: MessageSource) -> Any:
    """aiokafka's consumer within a source."""
    assert isinstance(source, GroupConsumer)
    return source._consumer


async def told(source: MessageSource, reason: Reason, *sources: MessageSource) -> DependencyError:
    """Fetch until it raises that reason; whatever else is raised is a failure of the test."""
    with pytest.raises(DependencyError) as error:
        await turn(lambda: False, source, *sources)
    assert error.value.reason is reason
    return error.value


async def in_spite(source: MessageSource, count: int) -> tuple[list[Record], list[DependencyError]]:
    """The next ``count`` records, and what was raised meanwhile."""
    records: list[Record] = []
    errors: list[DependencyError] = []
    deadline = time.monotonic() + LIMIT
    while len(records) < count:
        assert time.monotonic() < deadline, f"only {len(records)} of {count} records came"
        try:
            records += await source.fetch(limit=100, wait=0.2)
        except DependencyError as error:
            errors.append(error)
            await asyncio.sleep(0.1)
    return records, errors


# ── speed ────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_backlog_is_read_without_pauses(cluster: LabCluster) -> None:
    """Also by a slow reader, and beside partitions that have nothing: no long poll may hold up what is there."""
    topic = f"{cluster.topic}-backlog"
    cluster.topics.append(topic)
    await admin.create_topic(topic, replicas=[[1, 2]] * 3)
    await admin.produce(topic, [b"x" * 100] * 8_000, partition=0)
    source = cluster.member()
    await source.start(frozenset({topic}), Listener(source, from_the_beginning))
    count, longest, last = 0, 0.0, None
    while count < 8_000:
        records = await source.fetch(limit=256, wait=1.0)
        now = time.monotonic()
        if records:
            longest, last = max(longest, now - (last or now)), now
        count += len(records)
        await asyncio.sleep(0.02)
    assert longest < client.FETCH_WAIT_MS / 2000


async def test_questions_do_not_wait_behind_a_fetch(cluster: LabCluster) -> None:
    """An idle source waits at the broker for seconds; lag is asked for meanwhile."""
    source, _ = await joined(cluster, from_the_beginning)
    waiting = asyncio.create_task(source.fetch(limit=1, wait=10.0))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await source.bounds(source.assignment())
    await source.partitions(frozenset({cluster.topic}))
    assert time.monotonic() - began < 2.0
    assert not waiting.done()
    await cluster.produce(0, b"a")
    assert values(await waiting, 0) == [b"a"]


async def test_a_partition_without_a_leader_does_not_make_us_hammer_the_cluster(
    cluster: LabCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka alone asks for metadata as fast as the answers come: two thousand times a second."""
    source, _ = await joined(cluster, from_the_beginning)
    inner = inside(source)._client
    requests: list[float] = []
    update = inner._metadata_update._update

    async def counted(*args: Any) -> Any:
        requests.append(time.monotonic())
        return await update(*args)

    monkeypatch.setattr(inner._metadata_update, "_update", counted)
    monkeypatch.setattr(inner.cluster, "leader_for_partition", lambda partition: -1)
    await cluster.produce(0, b"wakes the fetch routine")
    until = time.monotonic() + client.FETCH_WAIT_MS / 1000 + 3.0
    while time.monotonic() < until:
        await source.fetch(limit=1, wait=0.2)
    assert 1 <= len(requests) <= 20


# ── what cannot be read ──────────────────────────────────────────────────────────────────────────────
async def test_an_unreadable_batch_costs_no_message_and_holds_up_no_partition(
    cluster: LabCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What precedes it is handed out, it is told, the others go on, and it is read as soon as it can be."""
    topic = f"{cluster.topic}-packed"
    cluster.topics.append(topic)
    await admin.create_topic(topic, replicas=[[1, 2]] * 6)  # one leader: all come in one answer
    others = range(1, 6)
    sent = [b"%d" % number for number in range(5)]
    await admin.produce(topic, sent, partition=0)
    await admin.produce(topic, [b"packed"] * 3, partition=0, compression="zstd")
    for partition in others:
        await admin.produce(topic, sent, partition=partition)
    source = cluster.member()
    with monkeypatch.context() as without_zstd:
        without_zstd.setattr("aiokafka.codec.has_zstd", lambda: False)
        await source.start(frozenset({topic}), Listener(source, from_the_beginning))
        records, errors = await in_spite(source, 6 * len(sent))
        assert {partition: values(records, partition) for partition in range(6)} == dict.fromkeys(range(6), sent)
        error = errors[0] if errors else await told(source, Reason.UNSUPPORTED_COMPRESSION)
        assert error.reason is Reason.UNSUPPORTED_COMPRESSION
        assert error.evidence.items() >= {"codec": "zstd", "topic": topic, "topic_partition": "0"}.items()
        assert source.position(TopicPartition(topic, 0)) == len(sent)
        await admin.produce(topic, [b"later"], partition=1)
        later, _ = await in_spite(source, 1)
        assert values(later, 1) == [b"later"]
    healed, _ = await in_spite(source, 3)
    assert values(healed, 0) == [b"packed"] * 3


async def test_a_transactions_marker_is_no_lag(cluster: LabCluster) -> None:
    """It takes an offset and is no message: who counted messages would seem to lag behind by one for ever."""
    producer = AIOKafkaProducer(bootstrap_servers=admin.BOOTSTRAP_SERVERS, transactional_id=cluster.group)
    async with producer, producer.transaction():
        for message in (b"a", b"b"):
            await producer.send_and_wait(cluster.topic, message, partition=0)
    source, _ = await joined(cluster, from_the_beginning)
    assert values(await read(source, 2), 0) == [b"a", b"b"]
    partition = TopicPartition(cluster.topic, 0)
    end = (await source.bounds(frozenset({partition})))[partition].end
    assert end == 3
    await turn(lambda: source.position(partition) == end, source)


# ── permissions ──────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def role(lab: object) -> Iterator[Role]:
    made = Role()
    yield made
    made.remove()


@pytest.fixture
async def guarded(role: Role) -> AsyncIterator[LabCluster]:
    """A cluster whose members log in with the role."""
    made = await LabCluster(role.access()).create()
    yield made
    await made.end()


async def test_a_topic_that_must_not_be_read_holds_up_no_other(role: Role, guarded: LabCluster) -> None:
    """It is told by name, and read by itself once it may be."""
    other = f"{guarded.topic}-other"
    guarded.topics.append(other)
    await admin.create_topic(other, 1)
    await guarded.produce(0, b"a")
    source = guarded.member()
    with role.denied("ReadData", guarded.topic):
        await source.start(frozenset(guarded.topics), Listener(source, from_the_beginning))
        error = await told(source, Reason.READ_DATA_DENIED)
        assert error.evidence["topic"] == guarded.topic
        sent = [b"%d" % number for number in range(300)]
        await admin.produce(other, sent, partition=0)
        records: list[Record] = []
        errors = 0
        until = time.monotonic() + REST
        while time.monotonic() < until:
            try:
                records += await source.fetch(limit=10, wait=0.05)
            except DependencyError:
                errors += 1
        assert [record.value for record in records] == sent
        assert errors <= 2
    records, _ = await in_spite(source, 1)
    assert [record.value for record in records] == [b"a"]


@pytest.mark.parametrize(
    ("action", "reason"),
    [("DescribeGroup", Reason.DESCRIBE_GROUP_DENIED), ("AlterGroup", Reason.ALTER_GROUP_DENIED)],
)
async def test_a_group_that_must_not_be_joined_is_told_and_joined_later(
    role: Role, guarded: LabCluster, action: str, reason: Reason
) -> None:
    """Kafka has one code for both; the source goes on trying."""
    await guarded.produce(0, b"a")
    source = guarded.member()
    with role.without(action):
        await source.start(frozenset({guarded.topic}), Listener(source, from_the_beginning))
        error = await told(source, reason)
        assert error.evidence["group"] == guarded.group
    records, _ = await in_spite(source, 1)
    assert values(records, 0) == [b"a"]


async def test_a_member_without_messages_comes_back_after_a_denial(role: Role, guarded: LabCluster) -> None:
    """A denied heartbeat ends the task that sends them; without a commit nothing else makes the member join again."""
    source, _ = await joined(guarded, from_the_beginning)
    with role.without("AlterGroup"):
        await told(source, Reason.ALTER_GROUP_DENIED)
    quiet, deadline = 0, time.monotonic() + LIMIT
    while quiet < 10:
        assert time.monotonic() < deadline, "it is denied for ever"
        try:
            await source.fetch(limit=10, wait=0.2)
            quiet += 1
        except DependencyError:
            quiet = 0
            await asyncio.sleep(0.1)
    await guarded.produce(0, b"a")
    records, errors = await in_spite(source, 1)
    assert (values(records, 0), errors) == ([b"a"], [])


async def test_questions_and_commits_that_are_denied_have_their_reason(role: Role, guarded: LabCluster) -> None:
    """Brokers keep a decision about a session for a second."""
    source, _ = await joined(guarded, from_the_beginning)
    both = frozenset(TopicPartition(guarded.topic, number) for number in (0, 1))

    async def denied(question: Callable[[], Any], reason: Reason) -> None:
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            try:
                await question()
            except DependencyError as error:
                if error.reason is reason:  # not one that was in force before
                    return
            await asyncio.sleep(0.2)
        pytest.fail(f"never denied as {reason}")

    with role.without("DescribeTopic"):
        await denied(lambda: source.bounds(both), Reason.DESCRIBE_TOPIC_DENIED)
        await denied(lambda: source.partitions(frozenset({guarded.topic})), Reason.DESCRIBE_TOPIC_DENIED)
        await denied(lambda: source.committed(both), Reason.DESCRIBE_TOPIC_DENIED)
    with role.without("DescribeGroup"):
        await denied(lambda: source.committed(both), Reason.DESCRIBE_GROUP_DENIED)
    with role.without("ReadData"):
        await denied(lambda: source.commit({TopicPartition(guarded.topic, 0): 0}), Reason.READ_DATA_DENIED)
    with role.without("AlterGroup"):
        await denied(lambda: source.commit({TopicPartition(guarded.topic, 0): 0}), Reason.ALTER_GROUP_DENIED)


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        ((f"{BROKERS[0]}:9094",), Reason.WRONG_LISTENER),
        (("absent.invalid:9098",), Reason.NAME_NOT_RESOLVED),
        ((f"{BROKERS[0]}:9099",), Reason.CONNECTION_REFUSED),
        ((), Reason.NOT_CONFIGURED),
    ],
)
async def test_a_start_that_fails_says_why(
    role: Role, monkeypatch: pytest.MonkeyPatch, servers: tuple[str, ...], reason: Reason
) -> None:
    """aiokafka says "unable to bootstrap" whatever the cause."""
    resolve_as(monkeypatch, {"absent.invalid": None})
    cluster = LabCluster(role.access(servers=servers))
    source = cluster.member()
    with pytest.raises(DependencyError) as error:
        await source.start(frozenset({cluster.topic}), Listener(source))
    assert error.value.reason is reason
    await source.stop()


async def test_a_bootstrap_server_that_drops_packets_delays_only(
    guarded: LabCluster, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two: the other one is used."""
    monkeypatch.setattr("connectivity_operator.adapters.kafka.patches.CONNECT_LIMIT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        guarded.access.bootstrap_servers = (f"127.0.0.1:{silent.getsockname()[1]}", BOOTSTRAP[0])
        began = time.monotonic()
        await joined(guarded, starts=None)
    assert time.monotonic() - began < 10.0


async def test_a_topic_that_appears_later_is_read(cluster: LabCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the age that metadata may have, half a minute; and no consumer creates it by asking for it."""
    monkeypatch.setattr(client, "METADATA_AGE_MS", 500)
    late = f"{cluster.topic}-late"
    cluster.topics.append(late)
    source = cluster.member()
    await source.start(frozenset({late}), Listener(source, from_the_beginning))
    await source.fetch(limit=1, wait=1.5)
    assert await source.partitions(frozenset({late})) == frozenset()
    await admin.create_topic(late, 1)
    await admin.produce(late, [b"a"])
    assert [record.value for record in await read(source, 1)] == [b"a"]


# ── endurance ────────────────────────────────────────────────────────────────────────────────────────
def fetcher(consumer: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = consumer._fetcher._fetch_task
    return task


def coordination(consumer: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = consumer._coordinator._coordination_task
    return task


def metadata(consumer: Any) -> asyncio.Task[None]:
    task: asyncio.Task[None] = consumer._client._sync_task
    return task


@pytest.mark.parametrize("part", [fetcher, coordination, metadata])
async def test_a_consumer_that_died_is_replaced(cluster: LabCluster, part: Callable[[Any], asyncio.Task[None]]) -> None:
    """aiokafka alone would be silent for ever. The listener hears of it as of a rebalance."""
    await cluster.produce(0, b"a")
    source, listener = await joined(cluster, from_the_beginning)
    await read(source, 1)
    part(inside(source)).cancel()
    await cluster.produce(0, b"b")
    listener.starts = {TopicPartition(cluster.topic, 0): 1, TopicPartition(cluster.topic, 1): 0}.__getitem__
    began = time.monotonic()
    assert values(await read(source, 1), 0) == [b"b"]
    assert [name for name, _ in listener.calls] == ["assigned", "revoked", "assigned"]
    assert time.monotonic() - began < QUICK.session_ms / 1000, "the dead one was still in the group"


async def test_a_consumer_that_died_of_an_error_is_closed_whole(cluster: LabCluster) -> None:
    """`stop()` raises what its fetch routine died of, before it has closed the connections."""
    await cluster.produce(0, b"a")
    source, _ = await joined(cluster, from_the_beginning)
    await read(source, 1)
    consumer = inside(source)
    consumer._fetcher._fetch_task.cancel()
    consumer._fetcher._fetch_task = asyncio.create_task(_raising(KeyError("two requests timed out at once")))
    await turn(lambda: inside(source) is not consumer and source.assignment(), source)
    assert consumer._closed
    assert not any(connection.connected() for connection in consumer._client._conns.values())
    assert all(part(consumer).done() for part in (coordination, metadata))


async def test_who_is_cancelled_while_a_dead_consumer_is_replaced_leaves_none_behind(cluster: LabCluster) -> None:
    """A resource is deleted at that moment. What is left would keep its place in the group, and its connections."""
    source, listener = await joined(cluster, from_the_beginning)
    consumer, revoking = inside(source), asyncio.Event()

    async def never(_: frozenset[TopicPartition]) -> None:
        revoking.set()
        await asyncio.Event().wait()

    listener.on_revoked = never  # type: ignore[method-assign]
    fetcher(consumer).cancel()
    await asyncio.wait({fetcher(consumer)})
    fetch = asyncio.create_task(source.fetch(limit=1, wait=0.1))
    await revoking.wait()
    fetch.cancel()
    await asyncio.wait({fetch})
    await source.stop()
    assert not any(connection.connected() for connection in consumer._client._conns.values())
    assert all(part(consumer).done() for part in (fetcher, coordination, metadata))


async def _raising(error: Exception) -> None:
    raise error


async def test_a_login_that_fails_for_a_while_kills_nothing(guarded: LabCluster, role: Role) -> None:
    """Tokens that cannot be made when connections are renewed: the same consumer goes on as soon as they can."""
    source, _ = await joined(guarded, from_the_beginning)
    consumer = inside(source)
    make = guarded.access._tokens._make
    asked = asyncio.Event()

    async def none() -> tuple[str, int]:
        asked.set()
        raise DependencyError(Service.IDENTITY, Reason.STS_UNREACHABLE)

    guarded.access._tokens._make = none
    for connection in list(consumer._client._conns.values()):
        connection.close()
    await turn(asked.is_set, source)
    guarded.access._tokens._make = make
    await guarded.produce(0, b"a")
    assert values(await read(source, 1), 0) == [b"a"]
    assert inside(source) is consumer


async def test_who_does_not_fetch_leaves_the_group(cluster: LabCluster) -> None:
    """A stuck owner must not keep its partitions; also after a fetch that ended by an exception."""
    stuck = cluster.member(Membership(session_ms=6_000, heartbeat_ms=300, max_poll_interval_ms=1_500))
    listener = Listener(stuck)
    listener.failure = ArithmeticError("leaves the fetch by an exception")
    await stuck.start(frozenset({cluster.topic}), listener)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await stuck.fetch(limit=1, wait=5.0)
    other = cluster.member()
    await other.start(frozenset({cluster.topic}), Listener(other))
    await turn(lambda: len(other.assignment()) == 2, other)
    with pytest.raises(DependencyError) as error:
        await stuck.commit({TopicPartition(cluster.topic, 0): 0})
    assert error.value.reason is Reason.COORDINATOR_UNAVAILABLE


async def test_stopping_has_a_limit(cluster: LabCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka waits for brokers that do not answer; what it leaves is ended, and the group is still left."""
    source, _ = await joined(cluster, from_the_beginning)
    consumer = inside(source)
    monkeypatch.setattr(client, "STOP_LIMIT", 0.2)
    monkeypatch.setattr(consumer, "stop", lambda: asyncio.sleep(60))
    began = time.monotonic()
    await source.stop()
    assert time.monotonic() - began < 2 * client.LEAVE_LIMIT
    assert all(part(consumer).done() for part in (fetcher, coordination, metadata))
    monkeypatch.undo()
    await consumer.stop()
    other = cluster.member()
    began = time.monotonic()
    await other.start(frozenset({cluster.topic}), Listener(other))
    await turn(lambda: len(other.assignment()) == 2, other)
    assert time.monotonic() - began < QUICK.session_ms / 1000
