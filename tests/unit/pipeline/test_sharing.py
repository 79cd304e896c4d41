"""Requests of all pipelines together: few in flight, shared when they have to wait, and never at another's cost."""

from __future__ import annotations

import asyncio

import pytest

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.pipeline.sharing import PartOfRequest, SharedEmbedder, SharedIndex, SharedRows
from connectivity_operator.ports import DependencyFailure, Document, Embeddings, Row
from connectivity_operator.reasons import Reason, Service
from tests.fakes.embedder import FakeEmbedder, vector
from tests.fakes.index import FakeIndex
from tests.fakes.pipeline import down
from tests.fakes.row_log import FakeRowLog


@pytest.fixture
def api() -> FakeEmbedder:
    made = FakeEmbedder()
    made.seconds = 1.0
    return made


def embed(shared: SharedEmbedder, *texts: str, model: str = "m") -> asyncio.Task[Embeddings]:
    return asyncio.create_task(shared.embed(texts, model=model, dimensions=4))


async def test_a_free_call_is_made_at_once(api: FakeEmbedder) -> None:
    """Nobody waits for company."""
    answer = await embed(SharedEmbedder(api), "a")
    assert asyncio.get_running_loop().time() == 1.0
    assert (list(answer.vectors), answer.tokens) == ([vector("a", 4)], 1)
    assert not isinstance(answer, PartOfRequest)


async def test_no_more_calls_in_flight_than_allowed(api: FakeEmbedder) -> None:
    """However many pipelines want one."""
    shared = SharedEmbedder(api, calls=4)
    await asyncio.gather(*(embed(shared, *(f"{n}-{i}" for i in range(256))) for n in range(20)))
    assert api.most_in_flight == 4
    assert len(api.requests) == 20


async def test_what_waits_shares_the_next_call(api: FakeEmbedder) -> None:
    """Two hundred resources with one message each: the first calls are alone, one more takes all the others."""
    shared = SharedEmbedder(api, calls=4)
    answers = await asyncio.gather(*(embed(shared, f"text {n}") for n in range(200)))
    assert [len(request) for request in api.requests] == [1, 1, 1, 1, 196]
    assert [list(answer.vectors) for answer in answers] == [[vector(f"text {n}", 4)] for n in range(200)]
    part = answers[-1]
    assert isinstance(part, PartOfRequest)
    assert (part.inputs, part.tokens) == (196, sum(len(text) for text in api.requests[-1]))


async def test_only_what_asks_the_same_way_shares(api: FakeEmbedder) -> None:
    """Another model, or a text that may be too long, travels apart."""
    shared = SharedEmbedder(api, calls=1)
    calls = [embed(shared, "first"), embed(shared, "a"), embed(shared, "b", model="other"), embed(shared, "c")]
    calls += [embed(shared, "x" * 9000), embed(shared, "d")]
    await asyncio.gather(*calls)
    assert api.requests == [["first"], ["a", "c", "d"], ["b"], ["x" * 9000]]


async def test_a_shared_call_keeps_the_limits(api: FakeEmbedder) -> None:
    """256 inputs and 300,000 bytes."""
    shared = SharedEmbedder(api, calls=1)
    await asyncio.gather(*(embed(shared, *["x" * 100] * 100) for _ in range(6)))
    assert [len(request) for request in api.requests] == [100, 200, 200, 100]
    api.requests.clear()
    await asyncio.gather(*(embed(shared, *["x" * 8000] * 20) for _ in range(3)))
    assert [len(request) for request in api.requests] == [20, 20, 20]


async def test_a_passenger_s_bad_text_is_no_other_s_fault(api: FakeEmbedder) -> None:
    """The request is made again for each alone: only the owner of the bad text is refused."""
    api.refuses = lambda text: text == "bad"
    shared = SharedEmbedder(api, calls=1)
    calls = [embed(shared, text) for text in ("first", "a", "bad", "b")]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Embeddings, Embeddings, ContentRefused, Embeddings]


async def test_a_dependency_s_fault_is_everybody_s(api: FakeEmbedder) -> None:
    """One request failed, all its passengers hear why; the next one works."""
    shared = SharedEmbedder(api, calls=1)
    calls = [embed(shared, text) for text in ("first", "a", "b")]
    await asyncio.sleep(0.5)
    await calls[0]
    api.faults.once("embed", down(Service.OPENAI, Reason.RATE_LIMITED, retry_after=7.0))
    answers = await asyncio.gather(*calls[1:], return_exceptions=True)
    assert [(type(a), getattr(a, "retry_after", None)) for a in answers] == [(DependencyError, 7.0)] * 2
    await embed(shared, "c")


async def test_who_is_cancelled_leaves_the_others_alone(api: FakeEmbedder) -> None:
    """A resource that is deleted while its text travels; a call for nobody ends."""
    shared = SharedEmbedder(api, calls=1)
    first, a, b, c = (embed(shared, text) for text in ("first", "a", "b", "c"))
    await asyncio.sleep(0.5)
    c.cancel()
    await asyncio.sleep(1)
    a.cancel()
    assert list((await b).vectors) == [vector("b", 4)]
    assert api.requests == [["first"], ["a", "b"]]
    await first
    last = embed(shared, "last")
    await asyncio.sleep(0.5)
    last.cancel()
    began = asyncio.get_running_loop().time()
    await embed(shared, "next")
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)


def document(name: str, *, dimensions: int = 4) -> Document:
    return Document(name, "ns", name, "orders", 0, 0, name, "m", b"\0" * 4 * dimensions, 0)


async def test_documents_of_one_index_and_dimension_share_a_write() -> None:
    """Each resource gets the ids, or the refusals, of its own documents."""
    index = FakeIndex()
    index.seconds = 1.0
    index.put("one", 4)
    index.put("two", 4)
    failure = DependencyFailure(Reason.DOCUMENT_REJECTED, transient=False)
    index.refuses = lambda d: failure if d.name == "b" else None
    shared = SharedIndex(index, calls=1)
    answers = await asyncio.gather(
        shared.write("one", [document("first")]),
        shared.write("one", [document("a")]),
        shared.write("two", [document("x")]),
        shared.write("one", [document("b"), document("c")]),
        shared.write("one", [document("short", dimensions=3)]),
        return_exceptions=True,
    )
    assert answers[:4] == [["id:first"], ["id:a"], ["id:x"], [failure, "id:c"]]
    assert isinstance(answers[4], DependencyError)
    assert [[d.name for d in write] for write in index.writes] == [["first"], ["a", "b", "c"], ["x"]]


async def test_rows_share_an_insert() -> None:
    """The table is one for all."""
    table = FakeRowLog()
    table.seconds = 1.0
    shared = SharedRows(table, calls=1)
    await shared.ensure_table()
    rows = [Row("orders", 0, n, "text", None, None, None, None, "INFO") for n in range(5)]
    await asyncio.gather(*(shared.insert([row]) for row in rows))
    assert [len(insert) for insert in table.inserts] == [1, 4]
    assert table.rows == rows
