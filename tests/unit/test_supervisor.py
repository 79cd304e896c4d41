"""One resource's life: what runs, what is written, and when nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from connectivity_operator import duty, status, status_writer, supervisor
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.ladder import Climb, Failure
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Section, Target
from connectivity_operator.duty import Order, Tools
from connectivity_operator.errors import NotAllowed
from connectivity_operator.pipeline.progress import Progress
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import DEPENDENCIES, Reason, Rung, Service
from connectivity_operator.resource import CHECK_REQUESTED, ResourceSpec
from connectivity_operator.supervisor import Supervisor

UID = "3f2a1b00-1111-2222-3333-444455556666"


class FakeLadder:
    """A service that is as told."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.failure: Failure | None = None
        self.climbs = 0

    def stages(self, target: Target) -> Sequence[Sequence[Section]]:
        async def climb() -> Climb:
            self.climbs += 1
            return Climb(self.service, (), self.failure)

        return [[Section((self.service,), (), climb)]]


class FakePipeline:
    """A pipeline that only lives."""

    def __init__(self, order: Order, changed: Callable[[], None]) -> None:
        self.order, self.changed = order, changed
        self.progress = Progress(starting=False)
        self.running = False
        self.broken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        self.running = True
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, self.broken)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        self.running = False
        if self.broken.is_set():
            raise RuntimeError("a fault of ours")

    def take_notices(self) -> Sequence[tuple[Service, str, str]]:
        return []


class World:
    """Everything a supervisor touches."""

    def __init__(self) -> None:
        self.ladders = {s: FakeLadder(s) for s in DEPENDENCIES}
        self.pipelines: list[FakePipeline] = []
        self.written: list[Mapping[str, Any]] = []
        self.events: list[str] = []
        self.refusal: str | None = None
        self.tools = Tools(
            diagnosis=Diagnosis(list(self.ladders.values()), Probes()),
            api=self,
            kind_of=catalogue.kind_of,
            describe=catalogue.describe,
            new_pipeline=self._pipeline,
            allowed=self._allowed,
            default_model="text-embedding-3-small",
            operator="operator/connectivity",
        )

    async def patch_status(self, ref: ObjectRef, body: Mapping[str, Any]) -> frozenset[str]:
        self.written.append(body)
        return frozenset()

    async def post_event(self, ref: ObjectRef, *, kind: str, reason: str, message: str, at: datetime) -> None:
        self.events.append(reason)

    def _pipeline(self, order: Order, before: status.Status, changed: Callable[[], None]) -> FakePipeline:
        self.pipelines.append(FakePipeline(order, changed))
        return self.pipelines[-1]

    def _allowed(self, namespace: str, spec: ResourceSpec) -> None:
        if self.refusal:
            raise NotAllowed(self.refusal)

    def said(self, kind: str = "Ready") -> str:
        conditions = self.written[-1]["conditions"] if self.written else []
        return next((c["reason"] for c in conditions if c["type"] == kind), "")

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.005)


def body(generation: int = 1, *, annotations: Mapping[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop", "name": "orders", "uid": UID, "generation": generation,
            "annotations": dict(annotations or {}),
        },
        "spec": {"topics": ["orders"], "index": "connectivity-test", "intervalSeconds": 3600, **changes},
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_writer, "SETTLE", 0.005)
    monkeypatch.setattr(supervisor, "SETTLE", 0.005)
    monkeypatch.setattr(supervisor, "TICK", 0.05)


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def alive(world: World, first: Mapping[str, Any]) -> AsyncIterator[Supervisor]:
    subject, stop = Supervisor(first, world.tools), asyncio.Event()
    task = asyncio.create_task(subject.run(stop))
    try:
        yield subject
    finally:
        stop.set()
        async with asyncio.timeout(5):
            await task


async def test_a_healthy_resource_is_connected_and_its_pipeline_runs(world: World) -> None:
    """Every dependency is judged, the model in use is told, the group is derived from the uid."""
    async with alive(world, body()):
        await world.until(lambda: world.said() == "AllConnected")
        assert world.pipelines[0].running
        assert world.pipelines[0].order.group == "connectivity-test.shop.orders.3f2a1b00"
        assert world.written[-1]["model"] == {"name": "text-embedding-3-small", "dimensions": 1536}
    assert not world.pipelines[0].running


async def test_a_topic_is_told_as_followed_at_once(world: World) -> None:
    """After that no message is missed: who waits for it, or starts after a crash, must not wait for the counters."""
    async with alive(world, body()):
        await world.until(lambda: world.said() == "AllConnected")
        world.pipelines[0].progress = replace(world.pipelines[0].progress, followed=frozenset({"orders"}))
        world.pipelines[0].changed()
        await world.until(lambda: world.written[-1]["pipeline"]["topics"] == ["orders"])


async def test_stopping_is_no_news_of_the_dependencies(world: World) -> None:
    """The last write of a shutdown says what was said before, and no Event is posted for it."""
    async with alive(world, body()):
        await world.until(lambda: world.said() == "AllConnected" and "AllConnected" in world.events)
        before, events = world.written[-1]["conditions"], list(world.events)
    assert world.written[-1]["conditions"] == before
    assert world.events == events


async def test_another_operators_resource_is_left_alone_until_its_status_expires(world: World) -> None:
    """Two operators on one object would fight; the one that came later stays away, and writes nothing."""
    theirs = status.Status(
        operator="other/release", valid_until=status.timestamp(datetime.now(UTC) + timedelta(seconds=60))
    )
    first = {**body(), "status": theirs.body()}
    async with alive(world, first):
        await asyncio.sleep(0.1)
        assert world.pipelines == []
    assert world.written == []
    expired = replace(theirs, valid_until=status.timestamp(datetime.now(UTC) - timedelta(seconds=1)))
    async with alive(world, {**body(), "status": expired.body()}):
        await world.until(lambda: world.said() == "AllConnected")
        assert world.written[-1]["operator"] == "operator/connectivity"


async def test_what_the_policy_refuses_runs_nothing_until_it_is_allowed(world: World) -> None:
    """The policy may change at any time, in both directions."""
    world.refusal = "spec.topics: orders is not allowed"
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "NotAllowed")
        assert world.pipelines == []
        world.refusal = None
        subject.look_again()
        await world.until(lambda: world.said() == "AllConnected")
        world.refusal = "no more"
        subject.look_again()
        await world.until(lambda: world.said() == "NotAllowed")
        assert not world.pipelines[0].running


async def test_a_changed_spec_gets_another_pipeline_an_annotation_does_not(world: World) -> None:
    """Annotations come and go without a new generation."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        subject.changed(body(annotations={"somebody": "else"}))
        subject.changed(body(2, topics=["payments"]))
        await world.until(lambda: world.written[-1]["observedGeneration"] == 2)
        assert [p.order.resource.spec.topics for p in world.pipelines] == [{"orders"}, {"payments"}]
        assert [p.running for p in world.pipelines] == [False, True]


async def test_suspending_stops_everything_and_resuming_starts_it_again(world: World) -> None:
    """However often and quickly it is toggled: the last word counts."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        for turn in range(20):
            subject.changed(body(2 + turn, suspend=turn % 2 == 0))
            await asyncio.sleep(0.001)
        await world.until(lambda: world.pipelines[-1].running and world.said() == "AllConnected")
        subject.changed(body(30, suspend=True))
        await world.until(lambda: world.said() == "Suspended")
        assert not any(p.running for p in world.pipelines)
        assert world.said("KafkaConnected") == "Connected"


async def test_a_requested_check_looks_again_and_is_echoed(world: World) -> None:
    """The echo comes when all four have looked after the request."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        before = {s: ladder.climbs for s, ladder in world.ladders.items()}
        subject.changed(body(annotations={CHECK_REQUESTED: "now"}))
        await world.until(lambda: world.written[-1]["lastRequestHandled"] == "now")
        assert all(ladder.climbs > before[s] for s, ladder in world.ladders.items())


async def test_a_request_survives_a_change_of_the_spec(world: World) -> None:
    """Whoever waits for the echo gets it, from the next duty."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        subject.changed(body(annotations={CHECK_REQUESTED: "now"}))
        subject.changed(body(2, annotations={CHECK_REQUESTED: "now"}, topics=["payments"]))
        await world.until(lambda: world.written[-1]["lastRequestHandled"] == "now")


async def test_an_operator_that_took_over_meanwhile_is_given_way(world: World) -> None:
    """The last writer wins: two would share one consumer group and write over each other for ever."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        until = status.timestamp(datetime.now(UTC) + timedelta(seconds=60))
        theirs = status.Status(operator="other/release", valid_until=until)
        subject.changed({**body(), "status": theirs.body()})
        await world.until(lambda: not world.pipelines[0].running)
        written = len(world.written)
        await asyncio.sleep(0.1)
        assert len(world.written) == written


async def test_a_pipeline_that_breaks_ends_its_supervisor_and_leaves_nothing_behind(world: World) -> None:
    """It is started again by whoever runs it; a writer left behind would write old news for ever."""
    subject = Supervisor(body(), world.tools)
    task = asyncio.create_task(subject.run(asyncio.Event()))
    await world.until(lambda: world.said() == "AllConnected")
    world.pipelines[0].broken.set()
    with pytest.raises(RuntimeError, match="a fault of ours"):
        async with asyncio.timeout(5):
            await task
    left = {t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()}
    assert not [name for name in left if "shop/orders" in name]


async def test_a_brewing_failure_is_a_warning_until_it_flips(world: World) -> None:
    """A passing fault does not page anybody, but `describe` shows it."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected")
        world.ladders[Service.KAFKA].failure = Failure(Reason.CONNECTION_REFUSED, Rung.TCP, {"host": "b-1"})
        subject.changed(body(annotations={CHECK_REQUESTED: "now"}))
        await world.until(lambda: _warnings(world, "kafka") == ["ConnectionRefused"])
        assert world.said("KafkaConnected") == "Connected"


async def test_a_failure_is_logged_with_its_remedy(world: World) -> None:
    """Who reads the log alone learns what to do; what became right is no warning."""
    world.ladders[Service.KAFKA].failure = Failure(Reason.READ_DATA_DENIED, Rung.AUTHORIZATION, {"topic": "orders"})
    structlog.reset_defaults()  # a command that another test ran may have set a level
    with capture_logs() as lines:
        async with alive(world, body()):
            await world.until(lambda: world.said("KafkaConnected") == "ReadDataDenied")
    told = {line["subject"]: line for line in lines if line["event"] == "transition"}
    assert told["kafka"]["log_level"] == "warning"
    assert "orders" in told["kafka"]["message"]
    assert "kafka-cluster:ReadData" in told["kafka"]["remedy"]
    assert told["resource"]["log_level"] == "warning"
    assert told["openai"]["log_level"] == "info"
    assert "remedy" not in told["openai"]


def _warnings(world: World, service: str) -> list[str]:
    return [w["reason"] for s in world.written[-1]["services"] if s["name"] == service for w in s["warnings"]]


async def test_a_flood_that_the_policy_holds_back_is_told_after_an_interval(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Being held back for a moment is how the rate works; the pipeline is seen so only now and then."""
    clock = [1000.0]
    async with alive(world, body(intervalSeconds=10)):
        await world.until(lambda: world.said() == "AllConnected")
        monkeypatch.setattr(duty, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        for second in range(30):
            clock[0] = 1000.0 + second
            busy = Progress(
                starting=False, lag=50, throttled=second % 5 == 0, finished_at=clock[0], accepted_at=clock[0]
            )
            world.pipelines[0].progress = busy
            world.pipelines[0].changed()
            await asyncio.sleep(0.06)
            if second == 5:
                assert world.said("PipelineFlowing") == "Flowing"
        await world.until(lambda: world.said("PipelineFlowing") == "Throttled")
        assert world.said() == "EndToEndVerified"
        clock[0] += 60
        calm = Progress(starting=False, finished_at=clock[0], accepted_at=clock[0])
        world.pipelines[0].progress = calm
        world.pipelines[0].changed()
        await world.until(lambda: world.said("PipelineFlowing") == "Flowing")


async def test_a_resource_that_is_being_deleted_says_nothing_more(world: World) -> None:
    """Its pipeline ends; no condition changes, no Event is posted."""
    async with alive(world, body()) as subject:
        await world.until(lambda: world.said() == "AllConnected" and "AllConnected" in world.events)
        written, events = len(world.written), list(world.events)
        going = body()
        going["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
        subject.changed(going)
        await world.until(lambda: not world.pipelines[0].running)
    assert len(world.written) == written
    assert world.events == events
