"""What all consumers of the process ask through a few shared connections."""

from __future__ import annotations

import asyncio

import pytest

from connectivity_operator.adapters.kafka.enquiries import Enquiries
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Bounds, Broker, TopicMetadata, TopicPartition
from connectivity_operator.reasons import Reason, Service
from tests.fakes.brokers import END, FakeCluster, failure, led_by

FIRST, SECOND = Broker(1, "b-1", 9098), Broker(2, "b-2", 9098)
ORDERS = frozenset({TopicPartition("orders", 0), TopicPartition("orders", 1)})


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster({1: FIRST, 2: SECOND}, {"orders": led_by({0: 1, 1: 2})})


@pytest.fixture
def enquiries(cluster: FakeCluster) -> Enquiries:
    made = Enquiries(cluster, ["b-1:9098", "b-2:9098"])
    made.join()
    return made


async def reason_of(enquiries: Enquiries) -> tuple[Reason, dict[str, str]]:
    with pytest.raises(DependencyError) as error:
        await enquiries.bounds(ORDERS)
    return error.value.reason, error.value.evidence


async def test_every_leader_is_asked_for_its_own(enquiries: Enquiries) -> None:
    """Offsets are the leaders' to give."""
    assert await enquiries.bounds(ORDERS) == dict.fromkeys(ORDERS, Bounds(0, END))
    assert await enquiries.partitions(frozenset({"orders", "absent"})) == ORDERS


async def test_a_thousand_questions_log_in_once(cluster: FakeCluster, enquiries: Enquiries) -> None:
    """One login a broker, however many consumers ask at once."""
    await asyncio.gather(*(enquiries.bounds(ORDERS) for _ in range(1000)))
    assert sorted(cluster.logins) == [("b-1", 9098), ("b-2", 9098)]


async def test_a_connection_that_died_meanwhile_is_replaced(cluster: FakeCluster, enquiries: Enquiries) -> None:
    """Brokers close idle connections and end sessions."""
    await enquiries.bounds(ORDERS)
    for connection in cluster.open:
        connection.broken = True
    assert await enquiries.bounds(ORDERS)
    assert len(cluster.logins) == 4


async def test_another_bootstrap_server_is_asked_when_one_is_away(cluster: FakeCluster, enquiries: Enquiries) -> None:
    """Metadata is the same everywhere."""
    cluster.login_failures["b-1", 9098] = failure(Reason.CONNECTION_TIMEOUT)
    assert await enquiries.partitions(frozenset({"orders"})) == ORDERS
    reason, evidence = await reason_of(enquiries)
    assert reason is Reason.BROKER_UNREACHABLE
    assert evidence == {"broker": "b-1:9098", "detail": Reason.CONNECTION_TIMEOUT, "topic": "orders"}


@pytest.mark.parametrize(
    "error",
    [failure(Reason.CLUSTER_ACCESS_DENIED), failure(Reason.CREDENTIALS_EXPIRED, Service.IDENTITY)],
    ids=["denied", "no token"],
)
async def test_a_login_that_is_refused_is_no_broker_away(
    cluster: FakeCluster, enquiries: Enquiries, error: DependencyError
) -> None:
    """Asking another broker would not help."""
    cluster.login_failures["b-1", 9098] = error
    assert (await reason_of(enquiries))[0] is error.reason
    assert len(cluster.logins) == 1


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (TopicMetadata(Reason.DESCRIBE_TOPIC_DENIED, {}), Reason.DESCRIBE_TOPIC_DENIED),
        (TopicMetadata(Reason.TOPIC_NOT_FOUND, {}), Reason.TOPIC_NOT_FOUND),
        (led_by({0: 1, 1: -1}), Reason.LEADER_UNAVAILABLE),
        (led_by({0: 1}), Reason.LEADER_UNAVAILABLE),
    ],
)
async def test_what_keeps_a_partition_from_us_is_told(
    cluster: FakeCluster, enquiries: Enquiries, seen: TopicMetadata, reason: Reason
) -> None:
    """Denied, absent, without a leader, or gone since the assignment."""
    cluster.topics["orders"] = seen
    found, evidence = await reason_of(enquiries)
    assert found is reason
    assert evidence["topic"] == "orders"


async def test_a_denied_topic_has_not_simply_no_partitions(cluster: FakeCluster, enquiries: Enquiries) -> None:
    """Who took it for an empty one would start it anew when it comes back."""
    cluster.topics["orders"] = TopicMetadata(Reason.DESCRIBE_TOPIC_DENIED, {})
    with pytest.raises(DependencyError):
        await enquiries.partitions(frozenset({"orders"}))


async def test_the_last_to_leave_closes_the_connections(cluster: FakeCluster, enquiries: Enquiries) -> None:
    """And who comes later opens them again."""
    enquiries.join()
    await enquiries.bounds(ORDERS)
    await enquiries.leave()
    assert len(cluster.open) == 2
    await enquiries.leave()
    assert cluster.open == []
    assert await enquiries.bounds(ORDERS)


async def test_without_bootstrap_servers_nothing_can_be_asked(cluster: FakeCluster) -> None:
    """A dependency that is not configured says so wherever it is met."""
    reason, evidence = await reason_of(Enquiries(cluster, []))
    assert (reason, evidence) == (Reason.NOT_CONFIGURED, {"variable": "KAFKA_BOOTSTRAP_SERVERS"})
