"""What runs for one resource while it is neither suspended nor refused: four watches and a pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from connectivity_operator import models, status
from connectivity_operator.conditions import CONNECTED, Facts, Flow, Judged
from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.diagnosis.embeddings import model_key
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome, join
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.pipeline.progress import Progress
from connectivity_operator.ports import ResourceApi
from connectivity_operator.reasons import DEPENDENCIES, Reason, Result, Rung, Service
from connectivity_operator.resource import Resource, ResourceSpec
from connectivity_operator.watch import ServiceWatch

REFUSED_TO_THE_PIPELINE: Mapping[Service, frozenset[Reason]] = {
    # The rights of a group's own member: reading is probed too, committing is not.
    Service.KAFKA: frozenset({Reason.ALTER_GROUP_DENIED, Reason.DESCRIBE_GROUP_DENIED, Reason.READ_DATA_DENIED}),
    # A check creates nothing: an absent index is no more than a warning to it.
    Service.OPENSEARCH: frozenset({Reason.CREATE_INDEX_DENIED}),
}
"""What only the pipeline's own work can find out about its rights."""


THROTTLED_FOR = 30.0
"""Seconds for which a pipeline counts as held back by the policy's rate after it was: it is held back for a part of
every second, and looked at now and then."""


class RunningPipeline(Protocol):
    """What the supervisor needs of a pipeline."""

    @property
    def progress(self) -> Progress: ...
    async def run(self, stop: asyncio.Event) -> None:
        """Never returns before ``stop``; finishes or drops what is in flight, commits and leaves the group."""

    def take_notices(self) -> Sequence[tuple[Service, str, str]]:
        """What happened since the last call that belongs into history: (service, reason, message)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a pipeline is to do; a changed order means another pipeline."""

    resource: Resource
    model: str
    group: str


@dataclass(frozen=True)
class Tools:
    """What all supervisors of the process share; the composition root fills it."""

    diagnosis: Diagnosis
    api: ResourceApi
    kind_of: Callable[[Service, Failure], Kind]
    describe: Callable[[Service, Failure], Explanation]
    new_pipeline: Callable[[Order, status.Status, Callable[[], None]], RunningPipeline]
    """(what to do, the status it continues, called at every change of its progress)."""
    allowed: Callable[[str, ResourceSpec], None]
    """Raises `NotAllowed`. (namespace, spec)."""
    default_model: str
    operator: str
    """``namespace/name`` of this release, as in ``status.operator``."""
    observe: Callable[[Resource, status.Status], None] = lambda resource, now: None
    """Called with every composed status (metrics)."""


class Duty:
    """The watches and the pipeline of one order, running from the moment it is made until `end`."""

    def __init__(self, order: Order, tools: Tools, before: status.Status, wake: Callable[[], None]) -> None:
        self.order = order
        self._tools = tools
        spec = order.resource.spec
        target = Target(
            topics=spec.topics,
            index=spec.index,
            model=order.model,
            dimensions=spec.dimensions,
            group=order.group,
        )
        self._before = before.pipeline
        flowing = before.conditions.get(status.FLOWING)
        self._continues = flowing is not None and flowing.observed_generation == order.resource.generation
        self._throttled: tuple[float, float] | None = None
        """First and last time at which the pipeline was seen to be held back by the policy's rate."""
        self._stop = asyncio.Event()
        self._wake = wake
        self._pipeline = tools.new_pipeline(order, before, self._pipeline_changed)
        self.watches = {
            service: ServiceWatch(
                service,
                target,
                diagnosis=tools.diagnosis,
                kind_of=tools.kind_of,
                interval=float(spec.interval_seconds),
                timeout=float(spec.timeout_seconds),
                changed=wake,
                ref=order.resource.ref,
                refine=self._with_refusal,
            )
            for service in DEPENDENCIES
        }
        self._request: tuple[str, float] | None = None
        self._model = model_key(order.model, models.dimensions(order.model, spec.dimensions))
        self._embedded_at: float | None = None
        label = f"{order.resource.ref.namespace}/{order.resource.ref.name}"
        self._tasks = [
            asyncio.create_task(self._pipeline.run(self._stop), name=f"pipeline {label}"),
            *(asyncio.create_task(w.run(), name=f"watch {w.service} {label}") for w in self.watches.values()),
        ]

    def request(self, text: str) -> None:
        """Check everything now; answered when all four have looked again."""
        self._request = (text, time.monotonic())
        for watch in self.watches.values():
            watch.check_now()

    @property
    def broken(self) -> bool:
        """A task has ended that never should: a fault of ours."""
        return not self._stop.is_set() and any(task.done() for task in self._tasks)

    async def end(self) -> None:
        """Stop the checks, let the pipeline finish what is in flight, commit and leave the group."""
        self._stop.set()
        for task in self._tasks[1:]:
            task.cancel()
        try:
            await asyncio.wait(self._tasks)
        except asyncio.CancelledError:
            self._tasks[0].cancel()  # no time left to end well
            raise
        for task in self._tasks:
            if not task.cancelled() and (error := task.exception()):
                raise error

    def facts(self, base: Facts) -> Facts:
        """``base`` with what this work knows."""
        judged = {s: self._judged(w) for s, w in self.watches.items() if w.standing.shown is not None}
        seen = [w.examined for w in self.watches.values()]
        known = {k: v for w in self.watches.values() if w.standing.shown for k, v in w.standing.shown.evidence.items()}
        identity = (known["caller_arn"], known.get("method", "")) if "caller_arn" in known else None
        dimensions = self._pipeline.progress.dimensions or (base.model[1] if base.model else None)
        return replace(
            base,
            judged=judged,
            flow=self.flow(),
            checked=min(t for t in seen if t) if all(seen) else None,
            identity=identity,
            model=(self.order.model, dimensions),
            request_handled=self._handled(),
            notices=tuple(self._pipeline.take_notices()),
        )

    def flow(self) -> Flow:
        """What the pipeline shows, in the terms of the condition `PipelineFlowing`."""
        progress, now = self._pipeline.progress, time.monotonic()
        if self._throttled and now - self._throttled[1] > THROTTLED_FOR:
            self._throttled = None
        if progress.throttled:
            self._throttled = (self._throttled[0] if self._throttled else now, now)
        flow = flow_of(progress, self._before, continues=self._continues)
        if self._throttled is None:
            return flow
        # What the policy's rate holds back is no lack of progress.
        return replace(flow, lagging_for=None, throttled_for=now - self._throttled[0])

    def _judged(self, watch: ServiceWatch) -> Judged:
        standing, generation = watch.standing, self.order.resource.generation
        climb = standing.shown
        assert climb is not None  # noqa: S101 (for mypy: the caller has looked)
        rungs = tuple((o.rung.value, o.result.value) for o in climb.outcomes)
        told = (*climb.warnings, standing.brewing) if standing.brewing else climb.warnings
        warnings = tuple((w.reason.value, self._tools.describe(watch.service, w).message) for w in told)
        if climb.failure is None:
            return Judged(CONNECTED, generation, rungs=rungs, warnings=warnings)
        words = self._tools.describe(watch.service, climb.failure)
        return Judged(
            reason=climb.failure.reason,
            generation=generation,
            rung=climb.failure.rung,
            message=words.message,
            remedy=words.remedy,
            runbook=words.runbook,
            failures=standing.tries,
            rungs=rungs,
            warnings=warnings,
        )

    def _handled(self) -> str | None:
        if self._request is None:
            return None
        text, asked = self._request
        settled = all(w.began >= asked and w.standing.brewing is None for w in self.watches.values())
        return text if settled else None

    def _pipeline_changed(self) -> None:
        progress = self._pipeline.progress
        for service in progress.troubles:
            if service in self.watches:
                self.watches[service].suspect()
        if progress.proofs.get(Service.OPENAI) != self._embedded_at:
            # A real embedding has just been made: no need to pay for the probe's.
            self._embedded_at = progress.proofs.get(Service.OPENAI)
            self._tools.diagnosis.witness(self._model)
        self._wake()

    def _with_refusal(self, climb: Climb) -> Climb:
        """What the pipeline is refused and no check can find out fails the ladder."""
        service = climb.service
        trouble = self._pipeline.progress.troubles.get(service)
        told = REFUSED_TO_THE_PIPELINE.get(service, frozenset())
        if climb.failure or trouble is None or trouble.error.reason not in told:
            return climb
        failure = Failure(trouble.error.reason, Rung.AUTHORIZATION, {**climb.evidence, **trouble.error.evidence})
        refused = Climb(service, (RungOutcome(Rung.AUTHORIZATION, Result.FAILED),), failure)
        return join([climb, refused])


def flow_of(progress: Progress, before: status.PipelineStatus, *, continues: bool) -> Flow:
    """A pipeline's progress as the condition rules want it.

    ``continues``: it goes on where an earlier process was, for the same generation; only then does a message that
    was finished before prove anything.
    """
    now = time.monotonic()

    def ago(at: float | None) -> float | None:
        return None if at is None else max(0.0, now - at)

    last = progress.last_message.body() if progress.last_message else before.last_message
    rejected = progress.last_rejected.body() if progress.last_rejected else before.last_rejected
    earlier = _completed_ago(before) if continues else None
    oldest = progress.trouble
    return Flow(
        pipeline=status.PipelineStatus(
            counters=progress.counters,
            # Until positions are known again, the lag known last is the better answer.
            lag=before.lag if progress.starting else progress.lag,
            topics=progress.followed | before.topics,
            last_message=last,
            last_rejected=rejected,
        ),
        starting=progress.starting,
        trouble=(oldest[0], oldest[1].error.reason, now - oldest[1].since) if oldest else None,
        finished_ago=earlier if progress.finished_at is None else ago(progress.finished_at),
        accepted_ago=earlier if progress.accepted_at is None else ago(progress.accepted_at),
        lagging_for=ago(progress.lagging_since),
        silent=(f"{progress.silent[0].topic}/{progress.silent[0].partition}", progress.silent[1])
        if progress.silent
        else None,
    )


def _completed_ago(before: status.PipelineStatus) -> float | None:
    completed = status.moment((before.last_message or {}).get("completedTime"))
    return (datetime.now(UTC) - completed).total_seconds() if completed else None
