"""Positions are fixed before anything is fetched, committed at once, and reported when they were lost."""

from __future__ import annotations

import asyncio

import pytest

from connectivity_operator.ports import TopicPartition
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import P0, P1, World
from tests.fakes.source import unavailable

P2 = TopicPartition("orders", 2)


async def test_latest_commits_the_end_at_once_and_reads_only_what_comes_after() -> None:
    """An idle `Latest` group must not lose what arrives while the operator restarts."""
    world = World()
    await world.kafka.produce(0, b"old", b"older")
    async with world.running(start_from="Latest") as run:
        assert run.progress.starting
        await run.started()
        assert world.kafka.offsets == {P0: 2, P1: 0}
        assert run.progress.followed == {"orders"}
    await world.kafka.produce(0, b"between")
    async with world.running(start_from="Latest") as run:
        await run.rows(1)
    world.assert_once("between")


async def test_a_topic_with_committed_offsets_is_followed_from_the_start() -> None:
    """After a restart nothing needs to be committed first."""
    world = World()
    world.kafka.offsets = {P0: 0, P1: 0}
    async with world.running(start_from="Latest") as run:
        await run.until(lambda: not run.progress.starting)
        assert run.progress.followed == {"orders"}
        assert world.kafka.commits == []


async def test_earliest_commits_the_beginning_at_once() -> None:
    """And reads everything that exists."""
    world = World()
    world.embedder.seconds = 3600.0
    await world.kafka.produce(0, b"a", b"b", b"c")
    await world.kafka.delete_before(0, 1)
    async with world.running(start_from="Earliest") as run:
        await run.started()
        assert world.kafka.offsets == {P0: 1, P1: 0}
        await run.until(lambda: run.progress.counters.consumed == 2)


async def test_a_partition_added_later_is_read_from_its_beginning() -> None:
    """Also by a `Latest` group, also when messages came before we noticed it."""
    world = World()
    async with world.running(start_from="Latest") as run:
        await run.started()
        world.kafka.create_topic("orders", 3)
        await world.kafka.produce(2, b"first in the new partition")
        await world.kafka.rebalance()
        await run.rows(1)
        assert run.pipeline.take_notices() == []
        await run.until(lambda: world.kafka.offsets.get(P2) == 1)


async def test_vanished_offsets_of_a_followed_topic_are_reported() -> None:
    """After a long stop: everything that exists is read again rather than skipped."""
    world = World(options={"followed": frozenset({"orders", "of-another-spec"})})
    await world.kafka.produce(0, b"a")
    async with world.running(start_from="Latest") as run:
        await run.rows(1)
        (notice,) = run.pipeline.take_notices()
        assert (notice.service, notice.reason) == (Service.KAFKA, Reason.OFFSETS_EXPIRED)
        assert run.pipeline.take_notices() == []
        assert run.progress.followed == {"orders"}


async def test_a_topic_made_again_while_we_run_is_read_from_its_beginning() -> None:
    """Kafka deletes the group's offsets with the topic; a `Latest` group must not skip the new one's messages."""
    world = World()
    await world.kafka.produce(0, b"a", b"b", b"c")
    async with world.running() as run:
        await run.committed(p0=3)
        world.kafka.recreate_topic("orders")
        await world.kafka.rebalance()
        await world.kafka.produce(0, b"new")
        await run.rows(4)
        await run.until(lambda: world.kafka.offsets.get(P0) == 1)
        assert [notice.reason for notice in run.pipeline.take_notices()] == [Reason.OFFSETS_EXPIRED]
    assert world.contents() == ["a", "b", "c", "new"]


async def test_a_committed_offset_that_retention_overtook_is_reported() -> None:
    """Resumes at the beginning of what exists, and commits it, so that it is told once."""
    world = World()
    world.kafka.offsets = {P0: 1, P1: 0}
    await world.kafka.produce(0, *(b"m%d" % n for n in range(10)))
    await world.kafka.delete_before(0, 8)
    async with world.running() as run:
        await run.rows(2)
        assert [notice.reason for notice in run.pipeline.take_notices()] == [Reason.OFFSETS_OUT_OF_RANGE]
        await run.committed(p0=10)
    world.assert_once("m8", "m9")


@pytest.mark.parametrize("shorter", [False, True])
async def test_a_position_lost_while_reading_is_reported_and_nothing_in_flight_is_lost(*, shorter: bool) -> None:
    """Retention while we were paused, or another topic under the same name: what was read before is finished."""
    world = World()
    world.embedder.seconds = 20.0
    await world.kafka.produce(0, *(b"m%d" % n for n in range(5)))
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 5)
        if shorter:
            world.kafka.recreate_topic("orders")
            await world.kafka.produce(0, b"new")
        else:
            world.kafka.append("orders", 0, *(b"lost" for _ in range(5)))
            await world.kafka.delete_before(0, 10)
            run.source.seek(P0, 5)
            world.kafka.append("orders", 0, b"new")
            await run.until(lambda: run.progress.counters.consumed == 6)
            await asyncio.sleep(5)
            assert world.kafka.offsets[P0] == 0, "a kill now would lose what is in flight"
        await run.rows(6)
        await run.committed(p0=1 if shorter else 11)
        assert [notice.reason for notice in run.pipeline.take_notices()] == [Reason.OFFSETS_OUT_OF_RANGE]
        assert run.progress.lag == 0
    world.assert_once("m0", "m1", "m2", "m3", "m4", "new")


@pytest.mark.parametrize("operation", ["partitions", "committed", "bounds"])
async def test_nothing_is_fetched_while_positions_cannot_be_fixed(operation: str) -> None:
    """Kafka fails between the rebalance and our questions: tried until it answers, `Starting` meanwhile."""
    world = World()
    world.kafka.faults.begin(operation, unavailable())
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await asyncio.sleep(600)
        assert run.progress.starting
        assert run.progress.troubles[Service.KAFKA].error.reason is Reason.COORDINATOR_UNAVAILABLE
        assert run.progress.counters.consumed == 0
        assert world.kafka.offsets == {}
        world.kafka.faults.mend(operation)
        await run.rows(1)
        assert not run.progress.starting
        assert run.progress.troubles == {}
    world.assert_once("a")


async def test_a_rebalance_while_positions_are_being_fixed_is_no_matter() -> None:
    """What was learnt for one assignment is not applied to the next."""
    world = World()
    world.kafka.faults.begin("bounds", unavailable())
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await asyncio.sleep(30)
        for _ in range(3):
            await world.kafka.rebalance()
        world.kafka.faults.mend("bounds")
        await run.rows(1)
        await run.committed(p0=1)
    world.assert_once("a")


async def test_a_start_position_that_cannot_be_committed_is_tried_again() -> None:
    """Reading need not wait for it, but the topic counts as followed only from then on."""
    world = World()
    world.kafka.faults.begin("commit", unavailable())
    async with world.running(start_from="Latest") as run:
        await run.until(lambda: not run.progress.starting)
        await asyncio.sleep(60)
        assert run.progress.followed == frozenset()
        assert Service.KAFKA in run.progress.troubles
        world.kafka.faults.mend("commit")
        await run.started()
        assert world.kafka.offsets == {P0: 0, P1: 0}


async def test_a_topic_that_does_not_exist_yet_is_read_from_its_beginning_on() -> None:
    """Until then there is nothing to have a position in."""
    world = World()
    async with world.running(topics=frozenset({"later"})) as run:
        await asyncio.sleep(60)
        assert run.progress.starting
        world.kafka.create_topic("later", 1)
        world.kafka.append("later", 0, b"a")
        await world.kafka.rebalance()
        await run.rows(1)
        assert not run.progress.starting
