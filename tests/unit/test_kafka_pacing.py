"""Requests that aiokafka would repeat without a pause are spaced; those that it makes once are not."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import aiokafka.client
import pytest

from connectivity_operator.adapters.kafka import patches
from connectivity_operator.adapters.kafka.pacing import CALM, FRUITLESS, LONGEST_PAUSE, pace
from tests.fakes.virtual_time import VirtualTimeLoop


class Inner:
    """The two methods of aiokafka that are paced; ``fruit`` is what a fetch says it brought."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.fruit = False
        self.assignment = SimpleNamespace(active=True)
        self.consumer = SimpleNamespace(
            _client=SimpleNamespace(_metadata_update=self._update),
            _fetcher=SimpleNamespace(_proc_fetch_request=self._fetch, _closed=False),
        )
        pace(self.consumer)

    async def update(self) -> None:
        assert await self.consumer._client._metadata_update("cluster", "topics") == "updated"

    async def fetch(self) -> None:
        assert await self.consumer._fetcher._proc_fetch_request(self.assignment, 1, "request") is self.fruit

    async def _update(self, *args: Any) -> str:
        assert args == ("cluster", "topics")
        self.asked.append(asyncio.get_running_loop().time())
        return "updated"

    async def _fetch(self, *args: Any) -> bool:
        assert args == (self.assignment, 1, "request")
        return self.fruit


@pytest.fixture
def inner() -> Inner:
    return Inner()


def lasted(coroutine: Coroutine[Any, Any, Any]) -> float:
    """Seconds of virtual time."""

    async def measured() -> float:
        began = asyncio.get_running_loop().time()
        await coroutine
        return asyncio.get_running_loop().time() - began

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(measured())


def test_metadata_is_asked_for_at_once_after_a_calm(inner: Inner) -> None:
    """A leader that moved is found without delay."""

    async def twice() -> None:
        await inner.update()
        await asyncio.sleep(CALM + 1)
        await inner.update()

    lasted(twice())
    assert inner.asked == [0.0, CALM + 1]


def test_metadata_that_is_asked_for_again_and_again_comes_ever_slower(inner: Inner) -> None:
    """A partition without a leader: twice as long each time, up to two seconds."""

    async def minute() -> None:
        while asyncio.get_running_loop().time() < 60:
            await inner.update()

    lasted(minute())
    pauses = [round(later - sooner, 2) for sooner, later in zip(inner.asked, inner.asked[1:], strict=False)]
    assert pauses[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, LONGEST_PAUSE]
    assert set(pauses[6:]) == {LONGEST_PAUSE}


def test_a_fetch_that_brings_records_is_not_held_up(inner: Inner) -> None:
    """Speed is not touched."""
    inner.fruit = True
    assert lasted(inner.fetch()) == 0.0


def test_a_fetch_that_is_refused_is_not_repeated_at_once(inner: Inner) -> None:
    """Its leader has moved, or its disk has failed."""
    assert lasted(inner.fetch()) == pytest.approx(FRUITLESS)


@pytest.mark.parametrize("ended", ["revoked", "closed"])
def test_a_fetch_that_was_cancelled_ends_at_once(inner: Inner, ended: str) -> None:
    """A rebalance and a stop wait for it."""
    inner.assignment.active = ended != "revoked"
    inner.consumer._fetcher._closed = ended == "closed"
    assert lasted(inner.fetch()) == 0.0


# ── replaced in aiokafka ─────────────────────────────────────────────────────────────────────────────
def test_no_client_creates_a_topic_by_asking_for_it() -> None:
    """aiokafka's own requests would, on a cluster that creates topics by itself."""
    patches.apply()
    versions = {3: (0, 5)}
    for topics in (["orders"], [], None):
        request = aiokafka.client.MetadataRequest(topics).prepare(versions)
        assert request.allow_auto_topic_creation is False


async def test_connecting_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker whose packets are dropped must not keep a client from the others for as long as requests may take."""
    monkeypatch.setattr(patches, "CONNECT_LIMIT", 0.05)
    patches.apply()
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(TimeoutError):
            await aiokafka.client.create_conn(host, port, request_timeout_ms=60_000)
