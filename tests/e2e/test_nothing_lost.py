"""At least once: every message has its row and its document, whatever happens to operator, group or server."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from lab import runner
from lab.kafka import admin as kafka
from lab.openai import control as openai
from lab.opensearch import admin as opensearch
from lab.operating import Account, Operator, Resource, account, committed, ends, rows, send, texts, until
from tests.e2e.conftest import MakeResource


def settled(resource: Resource, expected: int, *, limit: float = 120.0) -> Account:
    """Wait until the (first) topic's messages all have a row and a document and are committed."""
    topic = resource.topics[0]

    def complete() -> Account | None:
        if len(rows(topic)) < expected:
            return None
        found = account(topic, resource.index)
        done = len(found.rows) >= expected and len(found.documents) >= expected
        return found if done else None

    found = until(complete, limit=limit, what=f"{expected} rows and documents of {topic}", every=0.5)
    # A member that was killed while the group formed holds it up until its session (45 s) ends.
    until(lambda: all_committed(resource), limit=90, what=f"{topic} to be committed to its end")
    return found


def all_committed(resource: Resource) -> bool:
    offsets = committed(resource)
    return all(offsets.get((t, p)) == end for t in resource.topics for p, end in ends(t).items())


@pytest.mark.timeout(600)
def test_killed_three_times_with_two_thousand_messages_in_flight(
    operator: Operator, make_resource: MakeResource
) -> None:
    """SIGKILL loses nothing; what was finished but not committed comes again, and only that."""
    resource = make_resource(partitions=4, startFrom="Earliest")
    resource.until_reading()
    topic = resource.topics[0]
    with openai.injected(delay_seconds=1.5):  # or all would be done before the first kill
        send(topic, texts("kill", 2000))
        for _ in range(3):
            before = len(rows(topic))
            until(lambda n=before: len(rows(topic)) > n, limit=120, what="rows to kill in the midst of", every=0.05)
            operator.kill()
            assert len(rows(topic)) < 2000
            operator.start()
    found = settled(resource, 2000)
    assert len(found.rows) == len(found.documents) == 2000
    # A kill repeats what was in flight or not yet committed, as rows and as documents; never more than there is.
    assert found.repeated <= 3 * 2 * 2000
    print(f"repeated after three kills: {found.repeated}")


def test_an_idle_latest_resource_loses_nothing_while_the_operator_is_dead(
    operator: Operator, make_resource: MakeResource
) -> None:
    """`Latest` is fixed (and committed) when the topic is first followed, not at every start."""
    resource = make_resource(partitions=3)
    send(resource.topics[0], texts("before it was followed", 3))
    resource.until_reading()
    earlier = len(rows(resource.topics[0]))
    operator.kill()
    send(resource.topics[0], texts("while dead", 5))
    operator.start()
    until(lambda: len(rows(resource.topics[0])) >= earlier + 5, limit=60, what="the five rows")
    assert [row[3] for row in rows(resource.topics[0]) if "while dead" in row[3]].__len__() == 5


def test_a_partition_added_later_is_read_from_its_beginning(make_resource: MakeResource) -> None:
    """Nothing that was written to it before we noticed it may be missed."""
    resource = make_resource(partitions=1)
    resource.until_reading()
    topic = resource.topics[0]
    asyncio.run(kafka.add_partitions(topic, 3))
    for partition in range(3):
        asyncio.run(kafka.produce(topic, texts(f"p{partition}", 4), partition=partition))
    settled(resource, 12)


def test_a_topic_deleted_and_made_again_is_read_from_its_beginning(make_resource: MakeResource) -> None:
    """Old offsets mean nothing in the new topic."""
    resource = make_resource(partitions=2)
    resource.until_reading()
    topic = resource.topics[0]
    send(topic, texts("old", 20))
    until(lambda: len(rows(topic)) >= 20, limit=60, what="the old topic's rows")
    asyncio.run(kafka.delete_topic(topic))
    until(lambda: resource.condition("KafkaConnected")[1] == "TopicNotFound", limit=60, what="TopicNotFound")
    asyncio.run(kafka.create_topic(topic, 2))
    send(topic, texts("new", 30))
    until(lambda: len({r[3] for r in rows(topic) if r[3].startswith("new")}) == 30, limit=90, what="the new rows")
    resource.until("Ready", "EndToEndVerified")


def test_deleted_group_offsets_of_a_followed_topic_lose_nothing(
    operator: Operator, make_resource: MakeResource
) -> None:
    """Offsets expire after days without a member: the topic is read again from what exists, and that is told."""
    resource = make_resource(partitions=1)
    resource.until_reading()
    topic = resource.topics[0]
    send(topic, texts("read", 5))
    settled(resource, 5)
    until(lambda: resource.status["pipeline"]["logged"] == 5, limit=60, what="the counters in the status")
    operator.terminate()
    send(topic, texts("unread", 5))
    until(lambda: _delete_group(resource.group), limit=60, what="the group to have no member", every=1)
    operator.start()
    found = settled(resource, 10)
    assert found.repeated == 10  # the five that were read come again, as rows and as documents
    until(
        lambda: any(entry["reason"] == "OffsetsExpired" for entry in resource.status.get("history", [])),
        limit=30,
        what="OffsetsExpired in the history",
    )


def _delete_group(group: str) -> bool:
    try:
        asyncio.run(kafka.delete_group(group))
    except Exception as error:
        return "NonEmpty" not in type(error).__name__
    return True


def test_a_second_member_joins_and_leaves_under_load(make_resource: MakeResource) -> None:
    """Rebalances neither lose nor invent; a late finish of a lost partition never commits."""
    resource = make_resource(partitions=4)
    resource.until_reading()
    topic = resource.topics[0]
    stop = threading.Event()
    sent = 0

    def load() -> None:
        nonlocal sent
        while not stop.is_set():
            send(topic, texts(f"load {sent}", 50))
            sent += 50
            time.sleep(0.2)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for _ in range(2):
            asyncio.run(_visit(resource.group, topic, 6.0))
            time.sleep(2)
    finally:
        stop.set()
        thread.join()
    found = settled(resource, sent)
    print(f"sent {sent}, repeated after two visits: {found.repeated}")
    assert len(found.rows) == sent


async def _visit(group: str, topic: str, seconds: float) -> None:
    """Another member of the group: takes partitions, reads nothing to the end, commits nothing, leaves."""
    from aiokafka import AIOKafkaConsumer

    visitor = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka.BOOTSTRAP_SERVERS, group_id=group, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    await visitor.start()
    try:
        async with asyncio.timeout(30):
            while not visitor.assignment():
                await asyncio.sleep(0.1)
        await asyncio.sleep(seconds)
    finally:
        await visitor.stop()


def test_a_dependency_away_for_longer_than_max_poll_interval(operator: Operator, make_resource: MakeResource) -> None:
    """The paused consumer stays a member: when PostgreSQL is back, everything arrives once."""
    operator.stop()
    operator.start({"KAFKA_MAX_POLL_INTERVAL_MS": "10000"})
    resource = make_resource(partitions=2)
    resource.until_reading()
    runner.stop("postgresql")
    try:
        send(resource.topics[0], texts("wait", 100))
        time.sleep(25)
    finally:
        runner.start("postgresql")
    found = settled(resource, 100)
    assert found.repeated == 0
    operator.stop()
    operator.start()


def test_an_index_of_the_wrong_dimension_rejects_nothing(make_resource: MakeResource) -> None:
    """A thousand messages wait; after the fix all arrive: the fault was the index's, not theirs."""
    resource = make_resource(partitions=2, apply=False)
    mapping = {
        "settings": {"index.knn": True},
        "mappings": {"properties": {"vector": {"type": "knn_vector", "dimension": 8}}},
    }
    opensearch.create_index(resource.index, mapping)
    resource.apply()
    resource.until_reading()
    send(resource.topics[0], texts("dimension", 1000))
    resource.until("OpenSearchConnected", "DimensionMismatch")
    time.sleep(5)
    assert rows(resource.topics[0]) == []
    opensearch.delete_index(resource.index)
    found = settled(resource, 1000)
    assert found.repeated == 0
    assert {level for _, _, level, _ in rows(resource.topics[0])} == {"INFO"}
    resource.until("Ready", "EndToEndVerified")
