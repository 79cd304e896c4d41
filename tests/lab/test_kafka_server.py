"""The lab's MSK, asked with AWS's own token signer: it lets in, refuses and survives as MSK does."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials

from lab import certificates, runner, world
from lab.iam import control as iam
from lab.iam.control import Issued
from lab.kafka import admin
from lab.kafka.broker import PORTS, SCRAM_PASSWORD, SCRAM_USER

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account")]

TOPIC = "connectivity-test-broker"
"""The operator's role may read and write it."""

BROKER_1, BROKER_2 = (name for name, _ in world.BROKERS.values())
DENIED = r"\[Error 58\] SaslAuthenticationFailed: \[[0-9a-f]{8}-[0-9a-f-]{27}\]: "


class Fixed(CredentialProvider):
    """The signer asks a provider for credentials; it gets these."""

    def __init__(self, who: Issued) -> None:
        self._credentials = Credentials(who.access_key_id, who.secret_access_key, who.session_token)

    def load(self) -> Credentials:
        return self._credentials


class Token(AbstractTokenProvider):  # type: ignore[misc]
    """AWS's token for these credentials, made anew for each connection."""

    def __init__(self, who: Issued, region: str = world.REGION) -> None:
        self._provider = Fixed(who)
        self._region = region

    async def token(self) -> str:
        token, _ = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(self._region, self._provider)
        return str(token)


class Tampered(Token):
    """The URL inside says something else than was signed."""

    async def token(self) -> str:
        token = await super().token()
        url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        changed = url.replace(b"X-Amz-Expires=900", b"X-Amz-Expires=899")
        assert changed != url
        return base64.urlsafe_b64encode(changed).decode().rstrip("=")


class NotAToken(AbstractTokenProvider):  # type: ignore[misc]
    """A JSON web token, as other OAUTHBEARER brokers want."""

    async def token(self) -> str:
        return "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0."


def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority_file())


def someone() -> Issued:
    """The operator's role, in a session that nobody has seen: brokers keep decisions about a session for a second."""
    return iam.issue(session=secrets.token_hex(8))


def by_iam(provider: AbstractTokenProvider) -> dict[str, Any]:
    return {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": provider,
        "ssl_context": trust(),
        "request_timeout_ms": 10_000,
    }


@asynccontextmanager
async def connection(
    provider: AbstractTokenProvider | None = None, *, port: int = PORTS["IAM"], **settings: Any
) -> AsyncIterator[AIOKafkaConnection]:
    """One connection to broker 1, logged in."""
    settings = settings or by_iam(provider or Token(someone()))
    opened = await create_conn(BROKER_1, port, **settings)
    try:
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def consumer(who: Issued, topic: str = TOPIC, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group that the operator's role may join."""
    made = AIOKafkaConsumer(
        topic,
        bootstrap_servers=[f"{BROKER_1}:9098", f"{BROKER_2}:9098"],
        group_id=group or f"connectivity-test.{secrets.token_hex(4)}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        metadata_max_age_ms=1000,
        **by_iam(Token(who)),
    )
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def producer(who: Issued, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=f"{BROKER_1}:9098", **by_iam(Token(who)), **settings)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def topic(account: None) -> AsyncIterator[str]:
    """A topic with two partitions, one led by each broker, and one record."""
    await admin.delete_topic(TOPIC)
    await admin.create_topic(TOPIC, replicas=[[1, 2], [2, 1]])
    await admin.produce(TOPIC, [b"first"], partition=0)
    yield TOPIC
    await admin.delete_topic(TOPIC)


async def received(reader: AIOKafkaConsumer, wanted: int, limit: float = 15.0) -> list[bytes]:
    """The next ``wanted`` values."""
    values: list[bytes] = []
    async with asyncio.timeout(limit):
        while len(values) < wanted:
            for records in (await reader.getmany(timeout_ms=500)).values():
                values += [record.value for record in records]
    return values


async def eventually(holds: Callable[[], Awaitable[bool]], limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while not await holds():
            await asyncio.sleep(0.2)


# ── let in ───────────────────────────────────────────────────────────────────────────────────────────
async def test_the_operators_role_reads_commits_and_writes(topic: str) -> None:
    """With the least privilege that `lab up` gives it."""
    who = someone()
    async with producer(who) as writer:
        await writer.send_and_wait(topic, b"second", partition=1)
    async with consumer(who, group="connectivity-test.reader") as reader:
        assert sorted(await received(reader, 2)) == [b"first", b"second"]
        await reader.commit()
    committed = await admin.committed_offsets("connectivity-test.reader")
    assert committed == {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 1}
    await admin.delete_group("connectivity-test.reader")


async def test_brokers_are_advertised_by_their_names_and_the_listeners_port() -> None:
    """As on MSK: whoever came by 9098 is sent to 9098 of b-1 and b-2."""
    async with connection() as opened:
        answer = await opened.send(MetadataRequest([], allow_auto_topic_creation=False))
    assert sorted((host, port) for _, host, port, *_ in answer.brokers) == [(BROKER_1, 9098), (BROKER_2, 9098)]


async def test_a_topic_is_never_created_by_asking_for_it(topic: str) -> None:
    """Not even by a client that offers it, with a role that may do everything."""
    missing = "connectivity-test-missing"
    async with connection(Token(iam.issue("lab-admin", session=secrets.token_hex(8)))) as opened:
        answer = await opened.send(MetadataRequest([missing], allow_auto_topic_creation=True))
    assert [(error, name) for error, name, *_ in answer.topics] == [(3, missing)]
    assert await admin.leaders(missing) == {}
    assert await admin.leaders(topic) == {0: 1, 1: 2}


# ── refused at the login ─────────────────────────────────────────────────────────────────────────────
def wrong_secret() -> AbstractTokenProvider:
    return Token(Issued(**{**someone().__dict__, "secret_access_key": "x" * 40}))


def unknown_key() -> AbstractTokenProvider:
    return Token(Issued(**{**someone().__dict__, "access_key_id": "ASIAQAAAAAAAAAAAAAAA"}))


@pytest.mark.parametrize(
    ("provider", "truth"),
    [
        pytest.param(wrong_secret, "signature mismatch", id="wrong secret"),
        pytest.param(unknown_key, "unknown access key", id="unknown key"),
        pytest.param(lambda: Token(iam.issue(seconds=-1)), "expired", id="expired credentials"),
        pytest.param(lambda: Token(someone(), region="us-east-1"), "us-east-1", id="another region"),
        pytest.param(lambda: Tampered(someone()), "signature mismatch", id="tampered"),
        pytest.param(NotAToken, "", id="not a token"),
    ],
)
async def test_a_token_that_proves_nothing_is_denied(provider: Callable[[], AbstractTokenProvider], truth: str) -> None:
    """Error 58 with MSK's text, whatever the cause; the truth is in lab-iam's log."""
    with pytest.raises(SaslAuthenticationFailed, match=f"^{DENIED}Access denied$"):
        async with connection(provider()):
            pass
    if truth:
        assert truth in iam.log()[-1]["reason"]


async def test_without_connect_the_login_is_denied_with_the_same_text() -> None:
    """kafka-cluster:Connect on the cluster's ARN."""
    with iam.without("kafka-cluster:Connect"):
        with pytest.raises(SaslAuthenticationFailed, match=f"^{DENIED}Access denied$"):
            async with connection():
                pass
        assert f"kafka-cluster:Connect on {world.CLUSTER_ARN}" in iam.log()[-1]["reason"]
    async with connection():
        pass


async def test_credentials_that_end_soon_and_too_many_logins_have_texts_of_their_own() -> None:
    """Session too short; Too many connects."""
    with pytest.raises(SaslAuthenticationFailed, match=f"^{DENIED}Session too short$"):
        async with connection(Token(iam.issue(seconds=5))):
            pass
    with iam.changed({"faults": {"connect_rate": 1}}):
        attempts = await asyncio.gather(*(_login() for _ in range(4)), return_exceptions=True)
    refused = [attempt for attempt in attempts if attempt is not None]
    assert refused
    assert all(re.match(f"{DENIED}Too many connects$", str(error)) for error in refused)


async def _login() -> None:
    async with connection():
        pass


async def test_a_session_ends_when_the_credentials_do() -> None:
    """The broker closes the connection: who does not log in again by then has to connect again."""
    with iam.changed({"faults": {"session_cap_seconds": 1}}):
        async with connection() as opened:
            await opened.send(MetadataRequest([]))
            await asyncio.sleep(1.2)
            with pytest.raises(KafkaConnectionError):
                await opened.send(MetadataRequest([]))


# ── refused afterwards ───────────────────────────────────────────────────────────────────────────────
async def read(who: Issued) -> None:
    async with consumer(who) as reader:
        await received(reader, 1)


async def write(who: Issued) -> None:
    async with producer(who) as writer:
        await writer.send_and_wait(TOPIC, b"x")


async def find_coordinator(who: Issued) -> None:
    async with connection(Token(who)) as opened:
        answer = await opened.send(FindCoordinatorRequest("connectivity-test.any", 0))
    if answer.error_code == GroupAuthorizationFailedError.errno:
        raise GroupAuthorizationFailedError("connectivity-test.any")


@pytest.mark.parametrize(
    ("action", "attempt", "error"),
    [
        ("DescribeTopic", read, TopicAuthorizationFailedError),
        ("ReadData", read, TopicAuthorizationFailedError),
        ("DescribeGroup", find_coordinator, GroupAuthorizationFailedError),
        ("AlterGroup", read, GroupAuthorizationFailedError),
        ("DescribeTopic", write, TopicAuthorizationFailedError),
        ("WriteData", write, TopicAuthorizationFailedError),
    ],
)
async def test_each_missing_action_is_refused_by_kafka_itself(
    topic: str, action: str, attempt: Callable[[Issued], Awaitable[None]], error: type[KafkaError]
) -> None:
    """Error 29 for topics, 30 for groups, though the login succeeds; with the action back it works."""
    with iam.without(f"kafka-cluster:{action}"), pytest.raises(error):
        await attempt(someone())
    assert f"kafka-cluster:{action}" in "".join(entry["reason"] for entry in iam.log()[-20:])
    await attempt(someone())


async def test_actions_do_not_imply_each_other(topic: str) -> None:
    """In Kafka's own ACLs READ implies DESCRIBE; in IAM finding the coordinator needs its own action."""
    with iam.without("kafka-cluster:DescribeTopic"):
        async with connection() as opened:
            answer = await opened.send(MetadataRequest([topic], allow_auto_topic_creation=False))
    assert [error for error, *_ in answer.topics] == [TopicAuthorizationFailedError.errno]


async def test_the_policy_names_topics_and_groups(topic: str) -> None:
    """What the role's policy does not cover is refused: another topic, another group."""
    await admin.create_topic("somebody-elses")
    who = someone()
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            async with consumer(who, topic="somebody-elses"):
                pass
        with pytest.raises(GroupAuthorizationFailedError):
            async with consumer(who, group="somebody-elses"):
                pass
    finally:
        await admin.delete_topic("somebody-elses")


async def test_an_idempotent_producer_needs_an_action_of_its_own(topic: str) -> None:
    """WriteDataIdempotently on the cluster; being allowed to write to a topic is not enough on MSK."""
    with pytest.raises(ClusterAuthorizationFailedError):
        async with producer(someone(), enable_idempotence=True):
            pass


async def test_a_revoked_action_bites_a_running_consumer_and_comes_back(topic: str) -> None:
    """Within about a second both ways, on the same connection, and nothing is lost."""
    async with consumer(someone()) as reader:
        assert await received(reader, 1) == [b"first"]
        with iam.without("kafka-cluster:ReadData"):
            with pytest.raises(TopicAuthorizationFailedError):
                await received(reader, 1, limit=5)
            await admin.produce(topic, [b"meanwhile"], partition=1)

        async def readable() -> bool:
            try:
                return bool(await reader.getmany(timeout_ms=200))
            except TopicAuthorizationFailedError:
                return False

        await eventually(readable, limit=5)


# ── the other listeners ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("listener", "error"),
    [("PLAINTEXT", OSError), ("TLS", IllegalSaslStateError), ("SCRAM", UnsupportedSaslMechanismError)],
)
async def test_iam_on_another_listener_fails_in_that_listeners_way(listener: str, error: type[Exception]) -> None:
    """9092 speaks no TLS, 9094 no SASL, 9096 another mechanism."""
    with pytest.raises(error):
        async with connection(port=PORTS[listener], **by_iam(Token(someone()))):
            pass


@pytest.mark.parametrize(
    ("listener", "settings"),
    [
        ("PLAINTEXT", {"security_protocol": "PLAINTEXT"}),
        ("TLS", {"security_protocol": "SSL"}),
        (
            "SCRAM",
            {
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "SCRAM-SHA-512",
                "sasl_plain_username": SCRAM_USER,
                "sasl_plain_password": SCRAM_PASSWORD,
            },
        ),
    ],
)
async def test_every_listener_serves_its_own_clients(topic: str, listener: str, settings: dict[str, Any]) -> None:
    """IAM policies are for those who log in by IAM."""
    async with connection(port=PORTS[listener], ssl_context=trust(), **settings) as opened:
        answer = await opened.send(MetadataRequest([topic], allow_auto_topic_creation=False))
    assert [error for error, *_ in answer.topics] == [0]
    assert {port for _, _, port, *_ in answer.brokers} == {PORTS[listener]}


# ── the loss of a broker ─────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def broker_2_afterwards(lab: object) -> Iterator[None]:
    yield
    runner.start("kafka-2")


@pytest.mark.usefixtures("broker_2_afterwards")
async def test_a_stopped_broker_hands_over_and_takes_back(topic: str) -> None:
    """Replicated partitions move to the other broker, a consumer goes on; what broker 2 had alone is gone till then."""
    alone = "connectivity-test-alone"
    await admin.create_topic(alone, replicas=[[2]])
    async with consumer(someone()) as reader:
        await received(reader, 1)
        await asyncio.to_thread(runner.stop, "kafka-2")
        assert await admin.brokers() == {1}
        assert await admin.leaders(topic) == {0: 1, 1: 1}
        assert await admin.leaders(alone) == {0: -1}
        await admin.produce(topic, [b"without broker 2"], partition=1)
        assert await received(reader, 1) == [b"without broker 2"]
        await asyncio.to_thread(runner.start, "kafka-2")

        async def led_as_before() -> bool:
            return await admin.leaders(topic) == {0: 1, 1: 2} and await admin.leaders(alone) == {0: 2}

        await eventually(led_as_before)
        await admin.produce(topic, [b"with broker 2"], partition=1)
        assert await received(reader, 1) == [b"with broker 2"]
    await admin.delete_topic(alone)


# ── administration ───────────────────────────────────────────────────────────────────────────────────
async def test_records_can_be_produced_in_bulk_and_expire(topic: str) -> None:
    """In order, within one partition; deleting records moves the beginning, not the end."""
    written = await admin.produce(topic, [str(number).encode() for number in range(2000)], partition=1)
    assert [record.offset for record in written] == list(range(2000))
    await admin.delete_records(topic, {1: 500})
    assert (await admin.begin_offsets(topic))[1] == 500
    assert (await admin.end_offsets(topic))[1] == 2000


async def test_a_groups_offsets_can_be_set_and_forgotten(topic: str) -> None:
    """As retention of offsets does to a group that was away for long."""
    group, offsets = "connectivity-test.admin", {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 7}
    await admin.commit_offsets(group, offsets)
    assert await admin.committed_offsets(group) == offsets
    await admin.delete_group(group)
    assert await admin.committed_offsets(group) == {}


async def test_partitions_can_be_added(topic: str) -> None:
    """And are led at once."""
    await admin.add_partitions(topic, 4)
    leaders = await admin.leaders(topic)
    assert len(leaders) == 4
    assert set(leaders.values()) <= {1, 2}
