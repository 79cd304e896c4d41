"""The status writer coalesces, survives an API server that is away, and knows when its object is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from connectivity_operator import status_writer
from connectivity_operator.errors import ConnectivityError
from connectivity_operator.ports import ObjectGone, ObjectRef
from connectivity_operator.status_writer import StatusWriter, Urgency

REF = ObjectRef("shop", "orders", "3f2a0000-0000")


class FakeApi:
    """An API server that can be away or have forgotten the object."""

    def __init__(self) -> None:
        self.written: list[Mapping[str, object]] = []
        self.events: list[str] = []
        self.answer: Exception | None = None
        self.lost: frozenset[str] = frozenset()
        self.calls = 0

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, object]) -> frozenset[str]:
        self.calls += 1
        if self.answer:
            raise self.answer
        self.written.append(status)
        return self.lost

    async def post_event(self, ref: ObjectRef, *, kind: str, reason: str, message: str, at: datetime) -> None:
        if self.answer:
            raise self.answer
        self.events.append(reason)


@asynccontextmanager
async def running(api: FakeApi) -> AsyncIterator[StatusWriter]:
    writer = StatusWriter(api, REF)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(condition: object) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_writer, "SETTLE", 0.01)
    monkeypatch.setattr(status_writer, "LOOK", 0.02)
    monkeypatch.setattr(status_writer, "RETRY_FIRST", 0.01)
    monkeypatch.setattr(status_writer, "GONE_AFTER", 0.05)


async def test_changes_that_come_together_become_one_write_of_the_newest() -> None:
    """Four verdicts within a moment are one etcd revision."""
    api = FakeApi()
    async with running(api) as writer:
        for n in range(4):
            writer.submit({"n": n}, Urgency.CHANGE)
        await until(lambda: api.written)
        assert api.written == [{"n": 3}]


async def test_counters_alone_wait_for_half_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traffic must not become a write each message."""
    monkeypatch.setattr(status_writer, "COUNTERS_EVERY", 0.2)
    api = FakeApi()
    async with running(api) as writer:
        writer.submit({"n": 0}, Urgency.CHANGE)
        await until(lambda: len(api.written) == 1)
        for n in range(1, 6):
            writer.submit({"n": n}, Urgency.COUNTERS)
        await asyncio.sleep(0)
        assert len(api.written) == 1
        await until(lambda: len(api.written) == 2)
        assert api.written[-1] == {"n": 5}


async def test_an_api_server_that_is_away_loses_nothing() -> None:
    """The newest status and the events are written when it is back."""
    api = FakeApi()
    api.answer = ConnectivityError("away")
    async with running(api) as writer:
        writer.submit({"n": 1}, Urgency.CHANGE)
        writer.event("Warning", "ReadDataDenied", "…", datetime.now(UTC))
        await until(lambda: api.calls >= 2)
        writer.submit({"n": 2}, Urgency.CHANGE)
        api.answer = None
        await until(lambda: api.events)
        assert api.written[-1] == {"n": 2}
        assert api.events == ["ReadDataDenied"]


async def test_a_fault_of_our_own_does_not_end_the_writing() -> None:
    """Nobody would notice: the supervisor goes on, and the resource would never be written again."""
    api = FakeApi()
    api.answer = AttributeError("a proxy answered with a web page")
    async with running(api) as writer:
        writer.event("Normal", "Ready", "all is well", datetime.now(UTC))
        writer.submit({"n": 1}, Urgency.CHANGE)
        await until(lambda: api.calls >= 2)
        api.answer = None
        await until(lambda: api.events)
    assert api.written == [{"n": 1}]
    assert not writer.gone.is_set()


async def test_one_not_found_is_not_believed() -> None:
    """An API server that is starting may answer nonsense; the second 404 counts."""
    api = FakeApi()
    api.answer = ObjectGone()
    async with running(api) as writer:
        writer.submit({"n": 1}, Urgency.CHANGE)
        await until(lambda: api.calls == 1)
        assert not writer.gone.is_set()
        api.answer = None
        await until(lambda: api.written)
        assert not writer.gone.is_set()
        api.answer = ObjectGone()
        writer.submit({"n": 2}, Urgency.CHANGE)
        await until(writer.gone.is_set)


async def test_fields_that_an_older_crd_drops_are_told_once() -> None:
    """As an Event, because a condition could be dropped as well; again only if it drops more."""
    api = FakeApi()
    api.lost = frozenset({"status.services"})
    async with running(api) as writer:
        for n in range(3):
            writer.submit({"n": n}, Urgency.CHANGE)
            await until(lambda n=n: len(api.written) == n + 1)
        assert api.events == ["OutdatedCRD"]
        api.lost = frozenset()
        writer.submit({"n": 3}, Urgency.CHANGE)
        await until(lambda: len(api.written) == 4)
        api.lost = frozenset({"status.services"})
        writer.submit({"n": 4}, Urgency.CHANGE)
        await until(lambda: len(api.events) == 2)


async def test_a_withdrawn_status_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat in the name of who has given way would take the object back, and two operators take turns."""
    monkeypatch.setattr(status_writer, "COUNTERS_EVERY", 0.02)
    api = FakeApi()
    async with running(api) as writer:
        writer.heartbeat = 0.02
        writer.submit({"n": 1}, Urgency.CHANGE)
        await until(lambda: len(api.written) > 2)  # the heartbeat goes on by itself
        writer.withdraw()
        await asyncio.sleep(0.02)
        written = len(api.written)
        await asyncio.sleep(0.2)
        assert len(api.written) == written
        writer.submit({"n": 2}, Urgency.CHANGE)
        await until(lambda: api.written[-1] == {"n": 2})
