"""A pipeline among fakes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline import Budget, Pipeline, Progress, Work
from connectivity_operator.pipeline.content import KNOWN_GOOD_TEXT
from connectivity_operator.ports import TopicPartition
from connectivity_operator.reasons import Reason, Service
from tests.fakes.embedder import FakeEmbedder
from tests.fakes.index import FakeIndex
from tests.fakes.row_log import FakeRowLog
from tests.fakes.source import FakeKafka, FakeSource

WORK = Work(
    namespace="demo",
    name="orders",
    uid="0a1b2c3d-0000-4000-8000-000000000000",
    topics=frozenset({"orders"}),
    index="connectivity-test",
    model="text-embedding-test",
    dimensions=4,
    start_from="Earliest",
)
P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


def down(service: Service, reason: Reason, *, retry_after: float | None = None) -> DependencyError:
    return DependencyError(service, reason, retry_after=retry_after)


@dataclass
class World:
    """Everything around one pipeline; set it up, then run the pipeline by `running`."""

    work: Work = WORK
    kafka: FakeKafka = field(default_factory=FakeKafka)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    index: FakeIndex = field(default_factory=FakeIndex)
    rows: FakeRowLog = field(default_factory=FakeRowLog)
    budget: Budget = field(default_factory=Budget)
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the pipeline."""
    changes: int = 0
    """How often the pipeline said that something changed."""

    @asynccontextmanager
    async def running(self, **work: Any) -> AsyncIterator[Running]:
        """A pipeline at work; stopped and awaited in the end, and it must not have ended before."""
        pipeline = Pipeline(
            replace(self.work, **work),
            source=self.kafka.member,
            embedder=self.embedder,
            index=self.index,
            rows=self.rows,
            budget=self.budget,
            changed=self._changed,
            **self.options,
        )
        stop = asyncio.Event()
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        task = asyncio.create_task(pipeline.run(stop))
        try:
            yield Running(self, pipeline, stop, task)
        finally:
            ended_by_itself = task.done()
            stop.set()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
                assert not ended_by_itself, "a pipeline never ends before it is told to"
            assert unhandled == []

    def _changed(self) -> None:
        self.changes += 1

    def contents(self, level: str = "INFO") -> list[str | None]:
        """``message_content`` of the rows of one level."""
        return [row.message_content for row in self.rows.rows if row.log_level == level]

    def texts(self) -> list[str]:
        """What is in the index."""
        return [document.text for document in self.index.documents.get(self.work.index, [])]

    def assert_once(self, *texts: str) -> None:
        """Each of these was embedded, indexed and logged exactly once, and nothing else was."""
        expected = Counter(texts)
        assert Counter(self.contents()) == expected
        assert Counter(self.texts()) == expected
        assert Counter(text for text in self.embedder.accepted if text != KNOWN_GOOD_TEXT) == expected


@dataclass
class Running:
    """A pipeline at work."""

    world: World
    pipeline: Pipeline
    stop: asyncio.Event
    task: asyncio.Task[None]

    @property
    def progress(self) -> Progress:
        return self.pipeline.progress

    @property
    def source(self) -> FakeSource:
        return self.world.kafka.members[-1]

    async def until(self, condition: Callable[[], object], limit: float = 120.0) -> None:
        """Let (virtual) time pass until ``condition`` holds."""
        async with asyncio.timeout(limit):
            while not condition():
                await asyncio.sleep(0.005)

    async def started(self) -> None:
        """Positions are fixed and committed."""
        await self.until(lambda: not self.progress.starting and self.progress.followed)

    async def rows(self, count: int) -> None:
        await self.until(lambda: len(self.world.rows.rows) >= count)

    async def committed(self, **offsets: int) -> None:
        """``p0=3``: the group has committed offset 3 of partition 0."""
        wanted = {TopicPartition("orders", int(name[1:])): offset for name, offset in offsets.items()}
        await self.until(lambda: wanted.items() <= self.world.kafka.offsets.items())
