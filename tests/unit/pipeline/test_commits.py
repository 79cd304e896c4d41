"""Commits: only what is finished, few of them, and never after the partition is gone."""

from __future__ import annotations

import asyncio

from connectivity_operator.reasons import Service
from tests.fakes.pipeline import P0, World
from tests.fakes.source import unavailable


async def test_nothing_is_committed_before_its_row_exists() -> None:
    """Document and row first; a kill in between repeats, and never loses."""
    world = World()
    world.rows.seconds = 100.0
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.until(lambda: world.texts() == ["a"])
        await asyncio.sleep(50)
        assert world.kafka.offsets[P0] == 0
        await run.committed(p0=1)
        assert world.contents() == ["a"]


async def test_a_batch_that_overtakes_another_is_not_committed_before_it() -> None:
    """The prefix counts: m0 is still on its way while all others are done."""
    world = World()
    embed, held = world.embedder.embed, asyncio.Event()

    async def slow_first(texts, **model):  # type: ignore[no-untyped-def]
        if "m0" in texts:
            await held.wait()
        return await embed(texts, **model)

    world.embedder.embed = slow_first  # type: ignore[method-assign]
    await world.kafka.produce(0, *(b"m%d" % n for n in range(600)))
    async with world.running() as run:
        await run.until(lambda: len(world.rows.rows) >= 600 - 256)
        await asyncio.sleep(5)
        assert world.kafka.offsets[P0] == 0
        held.set()
        await run.committed(p0=600)


async def test_commits_are_few_under_load() -> None:
    """At most one a second while messages flow; the newest position wins."""
    world = World()
    world.embedder.seconds = 0.05
    async with world.running() as run:
        await run.started()
        before = len(world.kafka.commits)
        for number in range(1000):
            await world.kafka.produce(0, b"m%d" % number)
            await asyncio.sleep(0.01)
        await run.committed(p0=1000)
    assert len(world.kafka.commits) - before <= 13


async def test_a_lone_message_is_committed_at_once() -> None:
    """Nothing else is coming that could share the commit."""
    world = World()
    async with world.running() as run:
        await run.started()
        for number in range(1, 5):
            await world.kafka.produce(0, b"a")
            await run.until(lambda n=number: world.kafka.offsets[P0] == n, limit=0.2)
            await asyncio.sleep(0.3)


async def test_a_failed_commit_stops_nothing() -> None:
    """Messages go on, the failure shows, and the newest positions are committed when it works again."""
    world = World()
    async with world.running() as run:
        await run.started()
        world.kafka.faults.begin("commit", unavailable())
        await world.kafka.produce(0, b"a")
        await run.until(lambda: Service.KAFKA in run.progress.troubles)
        await world.kafka.produce(0, b"b", b"c")
        await run.rows(3)
        world.kafka.faults.mend("commit")
        await run.committed(p0=3)
        assert run.progress.troubles == {}
    assert world.kafka.commits[-1] == {P0: 3}


async def test_nothing_is_committed_twice() -> None:
    """An idle pipeline is silent."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.committed(p0=1)
        count = len(world.kafka.commits)
        await asyncio.sleep(3600)
        assert len(world.kafka.commits) == count


async def test_an_older_commit_never_lands_after_a_newer_one() -> None:
    """One at a time, also when a partition is taken away while one is on its way."""
    world = World()
    world.kafka.commit_seconds = 1.5
    async with world.running() as run:
        await run.started()
        await world.kafka.produce(0, b"a")
        await run.until(lambda: world.kafka.commits_in_flight)
        await world.kafka.produce(0, b"b")
        await run.rows(2)
        await world.kafka.rebalance()
        await run.committed(p0=2)
    assert world.kafka.most_commits_in_flight == 1
