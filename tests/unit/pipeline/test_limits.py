"""Memory and pace are bounded whatever waits in Kafka."""

from __future__ import annotations

import asyncio

from connectivity_operator.pipeline import Budget, Pace
from connectivity_operator.pipeline.budget import FIRST_LOOK
from connectivity_operator.pipeline.life import WORKERS
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import World, down


async def test_a_backlog_does_not_fill_the_memory() -> None:
    """What is read is what can be worked on: a few batches, not the topic."""
    world = World()
    world.embedder.seconds = 1000.0
    await world.kafka.produce(0, *(b"m%d" % n for n in range(20_000)))
    async with world.running() as run:
        await asyncio.sleep(500)
        assert run.progress.counters.consumed <= (WORKERS + 5) * 256


async def test_large_messages_count_by_their_bytes() -> None:
    """The budget of the process holds, but for the first few messages, whose size nobody could know."""
    world = World(budget=Budget(8_000_000))
    world.embedder.seconds = 1000.0
    await world.kafka.produce(0, *(b"x" * 500_000 for _ in range(100)))
    async with world.running() as run:
        await asyncio.sleep(500)
        assert 0 < run.progress.counters.consumed < 100
        assert world.budget.used < 8_000_000 + FIRST_LOOK * 1_600_000


async def test_an_outage_of_one_resource_leaves_room_for_others() -> None:
    """Its messages stay in memory, at most its share; another resource goes on."""
    budget = Budget(4_000_000)
    stuck, other = World(budget=budget), World(budget=budget)
    stuck.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
    for world in (stuck, other):
        await world.kafka.produce(0, *(b"x" * 5000 for _ in range(2000)))
    async with stuck.running() as first, other.running() as second:
        await first.until(lambda: Service.POSTGRESQL in first.progress.troubles)
        await second.rows(2000)
        assert stuck.rows.rows == []
        stuck.rows.faults.mend("insert")
        await first.rows(2000)
    assert budget.used == 0


async def test_many_pipelines_share_a_small_budget() -> None:
    """All of them finish."""
    budget = Budget(300_000)
    worlds = [World(budget=budget) for _ in range(20)]
    for world in worlds:
        world.embedder.seconds = 0.1
        await world.kafka.produce(0, *(b"x" * 3000 for _ in range(50)))
    async with asyncio.timeout(600):
        async with asyncio.TaskGroup() as group:
            for world in worlds:
                group.create_task(finish(world, 50))
    assert budget.used == 0


async def finish(world: World, count: int) -> None:
    async with world.running() as run:
        await run.rows(count)


async def test_the_policy_s_pace_is_kept_and_what_exceeds_it_waits_as_lag() -> None:
    """600 a minute: no minute has more, the rest stays in Kafka, and it shows."""
    world = World(options={"pace": Pace(600)})
    await world.kafka.produce(0, *(b"m%d" % n for n in range(2000)))
    async with world.running() as run:
        await run.started()
        await asyncio.sleep(60)
        assert 540 <= len(world.rows.rows) <= 610
        assert run.progress.lag >= 1390
        assert run.progress.throttled
        await run.until(lambda: len(world.rows.rows) == 2000, limit=300)
        await run.until(lambda: not run.progress.throttled)
    moments = [at for at, rows in zip(world.rows.inserted_at, world.rows.inserts, strict=True) for _ in rows]
    assert all(sum(begin <= at < begin + 60 for at in moments) <= 600 for begin in moments[:: len(moments) // 50])


async def test_a_lone_message_within_the_pace_is_not_delayed() -> None:
    """The limit is for floods."""
    world = World(options={"pace": Pace(60)})
    async with world.running() as run:
        await run.started()
        await asyncio.sleep(60)
        began = asyncio.get_running_loop().time()
        await world.kafka.produce(0, b"a")
        await run.rows(1)
    assert world.rows.inserted_at == [began]
