"""A dependency that is down: the pipeline waits, loses nothing, repeats nothing, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline import SharedEmbedder
from connectivity_operator.ports import DependencyFailure, Document
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import Running, World, down

OUTAGES = [
    pytest.param(Service.OPENAI, lambda w: w.embedder.faults, "embed", id="openai"),
    pytest.param(Service.OPENSEARCH, lambda w: w.index.faults, "write", id="opensearch"),
    pytest.param(Service.OPENSEARCH, lambda w: w.index.faults, "create", id="opensearch-create"),
    pytest.param(Service.POSTGRESQL, lambda w: w.rows.faults, "insert", id="postgresql"),
    pytest.param(Service.POSTGRESQL, lambda w: w.rows.faults, "ensure_table", id="postgresql-table"),
]


async def outage(run: Running, service: Service, seconds: float) -> None:
    """Until the trouble shows, and on for ``seconds``."""
    await run.until(lambda: service in run.progress.troubles)
    await asyncio.sleep(seconds)


@pytest.mark.parametrize(("service", "faults", "operation"), OUTAGES)
async def test_an_outage_of_an_hour_costs_no_message(
    service: Service, faults: Callable[[World], object], operation: str
) -> None:
    """Everything is embedded, indexed and logged exactly once; nothing is rejected or skipped."""
    world = World()
    error = down(service, Reason.SERVICE_UNAVAILABLE)
    faults(world).begin(operation, error)  # type: ignore[attr-defined]
    await world.kafka.produce(0, *(b"m%d" % n for n in range(600)))
    async with world.running() as run:
        await outage(run, service, 3600)
        trouble = run.progress.troubles[service]
        assert trouble.error is error
        assert trouble.tries > 100
        assert trouble.since < 1
        assert run.progress.trouble == (service, trouble)
        assert world.rows.rows == []
        assert world.kafka.offsets == dict.fromkeys(world.kafka.offsets, 0)
        faults(world).mend(operation)  # type: ignore[attr-defined]
        await run.rows(600)
        await run.committed(p0=600)
        assert run.progress.troubles == {}
        counters = run.progress.counters
    world.assert_once(*(f"m{n}" for n in range(600)))
    assert (counters.logged, counters.rejected, counters.skipped) == (600, 0, 0)


async def test_the_group_hears_from_us_during_an_outage() -> None:
    """Partitions are paused and fetching goes on, or the group would take them away after max_poll_interval_ms."""
    world = World()
    async with world.running() as run:
        await run.started()
        assert not run.source.paused
        world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
        await world.kafka.produce(0, b"a")
        await outage(run, Service.POSTGRESQL, 30)
        assert run.source.paused
        before = run.source.fetches
        await asyncio.sleep(60)
        assert run.source.fetches - before >= 15
        await world.kafka.produce(0, b"b")
        await asyncio.sleep(60)
        assert run.progress.counters.consumed == 1, "nothing more is read while it cannot be finished"
        world.rows.faults.mend("insert")
        await run.rows(2)
        assert not run.source.paused


async def test_being_woken_does_not_put_off_the_sign_of_life() -> None:
    """Whatever happens meanwhile (another failed try, a finished batch): the fetches go on."""
    world = World()
    async with world.running() as run:
        await run.started()
        world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
        await world.kafka.produce(0, b"a")
        await outage(run, Service.POSTGRESQL, 30)
        before = run.source.fetches
        for _ in range(60):
            assert run.pipeline._life is not None
            run.pipeline._life._reader.reopen()
            await asyncio.sleep(1)
        assert run.source.fetches - before >= 15


async def test_of_several_requests_only_the_failed_one_is_made_again() -> None:
    """Long texts travel alone, side by side; the answers that came are paid for."""
    world = World()
    world.embedder.seconds = 1.0
    world.embedder.faults.once("embed", down(Service.OPENAI, Reason.CONNECTION_RESET))
    texts = [letter * 9000 for letter in "abcd"]
    await world.kafka.produce(0, *(text.encode() for text in texts))
    async with world.running() as run:
        await run.rows(4)
    assert len(world.embedder.requests) == 5
    world.assert_once(*texts)


async def test_an_answer_with_too_few_vectors_is_a_fault_of_the_api() -> None:
    """No text may get another's vector."""
    world = World()
    embed = world.embedder.embed
    cut = [True]

    async def too_few(texts, **model):  # type: ignore[no-untyped-def]
        answer = await embed(texts, **model)
        return replace(answer, vectors=answer.vectors[:-1]) if cut else answer

    world.embedder.embed = too_few  # type: ignore[method-assign]
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await outage(run, Service.OPENAI, 60)
        assert run.progress.troubles[Service.OPENAI].error.reason is Reason.INVALID_RESPONSE
        assert world.index.writes == []
        cut.clear()
        await run.rows(2)


async def test_a_failed_insert_never_embeds_or_indexes_again() -> None:
    """Each stage is tried alone: vectors and documents are kept."""
    world = World()
    world.rows.faults.once("insert", *[down(Service.POSTGRESQL, Reason.CONNECTION_RESET)] * 5)
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await run.rows(2)
    assert len(world.embedder.requests) == 1
    assert len(world.index.writes) == 1


async def test_a_failed_write_never_embeds_again() -> None:
    """Embeddings are paid for."""
    world = World()
    world.index.faults.once("write", *[down(Service.OPENSEARCH, Reason.CONNECTION_RESET)] * 5)
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await run.rows(2)
    assert [sorted(request) for request in world.embedder.requests if "a" in request] == [["a", "b"]]
    world.assert_once("a", "b")


async def test_an_outage_does_not_pay_for_whole_batches_again_and_again() -> None:
    """While the API is down it is asked for one short text; the batch goes when that works."""
    world = World()
    world.embedder.faults.begin("embed", down(Service.OPENAI, Reason.SERVICE_UNAVAILABLE))
    await world.kafka.produce(0, *(b"m%d" % n for n in range(256)))
    async with world.running() as run:
        await outage(run, Service.OPENAI, 600)
        world.embedder.faults.mend("embed")
        await run.rows(256)
    large = [request for request in world.embedder.requests if len(request) > 1]
    assert len(large) <= 4
    assert len(world.embedder.requests) > 50


async def test_retry_after_is_honoured() -> None:
    """A rate limit tells when to come back; coming earlier makes it worse."""
    world = World()
    world.embedder.faults.once("embed", down(Service.OPENAI, Reason.RATE_LIMITED, retry_after=42.0))
    async with world.running() as run:
        await run.started()
        began = asyncio.get_running_loop().time()
        await world.kafka.produce(0, b"a")
        await run.rows(1)
    assert world.rows.inserted_at[0] - began == pytest.approx(42.0)


async def test_only_throttled_documents_are_sent_again() -> None:
    """A bulk request is not one thing: what was written stays written."""
    world = World()
    throttled = DependencyFailure(Reason.THROTTLED, transient=True)
    tries: list[str] = []

    def refuses(document: Document) -> DependencyFailure | None:
        tries.append(document.text)
        return throttled if document.text in ("b", "d") and tries.count(document.text) < 3 else None

    world.index.refuses = refuses
    await world.kafka.produce(0, b"a", b"b", b"c", b"d", b"e")
    async with world.running() as run:
        await run.rows(5)
    assert [[d.text for d in write] for write in world.index.writes] == [list("abcde"), ["b", "d"], ["b", "d"]]
    world.assert_once(*"abcde")


@pytest.mark.parametrize("dimensions", [3, None])
async def test_an_index_of_another_shape_is_waited_for(dimensions: int | None) -> None:
    """It cannot hold our vectors, and it is not ours to change: pause, reject nothing, go on when it is mended."""
    world = World()
    world.index.put("connectivity-test", dimensions)
    reason = Reason.MAPPING_MISMATCH if dimensions is None else Reason.DIMENSION_MISMATCH
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await outage(run, Service.OPENSEARCH, 300)
        assert run.progress.troubles[Service.OPENSEARCH].error.reason is reason
        assert world.rows.rows == []
        world.index.delete("connectivity-test")
        world.index.put("connectivity-test", 4)
        mended = asyncio.get_running_loop().time()
        await run.rows(2)
    assert world.rows.inserted_at[0] - mended <= 10.1
    world.assert_once("a", "b")


async def test_vectors_of_another_length_are_never_written() -> None:
    """The model was changed behind its name, or ignores `dimensions`."""
    world = World()
    world.embedder.dimensions = 3
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await outage(run, Service.OPENAI, 300)
        error = run.progress.troubles[Service.OPENAI].error
        assert error.reason is Reason.DIMENSION_MISMATCH
        assert error.evidence == {"model": "text-embedding-test", "dimensions": "3", "expected_dimensions": "4"}
        assert world.index.writes == []
        world.embedder.dimensions = 4
        await run.rows(1)
    assert world.texts() == ["a"]


async def test_a_dependency_that_refuses_everything_condemns_nobody() -> None:
    """It blames the content of every request; the known-good text is refused as well, so it is the dependency."""
    world = World()
    world.embedder.refuses = lambda text: True
    await world.kafka.produce(0, *(b"m%d" % n for n in range(300)))
    async with world.running() as run:
        await outage(run, Service.OPENAI, 600)
        assert run.progress.counters.rejected == 0
        assert world.rows.rows == []
        error = run.progress.troubles[Service.OPENAI].error
        assert error.reason is Reason.INPUT_REJECTED
        assert not isinstance(error, ContentRefused)
        world.embedder.refuses = lambda text: False
        await run.rows(300)
    world.assert_once(*(f"m{n}" for n in range(300)))


async def test_an_index_that_refuses_everything_condemns_nobody() -> None:
    """A document of the same shape with a harmless text is refused too."""
    world = World()
    world.index.refuses = lambda document: DependencyFailure(Reason.DOCUMENT_REJECTED, transient=False)
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await outage(run, Service.OPENSEARCH, 600)
        assert run.progress.counters.rejected == 0
        assert world.rows.rows == []
        world.index.refuses = lambda document: None
        await run.rows(2)
    world.assert_once("a", "b")


async def test_a_table_that_refuses_everything_condemns_nobody() -> None:
    """The probe's row, a real insert rolled back, is refused too."""
    world = World()
    world.rows.refuses = lambda row: True
    world.rows.faults.begin("probe", ContentRefused(Service.POSTGRESQL, Reason.ROW_REJECTED))
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await outage(run, Service.POSTGRESQL, 600)
        assert run.progress.counters.rejected == 0
        world.rows.refuses = lambda row: False
        world.rows.faults.mend("probe")
        await run.rows(2)
    world.assert_once("a", "b")


async def test_a_partition_lost_during_an_outage_leaves_no_trouble_behind() -> None:
    """What was waiting is dropped with its partition; the trouble goes with it, or reading would never go on."""
    world = World()
    world.kafka.create_topic("orders", 2)
    async with world.running() as run:
        await run.started()
        world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
        await world.kafka.produce(0, b"a")
        await outage(run, Service.POSTGRESQL, 60)
        world.rows.faults.mend("insert")
        world.rows.faults.once("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED, retry_after=100.0))
        await asyncio.sleep(15)
        await world.kafka.rebalance()
        await run.committed(p0=1)
        assert run.progress.troubles == {}
    assert world.contents() == ["a"]


async def test_a_kafka_that_cannot_be_reached_is_tried_until_it_can() -> None:
    """Before the group is joined nothing has a position."""
    world = World()
    error = DependencyError(Service.KAFKA, Reason.CONNECTION_TIMEOUT)
    world.kafka.faults.begin("start", error)
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await outage(run, Service.KAFKA, 600)
        assert run.progress.starting
        assert run.progress.troubles[Service.KAFKA].error is error
        world.kafka.faults.mend("start")
        await run.rows(1)
        assert run.progress.troubles == {}


async def test_a_fetch_that_fails_is_repeated_with_patience() -> None:
    """A denial is raised at every call at once: it must not be asked a thousand times a second."""
    world = World()
    async with world.running() as run:
        await run.started()
        world.kafka.faults.begin("fetch", DependencyError(Service.KAFKA, Reason.READ_DATA_DENIED))
        await world.kafka.produce(0, b"a")
        await outage(run, Service.KAFKA, 0)
        before = run.source.fetches
        await asyncio.sleep(600)
        assert run.source.fetches - before < 300
        assert run.progress.troubles[Service.KAFKA].error.reason is Reason.READ_DATA_DENIED
        world.kafka.faults.mend("fetch")
        await run.rows(1)
        await run.until(lambda: not run.progress.troubles)


async def test_one_unreadable_topic_stays_a_trouble_while_others_are_read() -> None:
    """Its denial comes again and again between successful fetches: one trouble with one beginning."""
    world = World()
    denied = DependencyError(Service.KAFKA, Reason.READ_DATA_DENIED)
    async with world.running() as run:
        await run.started()
        for number in range(60):
            world.kafka.faults.once("fetch", denied)
            await world.kafka.produce(0, b"m%d" % number)
            await asyncio.sleep(2)
        assert run.progress.troubles[Service.KAFKA].since < 10
        await run.rows(60)


async def test_a_shared_embedder_keeps_all_promises() -> None:
    """The wrappers for the whole process change nothing of what one pipeline sees."""
    world = World()
    world.embedder.seconds = 0.1
    world.embedder.refuses = lambda text: text == "m7"
    api = world.embedder
    world.embedder = SharedEmbedder(api)  # type: ignore[assignment]
    await world.kafka.produce(0, *(b"m%d" % n for n in range(100)))
    async with world.running() as run:
        await run.rows(100)
    assert world.contents("ERROR") == ["m7"]
    assert len(world.contents()) == 99
