"""Requests of all pipelines meet here: few in flight, and what waits for one travels together.

Wrappers around the three ports, made once for the whole process. While a call can be made at once it is made
at once: nobody ever waits for company. When all calls are in flight, the next one takes along everything
waiting that can share its request, whichever resource it belongs to: a burst of one message each in hundreds
of resources costs a handful of requests, not hundreds. The content of one passenger is never another's fault:
a shared request that is refused for its content is made again for each passenger alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from connectivity_operator.errors import ContentRefused
from connectivity_operator.pipeline.content import REQUEST_BYTES, SURELY_FITS
from connectivity_operator.pipeline.packing import BULK_BYTES, MOST_ITEMS, document_bytes, text_bytes
from connectivity_operator.ports import (
    DependencyFailure,
    Document,
    Embedder,
    Embeddings,
    IndexState,
    Row,
    RowLog,
    VectorIndex,
)

I = TypeVar("I")  # noqa: E741 (an item)
A = TypeVar("A")  # the answer to a call


class Portion(NamedTuple, Generic[A]):
    """One passenger's part of an answer: that of the items ``first`` to before ``last``."""

    whole: A
    first: int
    last: int


@dataclass(slots=True, eq=False)
class _Passenger(Generic[I, A]):
    key: Hashable
    items: Sequence[I]
    size: int
    alone: bool
    make: Callable[[Sequence[I]], Awaitable[A]]
    answer: asyncio.Future[Portion[A]]
    call: _Call[I, A] | None = None

    def resolve(self, outcome: Portion[A] | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, Exception):
            self.answer.set_exception(outcome)
        else:
            self.answer.set_result(outcome)


@dataclass(slots=True, eq=False)
class _Call(Generic[I, A]):
    passengers: list[_Passenger[I, A]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None


class SharedCalls(Generic[I, A]):
    """At most ``calls`` in flight; what waits under the same key shares one, within the limits."""

    def __init__(self, *, calls: int, most_bytes: int, most_items: int = MOST_ITEMS) -> None:
        self._calls, self._most_bytes, self._most_items = calls, most_bytes, most_items
        self._flying: set[_Call[I, A]] = set()
        self._waiting: deque[_Passenger[I, A]] = deque()

    async def call(
        self,
        key: Hashable,
        items: Sequence[I],
        make: Callable[[Sequence[I]], Awaitable[A]],
        *,
        size: int,
        alone: bool = False,
    ) -> Portion[A]:
        """The answer to ``make(items)``, or this caller's part of a larger one; raises what ``make`` raises.

        ``make`` must do the same for equal keys. ``size`` in bytes; ``alone``: never share.
        """
        answer: asyncio.Future[Portion[A]] = asyncio.get_running_loop().create_future()
        passenger = _Passenger(key, items, size, alone, make, answer)
        self._waiting.append(passenger)
        self._start()
        try:
            return await answer
        except asyncio.CancelledError:
            self._leave(passenger)
            raise

    def _leave(self, passenger: _Passenger[I, A]) -> None:
        """A caller was cancelled: its call goes on for the others, and ends when there are none."""
        if passenger.call is None:
            self._waiting.remove(passenger)
        elif passenger.call.task and all(p.answer.done() for p in passenger.call.passengers):
            passenger.call.task.cancel()

    def _start(self) -> None:
        while self._waiting and len(self._flying) < self._calls:
            call = self._board()
            self._flying.add(call)
            call.task = asyncio.create_task(self._fly(call), name="shared call")

    def _board(self) -> _Call[I, A]:
        """The one who waits longest, and all who can come along."""
        first = self._waiting.popleft()
        call = _Call([first])
        items, size = len(first.items), first.size
        staying: deque[_Passenger[I, A]] = deque()
        for passenger in self._waiting:
            fits = items + len(passenger.items) <= self._most_items and size + passenger.size <= self._most_bytes
            if first.alone or passenger.alone or passenger.key != first.key or not fits:
                staying.append(passenger)
                continue
            call.passengers.append(passenger)
            items, size = items + len(passenger.items), size + passenger.size
        self._waiting = staying
        for passenger in call.passengers:
            passenger.call = call
        return call

    async def _fly(self, call: _Call[I, A]) -> None:
        try:
            await self._make(call.passengers)
        finally:
            self._flying.discard(call)
            for passenger in call.passengers:
                passenger.answer.cancel()  # of no effect when it was answered
            self._start()

    async def _make(self, passengers: Sequence[_Passenger[I, A]]) -> None:
        items = [item for passenger in passengers for item in passenger.items]
        try:
            answer = await passengers[0].make(items)
        except Exception as error:  # the edge of this task: it belongs to the callers
            if isinstance(error, ContentRefused) and len(passengers) > 1:
                for passenger in passengers:
                    await self._make([passenger])
                return
            for passenger in passengers:
                passenger.resolve(error)
            return
        first = 0
        for passenger in passengers:
            last = first + len(passenger.items)
            passenger.resolve(Portion(answer, first, last))
            first = last


@dataclass(frozen=True, slots=True)
class PartOfRequest(Embeddings):
    """Some of the vectors of a shared request; ``tokens`` and ``inputs`` are the whole request's."""

    inputs: int


class SharedEmbedder:
    """An `Embedder` for all pipelines. ``calls``: requests in flight; more of them hide the API's latency."""

    def __init__(self, embedder: Embedder, *, calls: int = 4) -> None:
        self._embedder = embedder
        self._shared: SharedCalls[str, Embeddings] = SharedCalls(calls=calls, most_bytes=REQUEST_BYTES)

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None) -> Embeddings:
        async def make(these: Sequence[str]) -> Embeddings:
            return await self._embedder.embed(these, model=model, dimensions=dimensions)

        sizes = [text_bytes(text) for text in texts]
        whole, first, last = await self._shared.call(
            (model, dimensions), texts, make, size=sum(sizes), alone=max(sizes) > SURELY_FITS
        )
        if last - first == len(whole.vectors):
            return whole
        return PartOfRequest(whole.vectors[first:last], whole.dimensions, whole.tokens, len(whole.vectors))


class SharedIndex:
    """A `VectorIndex` for all pipelines. ``calls``: bulk requests in flight (threads of the adapter)."""

    def __init__(self, index: VectorIndex, *, calls: int = 4) -> None:
        self._index = index
        self._shared: SharedCalls[Document, Sequence[str | DependencyFailure]] = SharedCalls(
            calls=calls, most_bytes=BULK_BYTES
        )

    async def write(self, index: str, documents: Sequence[Document]) -> Sequence[str | DependencyFailure]:
        async def make(these: Sequence[Document]) -> Sequence[str | DependencyFailure]:
            return await self._index.write(index, these)

        size = sum(document_bytes(text_bytes(d.text), len(d.vector) // 4) for d in documents)
        # Documents of another dimension would be refused together with ours.
        key = (index, len(documents[0].vector))
        whole, first, last = await self._shared.call(key, documents, make, size=size)
        return whole[first:last]

    async def describe(self, index: str) -> IndexState | None:
        return await self._index.describe(index)

    async def create(self, index: str, dimensions: int) -> None:
        await self._index.create(index, dimensions)

    async def remove(self, index: str, document_id: str) -> None:
        await self._index.remove(index, document_id)

    async def probe_write(self, index: str) -> None:
        await self._index.probe_write(index)

    async def probe_access(self) -> None:
        await self._index.probe_access()


class SharedRows:
    """A `RowLog` for all pipelines. ``calls``: inserts in flight (connections of the adapter's pool)."""

    def __init__(self, rows: RowLog, *, calls: int = 4) -> None:
        self._rows = rows
        self._shared: SharedCalls[Row, None] = SharedCalls(calls=calls, most_bytes=BULK_BYTES)

    async def insert(self, rows: Sequence[Row]) -> None:
        size = sum(len(row.message_content or "") for row in rows)
        await self._shared.call(None, rows, self._rows.insert, size=size)

    async def ensure_table(self) -> None:
        await self._rows.ensure_table()

    async def probe(self) -> None:
        await self._rows.probe()
