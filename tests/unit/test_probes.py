"""Probes are shared: cost grows with what is probed, not with who asks."""

from __future__ import annotations

import asyncio

from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome, limited
from connectivity_operator.diagnosis.probes import Probes, climbing_since
from connectivity_operator.reasons import Reason, Result, Rung, Service

PASSED = Climb(Service.KAFKA, ())
FAILED = Climb(Service.KAFKA, (), Failure(Reason.TOPIC_NOT_FOUND, Rung.AUTHORIZATION))


class Clock:
    """Time that moves when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A climb that counts how often it is really made, and can be held."""

    def __init__(self, result: Climb) -> None:
        self.result, self.runs, self.gate = result, 0, asyncio.Event()
        self.gate.set()

    async def __call__(self) -> Climb:
        self.runs += 1
        await self.gate.wait()
        return self.result


async def test_askers_at_the_same_time_share_one_climb() -> None:
    """Single flight: a hundred resources on one topic make one probe."""
    probes, climb = Probes(), Counted(PASSED)
    climb.gate.clear()
    askers = [asyncio.create_task(probes.get(("topic",), climb, max_age=60)) for _ in range(100)]
    await asyncio.sleep(0)
    climb.gate.set()
    assert await asyncio.gather(*askers) == [PASSED] * 100
    assert climb.runs == 1


async def test_a_success_lives_for_the_askers_interval_and_a_failure_for_five_seconds() -> None:
    """What failed is worth another look soon."""
    clock = Clock()
    probes, good, bad = Probes(clock=clock), Counted(PASSED), Counted(FAILED)
    for seconds in (0, 4, 6, 50):
        clock.now = 100.0 + seconds
        await probes.get(("good",), good, max_age=60)
        await probes.get(("bad",), bad, max_age=60)
    assert good.runs == 1
    assert bad.runs == 3


async def test_a_requested_check_accepts_nothing_older_than_itself() -> None:
    """Not even a climb that was already under way."""
    clock = Clock()
    probes, climb = Probes(clock=clock), Counted(PASSED)
    climb.gate.clear()
    early = asyncio.create_task(probes.get(("x",), climb, max_age=60))
    await asyncio.sleep(0)
    clock.now += 1
    late = asyncio.create_task(probes.get(("x",), climb, max_age=60, not_before=clock.now))
    await asyncio.sleep(0)
    climb.gate.set()
    await asyncio.gather(early, late)
    assert climb.runs == 2


async def test_one_asker_going_away_does_not_end_the_climb_for_the_others() -> None:
    """The climb belongs to all who wait for it."""
    probes, climb = Probes(), Counted(PASSED)
    climb.gate.clear()
    first, second = (asyncio.create_task(probes.get(("x",), climb, max_age=60)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    climb.gate.set()
    assert await second is PASSED
    assert climb.runs == 1


async def test_traffic_renews_a_success_but_never_a_failure() -> None:
    """A message that went through saves the paid probe."""
    clock = Clock()
    probes, good, bad = Probes(clock=clock), Counted(PASSED), Counted(FAILED)
    await probes.get(("good",), good, max_age=60)
    await probes.get(("bad",), bad, max_age=60)
    clock.now += 55
    probes.witness(("good",))
    probes.witness(("bad",))
    clock.now += 55
    await probes.get(("good",), good, max_age=60)
    await probes.get(("bad",), bad, max_age=60)
    assert (good.runs, bad.runs) == (1, 2)


async def test_traffic_proves_a_service_quick_again() -> None:
    """A probe that was slow once must not fail askers with a small limit for as long as messages flow."""
    slow = Climb(Service.OPENAI, (RungOutcome(Rung.OPERATION, Result.PASSED, 12.0),))
    probes, climb = Probes(), Counted(slow)
    assert limited(await probes.get(("openai",), climb, max_age=60), 10.0).failure is not None
    probes.witness(("openai",))
    assert limited(await probes.get(("openai",), climb, max_age=60), 10.0).failure is None
    assert climb.runs == 1


def test_slow_identity_is_no_failure_while_credentials_last() -> None:
    """STS that hangs is a warning of the shared rung, which has its own limit; only what comes after it is too slow."""
    slow_sts = RungOutcome(Rung.IDENTITY, Result.WARNED, 14.0)
    assert limited(Climb(Service.KAFKA, (slow_sts,)), 10.0).failure is None
    slow_too = limited(Climb(Service.KAFKA, (slow_sts, RungOutcome(Rung.TCP, Result.PASSED, 11.0))), 10.0)
    assert slow_too.failure is not None
    assert slow_too.failure.rung is Rung.TCP


async def test_a_silent_service_does_not_keep_the_others_waiting() -> None:
    """Slots are each service's own."""
    probes, silent, quick = Probes(limit=2), Counted(PASSED), Counted(PASSED)
    silent.gate.clear()
    held = [asyncio.create_task(probes.get(("kafka", str(n)), silent, max_age=60)) for n in range(5)]
    async with asyncio.timeout(5):
        assert await probes.get(("openai", "connection"), quick, max_age=60) is PASSED
    silent.gate.set()
    await asyncio.gather(*held)


async def test_what_nobody_can_ask_for_any_more_is_forgotten() -> None:
    """Groups carry the uid of their resource: kept for ever they would fill the memory."""
    clock = Clock()
    probes = Probes(clock=clock)
    for n in range(50):
        await probes.get(("kafka", "group", str(n)), Counted(PASSED), max_age=60)
    clock.now += 3700
    await probes.get(("kafka", "connection"), Counted(PASSED), max_age=60)
    assert len(probes._results) == 1


async def test_a_climb_knows_since_when_it_climbs() -> None:
    """What it takes from another climb must not be older: it may be what a requested check waits for."""
    clock = Clock()
    shared, probes, identity = Probes(clock=clock), Probes(clock=clock), Counted(PASSED)

    async def climb() -> Climb:
        return await shared.get(("identity",), identity, max_age=5, not_before=climbing_since())

    for seconds in (0, 1, 2):
        clock.now = 100.0 + seconds
        await probes.get(("connection",), climb, max_age=60, not_before=clock.now)
    assert identity.runs == 3
    assert climbing_since() == 0
