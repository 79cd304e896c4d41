"""The pipeline over the real adapters and the lab's real servers: every message exactly once, none lost."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer

from connectivity_operator import app
from connectivity_operator.pipeline import Budget, Pipeline, SharedEmbedder, SharedIndex, SharedRows, Work
from connectivity_operator.settings import Settings
from lab import operator_env, postgresql
from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.postgresql.control import SqlError

pytestmark = pytest.mark.usefixtures("account")


@dataclass
class World:
    """A topic, a group and an index of their own, and what all pipelines of a process share."""

    name: str
    engine: app.Engine
    embedder: SharedEmbedder
    index: SharedIndex
    rows: SharedRows

    @asynccontextmanager
    async def running(self, *, start_from: str = "Earliest") -> AsyncIterator[Pipeline]:
        """A pipeline at work; stopped in the end."""
        work = Work(
            "connectivity", self.name, f"{self.name:0<8}", frozenset({self.name}), self.name,
            "text-embedding-3-small", 256, start_from,  # type: ignore[arg-type]
        )  # fmt: skip
        pipeline = Pipeline(
            work,
            source=lambda: self.engine.source(f"connectivity-test.{self.name}", self.name),
            embedder=self.embedder,
            index=self.index,
            rows=self.rows,
            budget=Budget(),
        )
        stop = asyncio.Event()
        task = asyncio.create_task(pipeline.run(stop))
        try:
            yield pipeline
        finally:
            stop.set()
            await task

    async def logged(self) -> list[tuple[str, str]]:
        """(log level, text) of every row."""
        sql = f"SELECT log_level, message_content FROM demo_log WHERE kafka_topic = '{self.name}'"
        try:
            lines = (await asyncio.to_thread(postgresql.psql, sql)).splitlines()
        except SqlError:  # the table is not there yet
            return []
        return [(level, text) for level, _, text in (line.partition("|") for line in lines)]

    async def until_logged(self, count: int, limit: float = 90.0) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        async with asyncio.timeout(limit):
            while len(found) < count:
                await asyncio.sleep(0.2)
                found = await self.logged()
        return found

    async def indexed(self) -> Counter[str]:
        """Texts in the index."""
        documents = await asyncio.to_thread(opensearch.documents, self.name, size=10_000)
        return Counter(document["text"] for document in documents)

    async def committed_to_the_end(self, limit: float = 20.0) -> None:
        ends = await kafka.end_offsets(self.name)
        async with asyncio.timeout(limit):
            while True:
                found = await kafka.committed_offsets(f"connectivity-test.{self.name}")
                if {p.partition: at for p, at in found.items()} == ends:
                    return
                await asyncio.sleep(0.2)


@pytest.fixture
async def world(lab: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    environment = operator_env.environment()
    for variable in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_STS_REGIONAL_ENDPOINTS"):
        monkeypatch.setenv(variable, environment[variable])
    settings = Settings.load(environment)
    name = f"connectivity-test-{secrets.token_hex(3)}"
    await kafka.create_topic(name, 4)
    async with app.engine(settings) as engine:
        yield World(name, engine, SharedEmbedder(engine.embedder), SharedIndex(engine.index), SharedRows(engine.rows))
    await kafka.delete_topic(name)
    opensearch.delete_index(name)


async def eventually(condition: Callable[[], object], limit: float = 30.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():
            await asyncio.sleep(0.1)


async def test_every_kind_of_message_is_finished_once(world: World) -> None:
    """Good ones go all the way; what cannot be embedded has a row that says so, and holds up nobody."""
    good = [f"message {n} of a backlog" for n in range(2000)]
    too_long = b"word " * 9000  # more than 8,192 tokens
    odd = [b"", b"caf\xe9", too_long, b"nul \x00 inside"]
    await kafka.produce(
        world.name, [*(text.encode() for text in good[:1000]), *odd, *(t.encode() for t in good[1000:])]
    )
    async with AIOKafkaProducer(bootstrap_servers=kafka.BOOTSTRAP_SERVERS) as producer:
        await producer.send_and_wait(world.name, None, key=b"a tombstone needs one")
    async with world.running() as pipeline:
        began = time.monotonic()
        found = await world.until_logged(2005)
        print(f"{2005 / (time.monotonic() - began):.0f} messages/s with the start")
        await world.committed_to_the_end()
        counters = pipeline.progress.counters
        assert pipeline.progress.troubles == {}
        assert pipeline.progress.lag == 0
    texts = Counter(text for level, text in found if level == "INFO")
    assert texts == Counter([*good, "nul � inside"])
    assert await world.indexed() == Counter([*good, "nul \x00 inside"])
    assert sorted(level for level, _ in found if level != "INFO") == ["ERROR", "ERROR", "WARNING", "WARNING"]
    assert (counters.consumed, counters.logged, counters.skipped, counters.rejected) == (2005, 2001, 2, 2)


async def test_members_come_and_go_under_load(world: World) -> None:
    """Rebalances in both directions while messages flow; in peace nothing is repeated."""
    sent: list[str] = []
    done = asyncio.Event()

    async def load() -> None:
        while not done.is_set():
            texts = [f"m{len(sent) + n}" for n in range(50)]
            sent.extend(texts)
            await kafka.produce(world.name, [text.encode() for text in texts])
            await asyncio.sleep(0.1)

    async with world.running() as first, asyncio.TaskGroup() as group:
        group.create_task(load())
        await eventually(lambda: first.progress.counters.logged > 200)
        async with world.running() as second:
            await eventually(lambda: second.progress.counters.logged > 100)
        done.set()
        await asyncio.sleep(0.5)
        found = await world.until_logged(len(sent))
        await world.committed_to_the_end()
    assert Counter(text for _, text in found) == Counter(sent)
    assert await world.indexed() == Counter(sent)


async def test_an_index_deleted_under_traffic_comes_back_as_it_was_made(world: World) -> None:
    """With our mapping, never with one that OpenSearch guessed from a document."""
    async with world.running():
        await kafka.produce(world.name, [b"before"])
        await world.until_logged(1)
        made = opensearch.mapping(world.name)
        for round_ in range(5):
            opensearch.delete_index(world.name)
            await kafka.produce(world.name, [b"after %d" % round_] * 20)
            await world.until_logged(1 + 20 * (round_ + 1))
            assert opensearch.mapping(world.name) == made


async def test_a_lone_message_is_there_at_once(world: World) -> None:
    """From the producer to the row in well under a second, without any waiting of ours."""
    async with world.running(start_from="Latest") as pipeline:
        await eventually(lambda: not pipeline.progress.starting)
        for number in range(5):
            await asyncio.sleep(1)
            await kafka.produce(world.name, [b"alone %d" % number])
            await eventually(lambda n=number: pipeline.progress.counters.logged == n + 1, limit=2)
        last = pipeline.progress.last_message
        assert last is not None
        print(last.body()["milliseconds"])
        assert last.total < 1.0
