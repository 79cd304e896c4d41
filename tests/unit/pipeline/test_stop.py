"""Stopping: finish or drop, commit, leave; and nothing but a stop ends a pipeline."""

from __future__ import annotations

import asyncio

import pytest

from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import P0, World, down
from tests.fakes.source import unavailable


async def test_what_is_in_flight_is_finished_and_committed() -> None:
    """Within the grace period; nothing is fetched meanwhile."""
    world = World()
    world.embedder.seconds = 3.0
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 2)
        source = run.source
    assert asyncio.get_running_loop().time() < 6.0
    world.assert_once("a", "b")
    assert world.kafka.offsets[P0] == 2
    assert source.stopped
    assert world.kafka.members == []
    assert world.budget.used == 0


async def test_what_takes_longer_is_dropped_and_done_by_the_next_one() -> None:
    """Nothing is lost: what has no row is not committed."""
    world = World()
    world.embedder.seconds = 60.0
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 2)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began <= 5.1
    assert world.kafka.offsets[P0] == 0
    world.embedder.seconds = 0.0
    async with world.running() as run:
        await run.committed(p0=2)
    assert sorted(t or "" for t in world.contents()) == ["a", "b"]


async def test_an_outage_does_not_delay_the_stop() -> None:
    """What cannot be finished is not waited for."""
    world = World()
    world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.until(lambda: Service.POSTGRESQL in run.progress.troubles)
        await asyncio.sleep(60)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 0.1


async def test_a_kafka_that_does_not_answer_does_not_delay_the_stop_for_ever() -> None:
    """The last commit and the good-bye have limits."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.started()
        world.kafka.commit_seconds = 3600.0
        await world.kafka.produce(0, b"b")
        await run.rows(2)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 6.0


async def test_a_stop_before_the_group_was_joined() -> None:
    """Nothing was read; the source is closed all the same."""
    world = World()
    world.kafka.faults.begin("start", unavailable())
    async with world.running():
        await asyncio.sleep(5)
    assert world.kafka.offsets == {}


async def test_a_cancelled_pipeline_leaves_the_group() -> None:
    """Cancellation is the only other end, and passes through."""
    world = World()
    async with world.running() as run:
        await run.started()
        source = run.source
        run.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run.task
        assert source.stopped


async def test_a_fault_of_our_own_ends_a_life_and_not_the_pipeline() -> None:
    """It is logged, and the next life starts from what was committed: nothing is lost."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.committed(p0=1)
        world.rows.faults.once("insert", ZeroDivisionError())
        await world.kafka.produce(0, b"b")
        await run.committed(p0=2)
        assert run.progress.counters.logged == 2
    assert world.contents() == ["a", "b"]
    assert world.budget.used == 0


@pytest.mark.parametrize("operation", ["insert", "fetch", "commit"])
async def test_a_cancellation_that_nobody_asked_for_is_a_fault_of_our_own(operation: str) -> None:
    """Client libraries leak them. The group of tasks takes one for an end in order, and nothing would ever go on."""
    world = World()
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.committed(p0=1)
        faults = world.rows.faults if operation == "insert" else world.kafka.faults
        faults.once(operation, asyncio.CancelledError())
        for number, message in enumerate((b"b", b"c"), start=2):
            await world.kafka.produce(0, message)
            await run.committed(p0=number)
    assert set(world.contents()) == {"a", "b", "c"}
    assert world.budget.used == 0


async def test_a_fault_that_repeats_itself_is_not_repeated_without_pause() -> None:
    """A thousand pipelines that fail over and over must not burn the machine."""
    world = World()
    world.rows.faults.begin("insert", ZeroDivisionError())
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await asyncio.sleep(3600)
        assert len(world.embedder.requests) < 70
        world.rows.faults.mend("insert")
        await run.committed(p0=1)


async def test_a_lost_answer_of_an_insert_may_repeat_a_row_and_loses_none() -> None:
    """The one duplicate that cannot be avoided: inserted, but we never heard of it."""
    world = World()
    world.rows.faults.once("answer", down(Service.POSTGRESQL, Reason.CONNECTION_RESET))
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.committed(p0=1)
    assert world.contents() == ["a", "a"]
    assert world.texts() == ["a"]


async def test_a_fault_with_a_backlog_behind_it_ends_the_life_at_once() -> None:
    """No batch begins while a life ends: it would keep the life from ending, for ever in an outage."""
    world = World()
    await world.kafka.produce(0, *(b"m%d" % n for n in range(5000)))
    world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
    async with world.running() as run:
        await run.until(lambda: Service.POSTGRESQL in run.progress.troubles)
        source = run.source
        world.kafka.faults.once("fetch", ZeroDivisionError())
        await run.until(lambda: source.stopped, limit=30)
        world.rows.faults.mend("insert")
        await run.committed(p0=5000)
    assert world.budget.used == 0
