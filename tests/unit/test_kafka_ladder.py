"""Kafka's ladder over a cluster in memory; names and ports are real ones of the loopback."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.kafka import KafkaLadder
from connectivity_operator.diagnosis.kafka.brokers import Brokers, Endpoint
from connectivity_operator.diagnosis.kafka.listener import ListenerCheck
from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Broker, TopicPartition
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from tests.fakes.brokers import END, FakeCluster, failure, led_by

ROLE = "arn:aws:iam::111122223333:role/connectivity-test"
CALLER = {"principal": ROLE, "account": "111122223333", "partition": "aws"}


@dataclass
class Ground:
    """Two brokers whose ports accept connections, and one port that refuses them."""

    cluster: FakeCluster
    first: Broker
    second: Broker
    closed: int

    def away(self) -> Broker:
        """Broker 2, advertised where nothing listens."""
        self.cluster.brokers[2] = Broker(2, "127.0.0.1", self.closed)
        return self.cluster.brokers[2]


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    servers = [await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0) for _ in range(2)]
    first, second = (Broker(i, "127.0.0.1", s.sockets[0].getsockname()[1]) for i, s in enumerate(servers, 1))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        cluster = FakeCluster({1: first, 2: second}, {"orders": led_by({0: 1, 1: 2}), "quiet": led_by({0: 1})})
        yield Ground(cluster, first, second, unused.getsockname()[1])
    for server in servers:
        server.close()


def at(*brokers: Broker) -> tuple[str, ...]:
    return tuple(f"{broker.host}:{broker.port}" for broker in brokers)


def where(broker: Broker) -> Endpoint:
    return Endpoint(broker.host, broker.port)


def ladder(cluster: FakeCluster, servers: tuple[str, ...], *, protocol: str = "PLAINTEXT") -> KafkaLadder:
    async def identity() -> Climb:
        return Climb(Service.IDENTITY, (RungOutcome(Rung.IDENTITY, Result.PASSED, 0.0),), evidence=CALLER)

    settings = Settings(kafka_bootstrap_servers=servers, kafka_security_protocol=protocol)
    return KafkaLadder(
        settings=settings, prober=cluster, identity=identity, context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )


async def climbed(kafka: KafkaLadder, *topics: str, group: str | None = None, join: bool = False) -> Climb:
    target = Target(topics=frozenset(topics), group=group, join=join)
    climb = await Diagnosis([kafka], Probes()).examine(Service.KAFKA, target, max_age=0)
    await kafka.close()
    return climb


def results(climb: Climb) -> dict[Rung, Result]:
    return {outcome.rung: outcome.result for outcome in climb.outcomes}


def verdict(climb: Climb) -> tuple[Reason, Rung] | None:
    return (climb.failure.reason, climb.failure.rung) if climb.failure else None


# ── how far it goes ──────────────────────────────────────────────────────────────────────────────────
async def test_without_topics_it_ends_at_the_login(ground: Ground) -> None:
    """At start-up no topic is known: that the brokers let us in is all there is to prove."""
    climb = await climbed(ladder(ground.cluster, at(ground.first)))
    assert climb.passed
    assert set(results(climb)) == {Rung.CONFIGURATION, Rung.DNS, Rung.TCP, Rung.AUTHENTICATION}


async def test_a_topic_is_proven_by_fetching_from_every_leader(ground: Ground) -> None:
    """At the end of a partition: the permission is proven and no message is taken."""
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders", group="g")
    assert climb.passed
    assert results(climb)[Rung.OPERATION] is Result.PASSED
    assert sorted(ground.cluster.reads) == [(TopicPartition("orders", 0), END), (TopicPartition("orders", 1), END)]
    assert ground.cluster.joined == []


async def test_only_check_joins_the_group(ground: Ground) -> None:
    """A resource's own consumer proves its membership; a second member would take its partitions."""
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders", group="g", join=True)
    assert climb.passed
    assert ground.cluster.joined == [("g", ("orders",))]


@pytest.mark.parametrize(("servers", "variable"), [((), "KAFKA_BOOTSTRAP_SERVERS"), (("127.0.0.1:1",), "AWS_REGION")])
async def test_what_is_not_configured_is_named(servers: tuple[str, ...], variable: str) -> None:
    """IAM logins cannot be signed without a region."""
    climb = await climbed(ladder(FakeCluster({}), servers, protocol="SASL_SSL"), "orders")
    assert verdict(climb) == (Reason.NOT_CONFIGURED, Rung.CONFIGURATION)
    assert climb.failure is not None
    assert climb.failure.evidence["variable"] == variable
    assert set(results(climb)) == set(Rung)
    assert list(results(climb).values()).count(Result.SKIPPED) == len(Rung) - 1


# ── brokers ──────────────────────────────────────────────────────────────────────────────────────────
async def test_one_bootstrap_server_that_works_is_enough(ground: Ground) -> None:
    """The others are warned of."""
    dead = Broker(9, "127.0.0.1", ground.closed)
    climb = await climbed(ladder(ground.cluster, at(dead, ground.first)), "orders")
    assert climb.passed
    assert results(climb)[Rung.TCP] is Result.WARNED
    (warning,) = climb.warnings
    assert (warning.reason, warning.rung) == (Reason.BROKER_UNREACHABLE, Rung.TCP)
    assert warning.evidence["broker"] == f"127.0.0.1:{ground.closed}"
    assert warning.evidence["detail"] == Reason.CONNECTION_REFUSED


async def test_when_no_bootstrap_server_works_the_one_that_got_furthest_tells(ground: Ground) -> None:
    """A denial says more than a port that refuses."""
    dead = Broker(9, "127.0.0.1", ground.closed)
    ground.cluster.login_failures[where(ground.first)] = failure(Reason.CLUSTER_ACCESS_DENIED)
    climb = await climbed(ladder(ground.cluster, at(dead, ground.first)), "orders")
    assert verdict(climb) == (Reason.CLUSTER_ACCESS_DENIED, Rung.AUTHENTICATION)
    assert results(climb)[Rung.OPERATION] is Result.SKIPPED


async def test_an_advertised_broker_is_climbed_though_nobody_named_it(ground: Ground) -> None:
    """Bootstrap servers are only the door: consumers talk to the brokers that they advertise."""
    ground.cluster.login_failures[where(ground.second)] = failure(Reason.CONNECTION_RATE_EXCEEDED)
    climb = await climbed(ladder(ground.cluster, at(ground.first)))
    assert climb.passed
    assert [(w.reason, w.rung) for w in climb.warnings] == [(Reason.CONNECTION_RATE_EXCEEDED, Rung.AUTHENTICATION)]


async def test_a_broker_that_is_away_fails_what_needs_it(ground: Ground) -> None:
    """It leads a partition of the topic; how it could not be reached is told with it."""
    away = ground.away()
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders")
    assert verdict(climb) == (Reason.BROKER_UNREACHABLE, Rung.OPERATION)
    assert climb.failure is not None
    wanted = {"broker": f"{away.host}:{away.port}", "topic": "orders", "detail": Reason.CONNECTION_REFUSED}
    assert climb.failure.evidence.items() >= wanted.items()


async def test_a_broker_that_is_away_fails_nothing_else(ground: Ground) -> None:
    """It leads nothing of this topic and does not coordinate this group: a warning."""
    ground.away()
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "quiet", group="g")
    assert climb.passed
    assert [warning.reason for warning in climb.warnings] == [Reason.BROKER_UNREACHABLE]


async def test_a_coordinator_that_is_away_fails_its_groups(ground: Ground) -> None:
    """Neither joining nor committing works without it."""
    ground.away()
    ground.cluster.coordinator = 2
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "quiet", group="g")
    assert verdict(climb) == (Reason.BROKER_UNREACHABLE, Rung.OPERATION)
    assert climb.failure is not None
    assert climb.failure.evidence["topic"] == "consumer group g"


async def test_each_broker_is_logged_in_to_once_whatever_is_asked(ground: Ground) -> None:
    """Logins count against a quota of few a second: topics and groups use the connections of the climb."""
    await climbed(ladder(ground.cluster, at(ground.first)), "orders", "quiet", group="g")
    assert sorted(ground.cluster.logins) == sorted([where(ground.first), where(ground.second)])


async def test_every_climb_of_the_connection_logs_in_anew(ground: Ground) -> None:
    """An old connection proves nothing of a permission that was taken away; and none is left open."""
    kafka = ladder(ground.cluster, at(ground.first))
    for _ in range(2):
        (section,) = kafka.stages(Target())[0]
        assert (await section.climb()).passed
    assert len(ground.cluster.logins) == 4
    assert len(ground.cluster.open) == 2
    await kafka.close()
    assert ground.cluster.open == []


async def test_a_connection_that_died_meanwhile_is_replaced(ground: Ground) -> None:
    """Brokers close idle connections and end sessions: that is no failure of the topic."""
    kafka = ladder(ground.cluster, at(ground.first))
    connection, topics = kafka.stages(Target(topics=frozenset({"orders"})))
    await connection[0].climb()
    for connected in ground.cluster.open:
        connected.broken = True
    assert (await topics[0].climb()).passed
    await kafka.close()


async def test_topics_can_be_asked_about_before_any_climb(ground: Ground) -> None:
    """A shared result of the connection may be older than the connections."""
    kafka = ladder(ground.cluster, at(ground.first))
    _, topics = kafka.stages(Target(topics=frozenset({"orders"})))
    assert (await topics[0].climb()).passed
    await kafka.close()


# ── topics and groups ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("question", "reason", "rung"),
    [
        ("read", Reason.READ_DATA_DENIED, Rung.AUTHORIZATION),
        ("bounds", Reason.LEADER_UNAVAILABLE, Rung.OPERATION),
        ("find", Reason.DESCRIBE_GROUP_DENIED, Rung.AUTHORIZATION),
        ("find", Reason.COORDINATOR_UNAVAILABLE, Rung.OPERATION),
        ("join", Reason.ALTER_GROUP_DENIED, Rung.AUTHORIZATION),
    ],
)
async def test_each_answer_fails_its_rung(ground: Ground, question: str, reason: Reason, rung: Rung) -> None:
    """A denial is the rung authorization's, whichever request shows it; what else goes wrong is the operation's."""
    ground.cluster.answers[question] = failure(reason)
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders", group="g", join=True)
    assert verdict(climb) == (reason, rung)
    below = {Rung.AUTHORIZATION: Rung.AUTHENTICATION, Rung.OPERATION: Rung.AUTHORIZATION}[rung]
    assert results(climb)[below] is Result.PASSED
    assert climb.failure is not None
    assert {"topic_arn", "group_arn"} & set(climb.failure.evidence)


async def test_an_absent_topic_is_told(ground: Ground) -> None:
    """Described, and not there."""
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders", "absent")
    assert verdict(climb) == (Reason.TOPIC_NOT_FOUND, Rung.AUTHORIZATION)
    assert climb.failure is not None
    assert climb.failure.evidence["topic"] == "absent"


async def test_a_partition_without_a_leader_is_told(ground: Ground) -> None:
    """Its messages cannot be read, though every broker answers."""
    ground.cluster.topics["orders"] = led_by({0: 1, 1: -1})
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders")
    assert verdict(climb) == (Reason.LEADER_UNAVAILABLE, Rung.OPERATION)
    assert climb.failure is not None
    assert climb.failure.evidence["topic_partition"] == "1"


async def test_a_denial_tells_more_than_a_broker_that_is_away(ground: Ground) -> None:
    """Both hold for the topic; the permission is what its owner has to see to."""
    ground.away()
    ground.cluster.answers["read"] = failure(Reason.READ_DATA_DENIED)
    climb = await climbed(ladder(ground.cluster, at(ground.first)), "orders")
    assert verdict(climb) == (Reason.READ_DATA_DENIED, Rung.AUTHORIZATION)


# ── the login ────────────────────────────────────────────────────────────────────────────────────────
async def log_in(ground: Ground, error: DependencyError, host: str, region: str) -> Failure:
    """How a refused login at ``host`` is told when tokens are signed for ``region``."""
    endpoint = Endpoint(host, ground.first.port)
    ground.cluster.login_failures[endpoint] = error
    ascent = await ListenerCheck(ground.cluster, context=None).climb(endpoint, {"region": region})
    assert ascent.climb.failure is not None
    return ascent.climb.failure


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is the loopback's."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *args, **kw: resolve("127.0.0.1", *args, **kw))


@pytest.mark.usefixtures("names")
async def test_a_login_signed_for_another_region_is_told_from_a_missing_permission(ground: Ground) -> None:
    """MSK says "Access denied" to both; the broker's name says where it is."""
    host = "b-1.demo.a1b2c3.c2.kafka.eu-west-2.amazonaws.com"
    denied = failure(Reason.CLUSTER_ACCESS_DENIED)
    wrong = await log_in(ground, denied, host, region="eu-west-1")
    assert (wrong.reason, wrong.rung) == (Reason.INVALID_CONFIGURATION, Rung.AUTHENTICATION)
    assert wrong.evidence["variable"] == "AWS_REGION"
    right = await log_in(ground, denied, host, region="eu-west-2")
    assert right.reason is Reason.CLUSTER_ACCESS_DENIED


async def test_a_token_that_cannot_be_made_is_the_identitys_failure(ground: Ground) -> None:
    """Credentials that expire between two rungs must not look like Kafka's fault."""
    error = failure(Reason.CREDENTIALS_EXPIRED, Service.IDENTITY)
    told = await log_in(ground, error, "127.0.0.1", region="eu-west-2")
    assert (told.reason, told.rung) == (Reason.CREDENTIALS_EXPIRED, Rung.IDENTITY)


async def test_askers_of_one_broker_share_its_login(ground: Ground) -> None:
    """Many topics at once, and no connection yet."""
    brokers = Brokers(ground.cluster, [where(ground.first)])
    await asyncio.gather(*(brokers.ask_any(lambda c: c.metadata([]), needed_for="orders") for _ in range(8)))
    assert len(ground.cluster.logins) == 1
    await brokers.close()
