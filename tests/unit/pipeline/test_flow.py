"""Messages go all the way, in batches without waiting, and the group's offsets follow."""

from __future__ import annotations

import asyncio

from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.packing import document_bytes
from connectivity_operator.ports import Row
from connectivity_operator.reasons import Reason, Service
from connectivity_operator.status import Counters
from tests.fakes.pipeline import P0, P1, World, down


async def test_a_message_becomes_one_embedding_one_document_and_one_row() -> None:
    """Everything that the table and the index are promised to hold of a message."""
    world = World()
    await world.kafka.produce(0, b"hello")
    async with world.running() as run:
        await run.rows(1)
        await run.committed(p0=1)
    world.assert_once("hello")
    (document,) = world.index.documents["connectivity-test"]
    assert document.message_id == "0a1b2c3d-orders-0-0-1700000000000"
    assert (document.namespace, document.name) == ("demo", "orders")
    assert (document.topic, document.partition, document.offset) == ("orders", 0, 0)
    assert (document.model, document.timestamp) == ("text-embedding-test", 1_700_000_000_000)
    assert world.rows.rows == [
        Row(
            kafka_topic="orders",
            kafka_partition=0,
            kafka_offset=0,
            message_content="hello",
            embedding_model="text-embedding-test",
            embedding_dimensions=4,
            opensearch_index="connectivity-test",
            opensearch_doc_id=f"id:{document.message_id}",
            log_level="INFO",
        )
    ]


async def test_progress_tells_what_happened() -> None:
    """Counters, the last message with its durations, proofs by traffic, no lag."""
    world = World(options={"counters": Counters(consumed=10, embedded=10, indexed=10, logged=9, rejected=1)})
    world.embedder.seconds = 0.08
    await world.kafka.produce(1, b"a", b"b")
    async with world.running() as run:
        await run.committed(p1=2)
        progress = run.progress
    assert progress.counters == Counters(consumed=12, embedded=12, indexed=12, logged=11, rejected=1)
    assert progress.lag == 0
    assert progress.lagging_since is None
    assert progress.last_message is not None
    body = progress.last_message.body()
    assert (body["topic"], body["partition"], body["offset"]) == ("orders", 1, 1)
    assert body["documentId"] == "id:0a1b2c3d-orders-1-1-1700000000000"
    assert body["milliseconds"].keys() == {"embed", "index", "log", "total"}
    assert body["milliseconds"]["total"] == 80
    assert set(progress.proofs) == {Service.KAFKA, Service.OPENAI, Service.OPENSEARCH, Service.POSTGRESQL}
    assert progress.finished_at == progress.accepted_at is not None
    assert progress.dimensions == 4
    assert world.changes > 0


async def test_a_lone_message_is_never_delayed() -> None:
    """No linger: from the broker to the row without any waiting of ours."""
    world = World()
    async with world.running() as run:
        await run.started()
        await asyncio.sleep(60)
        began = asyncio.get_running_loop().time()
        await world.kafka.produce(0, b"alone")
        await run.rows(1)
    assert world.rows.inserted_at == [began]


async def test_a_backlog_travels_in_full_batches() -> None:
    """At most 256 inputs a request, and hardly ever fewer while more are waiting."""
    world = World()
    world.embedder.seconds = 0.1
    await world.kafka.produce(0, *(b"m%d" % n for n in range(2560)))
    async with world.running() as run:
        await run.rows(2560)
    sizes = [len(request) for request in world.embedder.requests]
    assert max(sizes) == 256
    assert len(sizes) <= 12
    world.assert_once(*(f"m{n}" for n in range(2560)))


async def test_batches_overlap() -> None:
    """The latency of the API is hidden: several requests are in flight while there is work."""
    world = World()
    world.embedder.seconds = 1.0
    await world.kafka.produce(0, *(b"m%d" % n for n in range(2048)))
    async with world.running() as run:
        await run.rows(2048)
    assert world.embedder.most_in_flight >= 4


async def test_a_steady_trickle_does_not_cost_a_request_each() -> None:
    """With backends that answer at once, a thousand messages a second travel in at most a hundred batches."""
    world = World()
    async with world.running() as run:
        await run.started()
        for number in range(1000):
            await world.kafka.produce(number % 2, b"m%d" % number)
            await asyncio.sleep(0.001)
        await run.rows(1000)
    assert len(world.embedder.requests) <= 110


async def test_texts_that_may_be_too_long_travel_alone() -> None:
    """8,191 bytes are proof of fitting; a longer text's refusal must concern nobody else."""
    world = World()
    await world.kafka.produce(0, b"a", b"x" * 8191, b"y" * 8192, b"b")
    async with world.running() as run:
        await run.rows(4)
    assert sorted(map(len, world.embedder.requests)) == [1, 3]
    assert ["y" * 8192] in world.embedder.requests


async def test_a_request_keeps_the_limit_of_tokens() -> None:
    """300,000 bytes of text are proof of at most 300,000 tokens, the API's limit for one request."""
    world = World()
    await world.kafka.produce(0, *(b"z" * 8000 for _ in range(100)))
    async with world.running() as run:
        await run.rows(100)
    sizes = [sum(map(len, request)) for request in world.embedder.requests]
    assert max(sizes) <= 300_000
    assert len(sizes) <= 4


async def test_a_bulk_request_stays_below_what_serverless_takes() -> None:
    """256 long vectors are more than 10 MiB of JSON."""
    world = World()
    world.embedder.dimensions = 3072
    await world.kafka.produce(0, *(b"m%d" % n for n in range(300)))
    async with world.running(dimensions=3072) as run:
        await run.rows(300)
    assert all(sum(document_bytes(len(d.text), 3072) for d in write) <= 5_000_000 for write in world.index.writes)
    assert max(map(len, world.index.writes)) > 100
    world.assert_once(*(f"m{n}" for n in range(300)))


async def test_an_absent_index_is_created_once_with_the_dimension_of_the_vectors() -> None:
    """Looked for first, created only if absent, by an explicit mapping of that dimension."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.rows(1)
        await world.kafka.produce(0, b"b")
        await run.rows(2)
    assert world.index.dimensions == {"connectivity-test": 4}


async def test_an_index_deleted_under_traffic_is_created_anew_before_the_next_write() -> None:
    """It must not come back as one that OpenSearch made by itself."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.rows(1)
        world.index.delete("connectivity-test")
        await world.kafka.produce(0, b"b")
        await run.rows(2)
    assert world.index.dimensions == {"connectivity-test": 4}
    assert world.texts() == ["b"]


async def test_a_dropped_table_is_looked_for_again() -> None:
    """The table is ensured before the first insert and after every failure."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.rows(1)
        world.rows.exists = False
        await world.kafka.produce(0, b"b")
        await run.rows(2)
    assert world.contents() == ["a", "b"]


async def test_the_dimension_of_an_unknown_model_is_learnt() -> None:
    """Nobody tells us the length of such vectors; the first answer does."""
    world = World()
    world.embedder.dimensions = 7
    await world.kafka.produce(0, b"a")
    async with world.running(dimensions=None) as run:
        await run.rows(1)
        assert run.progress.dimensions == 7
    assert world.index.dimensions == {"connectivity-test": 7}


async def test_messages_of_several_topics_are_told_apart() -> None:
    """Rows and documents carry the topic they came from."""
    world = World()
    world.kafka.create_topic("payments", 1)
    world.kafka.append("orders", 0, b"o")
    world.kafka.append("payments", 0, b"p")
    async with world.running(topics=frozenset({"orders", "payments"})) as run:
        await run.rows(2)
        await run.until(lambda: len(run.progress.followed) == 2)
    assert {(row.kafka_topic, row.message_content) for row in world.rows.rows} == {("orders", "o"), ("payments", "p")}


async def test_lag_counts_what_waits_and_what_is_under_way() -> None:
    """From the finished prefix to the end of the partition."""
    world = World()
    world.embedder.seconds = 30.0
    await world.kafka.produce(0, *(b"m%d" % n for n in range(5)))
    async with world.running() as run:
        await run.started()
        await run.until(lambda: run.progress.counters.consumed == 5)
        assert run.progress.lag == 5
        assert run.progress.lagging_since is not None
        await run.rows(5)
        assert run.progress.lag == 0


async def test_holes_in_a_partition_are_no_lag() -> None:
    """Transaction markers and compacted records never arrive: they must not look like messages that wait."""
    world = World(options={"interval": 1.0})
    world.kafka.append("orders", 0, b"a", skip=2)
    async with world.running() as run:
        await run.rows(1)
        await run.until(lambda: run.progress.lag == 0)
        await run.committed(p0=3)


async def test_the_lag_is_measured_at_each_interval() -> None:
    """Records that we are not given (a broker that is away) are seen to be waiting all the same."""
    world = World(options={"interval": 30.0})
    async with world.running() as run:
        await run.started()
        run.source.paused = True
        await world.kafka.produce(0, b"unseen")
        await run.until(lambda: run.progress.lag == 1, limit=40)


async def test_a_partition_that_is_silent_among_others_is_seen() -> None:
    """A consumer that cannot reach one broker goes on with the others and says nothing: messages are finished."""
    world = World(options={"interval": 30.0})
    async with world.running() as run:
        await run.started()
        run.source.silent.add(P1)
        await world.kafka.produce(1, b"unseen")
        for number in range(100):
            await world.kafka.produce(0, b"m%d" % number)
            await asyncio.sleep(1)
        assert run.progress.silent is not None
        partition, seconds = run.progress.silent
        assert partition == P1
        assert 60 < seconds <= 100
        run.source.silent.clear()
        world.kafka.wake()
        await run.rows(101)
        await run.until(lambda: run.progress.silent is None)


async def test_a_partition_that_waits_for_its_turn_is_not_silent() -> None:
    """A backlog of one partition keeps the other waiting; while there is more than we ask for, nobody is silent."""
    world = World(options={"interval": 5.0, "pace": Pace(600)})
    await world.kafka.produce(0, *(b"m%d" % n for n in range(1000)))
    await world.kafka.produce(1, b"last")
    async with world.running() as run:
        await run.started()
        for _ in range(80):
            await asyncio.sleep(1)
            assert run.progress.silent is None or run.progress.silent[1] == 0
        await run.rows(1001)


async def test_what_an_outage_has_held_back_is_not_blamed_afterwards() -> None:
    """The lag is as old as the outage, but from its end on messages have the same time as any others."""
    world = World(options={"interval": 5.0})
    world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
    async with world.running() as run:
        await run.started()
        await world.kafka.produce(0, b"a")
        await asyncio.sleep(60)
        since = run.progress.lagging_since
        world.rows.faults.mend("insert")
        await run.until(lambda: not run.progress.troubles)
        assert since is not None
        ended = asyncio.get_running_loop().time()
        assert run.progress.lagging_since is None or run.progress.lagging_since > ended - 1


async def test_partitions_are_committed_apart() -> None:
    """Each partition's own finished prefix."""
    world = World()
    await world.kafka.produce(0, b"a", b"b", b"c")
    await world.kafka.produce(1, b"x")
    async with world.running() as run:
        await run.rows(4)
        await run.committed(p0=3, p1=1)
    assert world.kafka.offsets == {P0: 3, P1: 1}
