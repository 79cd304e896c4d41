"""A daemon lives exactly as long as kopf wants it to, whatever its supervisor does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from connectivity_operator.handlers.supervision import CANCELLED_WITHIN, Crowd, Kind, Supervision
from tests.fakes.host import FakeHost


class Stopped:
    """kopf's `stopped`: can be waited for, again and again."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def wait(self) -> object:
        return await self.event.wait()


def body(name: str = "orders", uid: str = "uid-1", generation: int = 1) -> dict[str, Any]:
    return {"metadata": {"namespace": "search", "name": name, "uid": uid, "generation": generation}, "spec": {}}


class World:
    """One daemon under way."""

    def __init__(self, prepare: Callable[[FakeHost], None] = lambda host: None) -> None:
        self.host = FakeHost()
        prepare(self.host)
        self.supervision = Supervision(self.host, pause=lambda delay: delay)
        self.stopped = Stopped()
        self.body = body()
        self.daemon = asyncio.create_task(self.supervision.live(self.body, self.stopped))

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def test_a_daemon_ends_when_kopf_stops_it_and_its_supervisor_has_ended() -> None:
    """Not before: what is in flight has to be put down first."""
    world = World(lambda host: setattr(host, "ending", 3.0))
    await world.pass_time(1)
    world.stopped.event.set()
    await world.pass_time(2)
    assert not world.daemon.done()
    await world.daemon
    assert world.host.calls == ["run orders", "ended orders"]


async def test_a_daemon_outlives_a_supervisor_whose_object_is_gone() -> None:
    """kopf does not know it yet; a daemon that ended on its own would never be started again."""
    world = World(lambda host: setattr(host, "vanish", True))
    await world.pass_time(3600)
    assert not world.daemon.done()
    assert world.host.calls == ["run orders"]
    world.stopped.event.set()
    await world.daemon


async def test_a_failed_supervisor_is_started_again_with_growing_pauses() -> None:
    """kopf sees nothing of it; the log does, with the object's name."""
    world = World(lambda host: host.failures.extend([RuntimeError("1"), RuntimeError("2"), RuntimeError("3")]))
    with capture_logs() as logged:
        await world.pass_time(1)
        assert world.host.calls == ["run orders"]
        await world.pass_time(5)
        assert world.host.calls == ["run orders"] * 2
        await world.pass_time(10)
        assert world.host.calls == ["run orders"] * 3
        await world.pass_time(20)
    assert "orders" in world.host.running
    assert [(line["name"], str(line["exc_info"])) for line in logged] == [("orders", n) for n in "123"]
    world.stopped.event.set()
    await world.daemon


async def test_a_restarted_supervisor_gets_the_newest_body() -> None:
    """kopf's bodies are live views; a restart must not begin with what was true at the first start."""
    world = World(lambda host: host.failures.append(RuntimeError()))
    await world.pass_time(1)
    world.body["metadata"] = body(generation=2)["metadata"]
    await world.pass_time(10)
    assert [b["metadata"]["generation"] for b in world.host.bodies] == [1, 2]
    world.stopped.event.set()
    await world.daemon


async def test_a_stray_cancellation_inside_is_a_failure_like_any_other() -> None:
    """Let out of the daemon it would end it for ever."""
    world = World(lambda host: host.failures.append(asyncio.CancelledError()))
    await world.pass_time(10)
    assert world.host.calls == ["run orders"] * 2
    assert not world.daemon.done()
    world.stopped.event.set()
    await world.daemon


async def test_a_pause_before_a_restart_ends_with_the_stop() -> None:
    """A deletion does not wait for a back-off."""
    world = World(lambda host: host.failures.append(RuntimeError()))
    await world.pass_time(1)
    world.stopped.event.set()
    await world.pass_time(0.1)
    assert world.daemon.done()
    assert world.host.calls == ["run orders"]


async def test_a_cancelled_daemon_cancels_its_supervisor_and_waits_for_it() -> None:
    """kopf cancels what takes too long; nothing of it stays behind."""
    world = World(lambda host: setattr(host, "ending", 100.0))
    await world.pass_time(1)
    world.stopped.event.set()
    await world.pass_time(15)
    world.daemon.cancel()
    with pytest.raises(asyncio.CancelledError):
        await world.daemon
    assert world.host.calls == ["run orders", "cancelled orders"]
    assert world.host.running == {}


async def test_a_supervisor_that_ignores_its_cancellation_does_not_hold_the_daemon() -> None:
    """A deletion never blocks for ever."""

    class Stubborn(FakeHost):
        async def run_supervisor(self, body: Any, stop: asyncio.Event) -> None:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                self.calls.append("ignored")
            await asyncio.sleep(1000)

    host = Stubborn()
    daemon = asyncio.create_task(Supervision(host).live(body(), Stopped()))
    await asyncio.sleep(1)
    daemon.cancel()
    before = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await daemon
    assert host.calls == ["ignored"]
    assert asyncio.get_running_loop().time() - before <= CANCELLED_WITHIN + 0.1


async def test_changes_are_handed_on() -> None:
    """Of every kind, the first listing included."""
    world = World()
    for kind in (None, "ADDED", "MODIFIED"):
        world.supervision.seen(kind, world.body)
    assert world.host.changed == ["orders"] * 3
    world.stopped.event.set()
    await world.daemon


async def test_a_deletion_that_kopf_lets_pass_ends_the_daemon() -> None:
    """Without our finalizer kopf forgets the object and leaves its daemon running for ever."""
    world = World()
    await world.pass_time(1)
    world.supervision.seen("DELETED", world.body)
    await world.daemon
    assert world.host.calls == ["run orders", "ended orders"]
    assert world.host.gone == ["orders"]


async def test_all_daemons_end_before_their_objects_are_let_go_when_the_kind_is_deleted() -> None:
    """kopf does not see these deletions: it has stopped to watch."""
    world = World(lambda host: setattr(host, "ending", 3.0))
    await world.pass_time(1)
    await world.supervision.dissolve()
    assert world.daemon.done()
    assert world.host.calls == ["run orders", "ended orders", "release all with 0 running"]
    await world.supervision.dissolve()
    assert world.host.calls[3:] == ["release all with 0 running"]


def crd(*, deleted: bool = False, established: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Established", "status": str(established)}]
    deletion = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    return {"metadata": {"name": "connectivitytests", **deletion}, "status": {"conditions": conditions}}


async def test_a_kind_that_is_made_again_needs_another_process() -> None:
    """Once its API is there; a CRD that was never deleted may change as it likes."""
    host, ends = FakeHost(), list[str]()
    kind = Kind(Supervision(host), lambda: ends.append("end"))
    await kind.seen(crd())
    await kind.seen(crd(deleted=True))
    assert host.calls == ["release all with 0 running"]
    await kind.seen({"metadata": {"name": "connectivitytests"}})
    await kind.seen(crd(established=False))
    assert ends == []
    await kind.seen(crd())
    assert ends == ["end"]


async def test_a_deletion_ends_the_daemon_of_exactly_that_object() -> None:
    """An object of the same name is another one: uids count."""
    world = World()
    await world.pass_time(1)
    world.supervision.seen("DELETED", body(uid="uid-0"))
    await world.pass_time(1)
    assert not world.daemon.done()
    world.stopped.event.set()
    await world.daemon


async def test_an_object_that_comes_back_is_supervised_by_its_new_daemon() -> None:
    """Its label was changed and changed back: the old daemon's end does not make the new one deaf."""
    world = World(lambda host: setattr(host, "ending", 5.0))
    await world.pass_time(1)
    world.supervision.seen("DELETED", world.body)
    again = asyncio.create_task(world.supervision.live(body(), Stopped()))
    await world.daemon
    assert not again.done()
    world.supervision.seen("DELETED", world.body)
    await again


class TestCrowd:
    """Starts are spread only where there are many."""

    def crowd(self, now: list[float]) -> Crowd:
        return Crowd(clock=lambda: now[0], spread=lambda most: most)

    def test_a_few_start_at_once(self) -> None:
        """Nobody waits for a single resource."""
        crowd = self.crowd([0.0])
        assert [crowd.delay() for _ in range(Crowd.FREE)] == [0.0] * Crowd.FREE

    def test_many_are_spread_over_time(self) -> None:
        """A thousand need about 20 seconds, ten thousand not more than 30: the probe misses them after 60."""
        crowd = self.crowd([0.0])
        delays = [crowd.delay() for _ in range(10_000)]
        assert delays[999] == pytest.approx(19.6)
        assert max(delays) == Crowd.MOST

    def test_old_starts_do_not_count(self) -> None:
        """One more resource beside a thousand running ones starts at once."""
        now = [0.0]
        crowd = self.crowd(now)
        for _ in range(1000):
            crowd.delay()
        now[0] = Crowd.WINDOW + 1
        assert crowd.delay() == 0.0

    def test_the_default_spread_stays_within_its_bounds(self) -> None:
        """Random, never negative, never more than the most."""
        crowd = Crowd()
        assert all(0 <= crowd.delay() <= Crowd.MOST for _ in range(500))
