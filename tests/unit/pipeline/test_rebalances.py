"""Partitions come and go: what is in flight is finished or dropped, committed, and never committed late."""

from __future__ import annotations

import asyncio
from collections import Counter

from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import P0, P1, World, down


async def test_work_in_flight_is_finished_and_committed_before_a_partition_is_given_up() -> None:
    """Nothing is done twice when there is time to finish it."""
    world = World()
    world.embedder.seconds = 3.0
    await world.kafka.produce(0, b"a", b"b")
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 2)
        began = asyncio.get_running_loop().time()
        await world.kafka.rebalance()
        assert asyncio.get_running_loop().time() - began <= 3.0
        assert world.kafka.offsets[P0] == 2
        await world.kafka.produce(0, b"c")
        await run.rows(3)
    world.assert_once("a", "b", "c")


async def test_a_rebalance_is_not_held_up_for_longer_than_the_grace() -> None:
    """The others wait for us; what is not finished in five seconds is dropped and read again by the next owner."""
    world = World()
    world.embedder.seconds = 60.0
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 1)
        began = asyncio.get_running_loop().time()
        await world.kafka.rebalance()
        assert asyncio.get_running_loop().time() - began <= 5.1
        assert world.kafka.offsets[P0] == 0
        await run.committed(p0=1)
    assert Counter(world.contents()) == Counter(["a"]), "what was dropped wrote no row"
    assert world.embedder.accepted == ["a", "a"]


async def test_a_late_finish_is_never_committed() -> None:
    """The insert returns after the partition came back under another assignment: only the new reading counts."""
    world = World()
    world.rows.seconds = 20.0
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.until(lambda: world.texts() == ["a"])
        await world.kafka.rebalance()
        world.kafka.faults.begin("fetch", down(Service.KAFKA, Reason.COORDINATOR_UNAVAILABLE))
        await run.rows(1)
        await asyncio.sleep(5)
        assert world.kafka.offsets[P0] == 0, "the row is there, but it was written under the old assignment"
        world.kafka.faults.mend("fetch")
        await run.committed(p0=1)
    assert world.contents() == ["a", "a"], "a duplicate is the price of not knowing whether another member has read on"


async def test_messages_not_begun_are_dropped_with_their_partition() -> None:
    """Read, but waiting for a worker: they cost nobody any time, and give their memory back."""
    world = World()
    world.embedder.seconds = 4.0
    await world.kafka.produce(0, *(b"m%d" % n for n in range(256 * 12)))
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed > 256 * 9)
        await world.kafka.rebalance()
        assert 256 * 7 <= len(world.rows.rows) <= 256 * 8, "the eight batches that were under way"
        await run.committed(p0=256 * 12)
    assert world.budget.used == 0
    world.assert_once(*(f"m{n}" for n in range(256 * 12)))


async def test_two_members_share_the_partitions_and_nothing_is_lost_or_repeated() -> None:
    """One comes, one goes, while messages flow; both finish what they have in time."""
    world = World()
    world.embedder.seconds = 0.2
    sent = []

    async def send(count: int) -> None:
        for _ in range(count):
            sent.append(f"m{len(sent)}")
            await world.kafka.produce(len(sent) % 2, sent[-1].encode())
            await asyncio.sleep(0.01)

    async with world.running() as first:
        await first.started()
        await send(200)
        async with world.running() as second:
            await send(200)
            await second.until(lambda: second.progress.counters.logged > 20)
            await send(200)
        await send(200)
        await first.rows(len(sent))
    world.assert_once(*sent)
    assert world.kafka.offsets == {P0: 400, P1: 400}


async def test_reading_goes_on_paused_after_a_rebalance_in_an_outage() -> None:
    """The outage is not over because partitions moved."""
    world = World()
    await world.kafka.produce(0, b"a")
    world.rows.faults.begin("insert", down(Service.POSTGRESQL, Reason.CONNECTION_REFUSED))
    async with world.running() as run:
        await run.until(lambda: Service.POSTGRESQL in run.progress.troubles)
        await asyncio.sleep(30)
        for _ in range(3):
            await world.kafka.rebalance()
            await asyncio.sleep(30)
        assert Service.POSTGRESQL in run.progress.troubles, "it was met again"
        world.rows.faults.mend("insert")
        await run.committed(p0=1)
    assert world.contents() == ["a"]


async def test_only_our_own_partitions_count_as_our_lag() -> None:
    """What was given up is another member's to report."""
    world = World()
    world.embedder.seconds = 1000.0
    for partition in (0, 1):
        await world.kafka.produce(partition, *(b"m%d" % n for n in range(5)))
    async with world.running() as first:
        await first.until(lambda: first.progress.lag == 10)
        async with world.running() as second:
            await second.until(lambda: second.progress.lag == 5)
            assert first.progress.lag == 5


async def test_positions_learnt_before_a_rebalance_are_not_applied_after_it() -> None:
    """Kafka answers so slowly that the group moves meanwhile: a partition that is another's now stays another's."""
    world = World()
    world.kafka.question_seconds = 4.0
    async with world.running() as first:
        await asyncio.sleep(8)
        async with world.running() as second:
            await second.until(lambda: not first.progress.starting and not second.progress.starting)
            await asyncio.sleep(30)
            for partition in (0, 1):
                await world.kafka.produce(partition, b"m%d" % partition)
            await first.committed(p0=1, p1=1)
            assert first.progress.troubles == second.progress.troubles == {}
    world.assert_once("m0", "m1")


async def test_a_partition_given_again_without_having_been_taken_away_is_begun_anew() -> None:
    """A member that was thought dead: what it has in flight may be another's by now."""
    world = World()
    world.embedder.seconds = 20.0
    await world.kafka.produce(0, b"a")
    async with world.running() as run:
        await run.until(lambda: run.progress.counters.consumed == 1)
        await run.source.assign(run.source.assignment())
        await run.committed(p0=1)
    assert world.contents() == ["a"]
    assert world.embedder.accepted == ["a", "a"]


async def test_records_that_are_not_ours_or_come_twice_are_not_taken_in() -> None:
    """What was on its way to us when its partition was taken away, or read again after a failed fetch."""
    world = World()
    async with world.running() as run:
        await run.started()
        fetch, stranger = run.source.fetch, Record("orders", 7, 0, 0, b"stranger")

        async def repeats(**how):  # type: ignore[no-untyped-def]
            records = list(await fetch(**how))
            return [stranger, *records, *records] if records else records

        run.source.fetch = repeats  # type: ignore[method-assign]
        await world.kafka.produce(0, b"a", b"b")
        await run.committed(p0=2)
        await world.kafka.produce(0, b"c")
        await run.committed(p0=3)
        assert run.progress.counters.consumed == 3
    world.assert_once("a", "b", "c")
