"""Kafka's ladder on the lab's cluster: every reason is provoked for real, and told with a remedy that can be pasted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from connectivity_operator.adapters.kafka import Prober
from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.kafka import KafkaLadder
from connectivity_operator.diagnosis.ladder import Climb, RungOutcome
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from lab import certificates, runner, world
from lab.iam import control
from lab.kafka import admin
from tests.lab.msk_login import BOOTSTRAP, BROKERS, Role, resolve_as, trust

FIRST, SECOND = BROKERS
WHOLE = Target(topics=frozenset({"orders", "payments"}), group="connectivity-test.ladder", join=True)
NOBODY = "127.77.0.99"
"""An address of the loopback where nothing listens."""


@pytest.fixture
def role(lab: object) -> Iterator[Role]:
    made = Role()
    yield made
    made.remove()


async def climbed(
    role: Role, target: Target = WHOLE, *, servers: tuple[str, ...] = BOOTSTRAP, region: str = world.REGION
) -> Climb:
    """One examination, as `check` makes it."""
    settings = Settings(kafka_bootstrap_servers=servers, kafka_cluster_arn=world.CLUSTER_ARN, aws_region=region)
    caller = {"principal": role.arn, "account": world.ACCOUNT, "partition": "aws"}

    async def identity() -> Climb:
        return Climb(Service.IDENTITY, (RungOutcome(Rung.IDENTITY, Result.PASSED, 0.0),), evidence=caller)

    prober = Prober(role.access(servers=servers, region=region))
    ladder = KafkaLadder(settings=settings, prober=prober, identity=identity, context=trust())
    climb = await Diagnosis([ladder], Probes()).examine(Service.KAFKA, target, max_age=0)
    await ladder.close()
    return climb


def verdict(climb: Climb) -> tuple[Reason, Rung] | None:
    return (climb.failure.reason, climb.failure.rung) if climb.failure else None


def remedy(climb: Climb) -> str:
    assert climb.failure is not None
    return describe(Service.KAFKA, climb.failure).remedy


def results(climb: Climb) -> dict[Rung, Result]:
    return {outcome.rung: outcome.result for outcome in climb.outcomes}


async def test_with_the_least_privilege_every_rung_passes(role: Role) -> None:
    """Two topics led by both brokers, and a membership of no duration."""
    climb = await climbed(role)
    assert climb.passed
    assert not climb.warnings
    assert results(climb) == dict.fromkeys(Rung, Result.PASSED)
    assert await admin.committed_offsets("connectivity-test.ladder") == {}


@pytest.mark.parametrize(
    ("action", "reason", "resource"),
    [
        ("Connect", Reason.CLUSTER_ACCESS_DENIED, world.CLUSTER_ARN),
        ("DescribeTopic", Reason.DESCRIBE_TOPIC_DENIED, "topic/demo/{}/orders"),
        ("ReadData", Reason.READ_DATA_DENIED, "topic/demo/{}/orders"),
        ("DescribeGroup", Reason.DESCRIBE_GROUP_DENIED, "group/demo/{}/connectivity-test.*"),
        ("AlterGroup", Reason.ALTER_GROUP_DENIED, "group/demo/{}/connectivity-test.*"),
    ],
)
async def test_each_missing_action_has_its_remedy(role: Role, action: str, reason: Reason, resource: str) -> None:
    """Principal, action and resource, as a policy names them; the policy alone decides."""
    rung = Rung.AUTHENTICATION if action == "Connect" else Rung.AUTHORIZATION
    with role.without(action):
        climb = await climbed(role)
    assert verdict(climb) == (reason, rung)
    assert f"Allow kafka-cluster:{action} on" in remedy(climb)
    assert resource.format(world.CLUSTER_UUID) in remedy(climb)
    assert role.arn in remedy(climb)
    assert (await climbed(role)).passed


async def test_an_absent_topic_is_told(role: Role) -> None:
    """And still absent afterwards."""
    topic = "connectivity-test-absent"
    climb = await climbed(role, Target(topics=frozenset({topic})))
    assert verdict(climb) == (Reason.TOPIC_NOT_FOUND, Rung.AUTHORIZATION)
    assert await admin.leaders(topic) == {}


@pytest.mark.parametrize(("port", "rung"), [(9092, Rung.TLS), (9094, Rung.AUTHENTICATION), (9096, Rung.AUTHENTICATION)])
async def test_the_port_of_another_listener_is_told(role: Role, port: int, rung: Rung) -> None:
    """Of plaintext, TLS and SCRAM: each is a Kafka listener, none is the one for IAM."""
    climb = await climbed(role, servers=(f"{FIRST}:{port}",))
    assert verdict(climb) == (Reason.WRONG_LISTENER, rung)
    assert "9098" in remedy(climb)


async def test_what_speaks_no_tls_is_told_from_a_kafka_listener_without_it(role: Role) -> None:
    """Only a listener that answers as a Kafka broker is called one."""

    def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        climb = await climbed(role, servers=(f"127.0.0.1:{port}",))
    assert verdict(climb) == (Reason.CONNECTION_RESET, Rung.TLS)


async def test_a_tls_server_that_is_no_broker_is_told(role: Role) -> None:
    """Something else listens there."""
    climb = await climbed(role, servers=(f"{world.OPENAI[0]}:443",))
    assert verdict(climb) == (Reason.UNEXPECTED_ANSWER, Rung.AUTHENTICATION)


async def test_a_login_for_another_region_is_told(role: Role) -> None:
    """MSK only says "Access denied"; the brokers' names say where they are."""
    climb = await climbed(role, region="eu-west-1")
    assert verdict(climb) == (Reason.INVALID_CONFIGURATION, Rung.AUTHENTICATION)
    assert "AWS_REGION" in remedy(climb)


@pytest.mark.usefixtures("account")
async def test_too_many_logins_are_told(role: Role) -> None:
    """The quota of the brokers, exceeded by others."""
    with control.changed({"faults": {"connect_rate": 1}}):
        prober = role.prober()
        await asyncio.gather(*(prober.connect(FIRST, 9098) for _ in range(6)), return_exceptions=True)
        climb = await climbed(role)
    assert verdict(climb) == (Reason.CONNECTION_RATE_EXCEEDED, Rung.AUTHENTICATION)


# ── the network ──────────────────────────────────────────────────────────────────────────────────────
async def test_names_that_do_not_resolve_are_told(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """All bootstrap servers: the ladder ends at the first rung of the network."""
    resolve_as(monkeypatch, {FIRST: None, SECOND: None})
    climb = await climbed(role)
    assert verdict(climb) == (Reason.NAME_NOT_RESOLVED, Rung.DNS)
    assert results(climb)[Rung.TCP] is Result.SKIPPED


async def test_a_certificate_for_another_name_is_told(role: Role) -> None:
    """An address, or a name of one's own, instead of AWS's name."""
    climb = await climbed(role, servers=(f"{world.BROKERS[1][1]}:9098",))
    assert verdict(climb) == (Reason.CERTIFICATE_NAME_MISMATCH, Rung.TLS)


async def test_one_misspelt_bootstrap_server_is_a_warning(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is enough."""
    resolve_as(monkeypatch, {"b-9.absent.invalid": None})
    climb = await climbed(role, servers=("b-9.absent.invalid:9098", BOOTSTRAP[1]))
    assert climb.passed
    assert [(w.reason, w.rung, w.evidence["detail"]) for w in climb.warnings] == [
        (Reason.BROKER_UNREACHABLE, Rung.DNS, Reason.NAME_NOT_RESOLVED)
    ]


@pytest.mark.parametrize("named", [BOOTSTRAP, BOOTSTRAP[:1]], ids=["as bootstrap server", "only advertised"])
async def test_a_broker_that_cannot_be_reached_fails_what_it_leads(
    role: Role, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...]
) -> None:
    """A security group that knows only some of the brokers: consumers stay silent, the ladder does not."""
    resolve_as(monkeypatch, {SECOND: NOBODY})
    topics = {"connectivity-test-led-by-both": [[1, 2], [2, 1]], "connectivity-test-led-by-one": [[1, 2]]}
    for topic, replicas in topics.items():
        await admin.create_topic(topic, replicas=replicas)
    both, one = topics
    try:
        failed = await climbed(role, Target(topics=frozenset({both})), servers=named)
        passed = await climbed(role, Target(topics=frozenset({one})), servers=named)
    finally:
        for topic in topics:
            await admin.delete_topic(topic)
    assert verdict(failed) == (Reason.BROKER_UNREACHABLE, Rung.OPERATION)
    assert failed.failure is not None
    assert failed.failure.evidence["broker"] == f"{SECOND}:9098"
    assert failed.failure.evidence["detail"] == Reason.CONNECTION_REFUSED
    assert passed.passed
    assert [warning.reason for warning in passed.warnings] == [Reason.BROKER_UNREACHABLE]


async def test_a_silent_broker_costs_the_limit_of_one_rung(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts connections and says nothing; the other brokers are climbed meanwhile."""
    with socket.create_server(("127.77.0.98", 9098)):
        resolve_as(monkeypatch, {SECOND: "127.77.0.98"})
        began = asyncio.get_running_loop().time()
        climb = await climbed(role, Target())
    assert climb.passed
    assert [warning.rung for warning in climb.warnings] == [Rung.TLS]
    assert asyncio.get_running_loop().time() - began < 7.0


@pytest.fixture
def broker_2_afterwards(lab: object) -> Iterator[None]:
    yield
    runner.start("kafka-2")


@pytest.mark.usefixtures("broker_2_afterwards")
async def test_the_loss_of_a_broker_fails_what_it_had_alone(role: Role) -> None:
    """Replicated partitions have moved to the other broker; for the others no broker can answer."""
    alone, both = "connectivity-test-alone", "connectivity-test-replicated"
    await admin.create_topic(alone, replicas=[[2]])
    await admin.create_topic(both, replicas=[[2, 1]])
    try:
        await asyncio.to_thread(runner.stop, "kafka-2")
        lost = await climbed(role, Target(topics=frozenset({alone})))
        moved = await climbed(role, Target(topics=frozenset({both})))
        await asyncio.to_thread(runner.start, "kafka-2")
        await admin.create_topic(alone, replicas=[[2]])  # waits for its leader
        again = await climbed(role, Target(topics=frozenset({alone, both})))
    finally:
        for topic in (alone, both):
            await admin.delete_topic(topic)
    assert verdict(lost) == (Reason.LEADER_UNAVAILABLE, Rung.OPERATION)
    assert moved.passed
    assert [warning.reason for warning in moved.warnings] == [Reason.BROKER_UNREACHABLE]
    assert again.passed
    assert not again.warnings


async def test_the_certificates_end_is_warned_of_once(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers share a certificate; two warnings of the same thing help nobody."""
    monkeypatch.setattr(
        "connectivity_operator.diagnosis.network.EXPIRES_SOON",
        2 * certificates.SERVER_LIFETIME,
    )
    climb = await climbed(role, Target())
    assert [warning.reason for warning in climb.warnings] == [Reason.CERTIFICATE_EXPIRES_SOON]
