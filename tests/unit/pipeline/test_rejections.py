"""Messages that can never succeed become a row and hold up nobody."""

from __future__ import annotations

import pytest

from connectivity_operator.errors import ContentRefused
from connectivity_operator.ports import DependencyFailure
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import World
from tests.fakes.source import TIMESTAMP


async def test_a_text_that_the_api_refuses_is_rejected() -> None:
    """Its row says ERROR and has the text, but no document and no embedding; the others go their way."""
    world = World()
    world.embedder.refuses = lambda text: text == "bad"
    await world.kafka.produce(0, b"a", b"bad", b"b")
    async with world.running() as run:
        await run.rows(3)
        await run.committed(p0=3)
        progress = run.progress
    (row,) = [row for row in world.rows.rows if row.log_level == "ERROR"]
    assert (row.kafka_topic, row.kafka_partition, row.kafka_offset, row.message_content) == ("orders", 0, 1, "bad")
    assert (row.opensearch_doc_id, row.opensearch_index, row.embedding_dimensions) == (None, None, None)
    assert sorted(world.texts()) == ["a", "b"]
    assert (progress.counters.rejected, progress.counters.logged, progress.counters.indexed) == (1, 2, 2)
    assert progress.last_rejected is not None
    assert progress.last_rejected.body() == {"topic": "orders", "partition": 0, "offset": 1, "reason": "InputRejected"}
    assert progress.troubles == {}


async def test_a_refused_message_alone_is_condemned_after_the_known_good_one() -> None:
    """One refusal, one proof."""
    world = World()
    world.embedder.refuses = lambda text: text == "bad"
    await world.kafka.produce(0, b"bad")
    async with world.running() as run:
        await run.rows(1)
    assert world.embedder.requests == [["bad"], ["connectivity test"]]
    assert world.contents("ERROR") == ["bad"]


async def test_a_large_batch_with_a_bad_text_is_bisected() -> None:
    """The others are embedded once; the number of calls is bounded."""
    world = World()
    world.embedder.refuses = lambda text: text == "m100"
    await world.kafka.produce(0, *(b"m%d" % n for n in range(256)))
    async with world.running() as run:
        await run.rows(256)
    tries = [request for request in world.embedder.requests if "m100" in request]
    assert len(tries) <= 1 + 8
    assert len(world.embedder.requests) <= 2 + 1 + 16 + 1
    assert len(world.contents()) == len(set(world.contents())) == 255


async def test_every_message_bad_is_every_message_rejected() -> None:
    """As long as the known-good one is accepted; the calls stay bounded."""
    world = World()
    world.embedder.refuses = lambda text: text.startswith("m")
    await world.kafka.produce(0, *(b"m%d" % n for n in range(256)))
    async with world.running() as run:
        await run.rows(256)
        assert run.progress.counters.rejected == 256
        assert run.progress.accepted_at is None
        assert run.progress.finished_at is not None
    assert len(world.embedder.requests) <= 256 + 40


async def test_undecodable_bytes_are_rejected_without_asking_anybody() -> None:
    """The row shows them escaped."""
    world = World()
    await world.kafka.produce(0, b"caf\xe9")
    async with world.running() as run:
        await run.rows(1)
        assert run.progress.last_rejected is not None
        assert run.progress.last_rejected.reason is Reason.UNDECODABLE
    assert world.contents("ERROR") == [r"caf\xe9"]
    assert world.embedder.requests == []


async def test_tombstones_and_empty_values_are_skipped() -> None:
    """A row with WARNING, no embedding, no document, and the offset goes on."""
    world = World()
    await world.kafka.produce(0, None)
    async with world.running() as run:
        await run.rows(1)
        accepted = run.progress.accepted_at
        await world.kafka.produce(0, b"a", b"")
        await run.committed(p0=3)
        counters = run.progress.counters
    assert world.contents("WARNING") == [None, ""]
    assert accepted is not None, "a skipped message is not a rejected one"
    assert (counters.consumed, counters.skipped, counters.logged, counters.rejected) == (3, 2, 1, 0)
    world.assert_once("a")


async def test_a_document_that_the_index_refuses_is_rejected() -> None:
    """Another one that the same request wrote is the proof."""
    world = World()
    refusal = DependencyFailure(Reason.DOCUMENT_REJECTED, transient=False)
    world.index.refuses = lambda document: refusal if document.text == "bad" else None
    await world.kafka.produce(0, b"a", b"bad")
    async with world.running() as run:
        await run.rows(2)
    assert world.contents("ERROR") == ["bad"]
    assert world.texts() == ["a"]
    (row,) = [row for row in world.rows.rows if row.log_level == "ERROR"]
    assert (row.embedding_dimensions, row.opensearch_index) == (4, None)
    assert world.index.removed == []


async def test_a_document_refused_alone_is_condemned_after_a_good_one_was_written_and_removed() -> None:
    """There is no other proof that the index takes documents of this shape; nothing stays behind."""
    world = World()
    refusal = DependencyFailure(Reason.DOCUMENT_REJECTED, transient=False)
    world.index.refuses = lambda document: refusal if document.text == "bad" else None
    await world.kafka.produce(0, b"bad")
    async with world.running() as run:
        await run.rows(1)
    assert world.contents("ERROR") == ["bad"]
    assert world.texts() == []
    assert len(world.index.removed) == 1


async def test_a_document_refused_for_its_timestamp_does_not_block_its_partition() -> None:
    """Producers write what they like into it. The known-good document must not have it, or nothing would be proven."""
    world = World()
    refusal = DependencyFailure(Reason.DOCUMENT_REJECTED, transient=False)
    world.index.refuses = lambda document: refusal if document.timestamp == TIMESTAMP else None
    await world.kafka.produce(0, b"bad")
    async with world.running() as run:
        await run.committed(p0=1)
    assert world.contents("ERROR") == ["bad"]
    assert world.texts() == []


async def test_a_whole_bulk_request_that_is_refused_is_bisected() -> None:
    """A proxy's limit of the body's size, for example."""
    world = World()
    write = world.index.write

    async def refuses_large(index, documents):  # type: ignore[no-untyped-def]
        if any(document.text == "bad" for document in documents):
            raise ContentRefused(Service.OPENSEARCH, Reason.DOCUMENT_REJECTED)
        return await write(index, documents)

    world.index.write = refuses_large  # type: ignore[method-assign]
    world.index.put("connectivity-test", 4)
    await world.kafka.produce(0, b"a", b"b", b"bad", b"c")
    async with world.running() as run:
        await run.rows(4)
    assert world.contents("ERROR") == ["bad"]
    assert sorted(world.texts()) == ["a", "b", "c"]


async def test_a_text_that_the_table_refuses_is_logged_as_it_can_be() -> None:
    """A database in another encoding: an ERROR row with the text in ASCII, the others untouched."""
    world = World()
    world.rows.refuses = lambda row: not (row.message_content or "").isascii()
    await world.kafka.produce(0, b"a", "café".encode(), b"b")
    async with world.running() as run:
        await run.rows(3)
        await run.committed(p0=3)
        assert run.progress.last_rejected is not None
        assert run.progress.last_rejected.reason is Reason.ROW_REJECTED
    assert world.contents("ERROR") == [r"caf\xe9"]
    assert sorted(t or "" for t in world.contents()) == ["a", "b"]
    assert world.rows.probes > 0


async def test_a_text_that_no_row_can_hold_is_left_out() -> None:
    """The row is still there: only it lets the partition go on."""
    world = World()
    world.rows.refuses = lambda row: row.message_content is not None and "x" in row.message_content
    await world.kafka.produce(0, b"x")
    async with world.running() as run:
        await run.rows(1)
    assert world.contents("ERROR") == [None]


@pytest.mark.parametrize("value", [b"a\x00b", b"x" * 100_000])
async def test_rows_hold_what_the_table_can_hold(value: bytes) -> None:
    """NUL is replaced and long texts are cut in the row; embedding and document get the whole text."""
    world = World()
    await world.kafka.produce(0, value)
    async with world.running() as run:
        await run.rows(1)
    assert world.texts() == [value.decode()]
    (text,) = world.contents()
    assert text is not None
    assert "\x00" not in text
    assert len(text) <= 65_536
