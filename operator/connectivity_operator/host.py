"""The operator as one process: the shared engine, and a supervisor for every resource. What kopf's handlers talk to."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import structlog

from connectivity_operator import __version__, addresses, models, status, uninstall
from connectivity_operator.app import Engine, engine, kubernetes_api, shared_pipelines
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.duty import Order, RunningPipeline, Tools
from connectivity_operator.errors import ConnectivityError
from connectivity_operator.metrics import Metrics
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.policy import PolicyFile
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import DEPENDENCIES, Result
from connectivity_operator.resource import Resource, ResourceSpec, parse, ref_of
from connectivity_operator.settings import Settings
from connectivity_operator.supervisor import Supervisor

FIRST_CLIMB_LIMIT = 10.0
"""Seconds that the start waits for the first climb; a silent dependency must not delay the resources for ever."""
POLICY_EVERY = 5.0
STUCK_AFTER = 60.0
"""Seconds without a turn of a supervisor's loop (or without a supervisor at all) that fail the liveness probe."""


class Unhealthy(Exception):
    """The process should be restarted; the text says why."""


@dataclass
class _Seen:
    """A listed object: its newest body, and since when it has had no supervisor (monotonic)."""

    body: Mapping[str, Any]
    alone_since: float | None


class Operator:
    """Implements `handlers.Host`. Nothing is opened before `startup`."""

    def __init__(self, settings: Settings) -> None:
        """Raises `PolicyError` when the policy file cannot be used."""
        self._settings = settings
        self._policy = PolicyFile(settings.policy_file, settings.operator_namespace)
        self._metrics = Metrics()
        self._stack = AsyncExitStack()
        self._tools: Tools | None = None
        self._api: uninstall.Api | None = None
        self._seen: dict[str, _Seen] = {}
        self._supervisors: dict[str, Supervisor] = {}
        self._paces: WeakValueDictionary[str, Pace] = WeakValueDictionary()
        """By namespace, for as long as a pipeline has it: namespaces come and go for months."""
        self._background: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger().bind(service="operator")

    # ── start and end ────────────────────────────────────────────────────────────────────────────────
    async def startup(self) -> None:
        """Open what is shared, climb all four dependencies once, begin to serve metrics."""
        settings = self._settings
        # Name lookups of all clients run in it; with the default of a few threads a resolver that hangs for one
        # dependency would delay the others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32, thread_name_prefix="lookup"))
        self._log.info("service started", action="start", status="ok", version=__version__, settings=settings.visible())
        shared = await self._stack.enter_async_context(engine(settings, self._probed))
        self._api = api = await self._stack.enter_async_context(kubernetes_api(settings))
        pipelines = shared_pipelines(shared)

        def new_pipeline(order: Order, before: status.Status, changed: Any) -> RunningPipeline:
            return pipelines(order, before, changed, self._pace(order.resource.ref.namespace))

        self._tools = Tools(
            diagnosis=shared.diagnosis,
            api=api,
            kind_of=catalogue.kind_of,
            describe=shared.describe,
            new_pipeline=new_pipeline,
            allowed=self._check_policy,
            default_model=settings.openai_embedding_model,
            operator=f"{settings.operator_namespace}/{settings.operator_name}",
            observe=self._observe,
        )
        if settings.metrics_port:
            self._metrics.serve(settings.metrics_port, addresses.everywhere(os.environ))
            self._stack.callback(self._metrics.close)
        first = self._spawn(self._climb_all(shared))
        self._spawn(self._watch_policy())
        self._spawn(self._watch_loop())
        await asyncio.wait({first}, timeout=FIRST_CLIMB_LIMIT)

    async def cleanup(self) -> None:
        """Close everything in reverse order."""
        for task in self._background:
            task.cancel()
        if self._background:
            await asyncio.wait(self._background)
        await self._stack.aclose()
        self._log.info("service stopped", action="stop", status="ok")

    # ── resources ────────────────────────────────────────────────────────────────────────────────────
    async def run_supervisor(self, body: Mapping[str, Any], stop: asyncio.Event) -> None:
        """Supervise one object until ``stop``; returns earlier only when it is certainly gone."""
        assert self._tools is not None  # noqa: S101 (kopf starts daemons after the start-up handler)
        uid = ref_of(body).uid
        known = self._seen.get(uid)
        supervisor = Supervisor(known.body if known else body, self._tools)
        self._supervisors[uid] = supervisor
        if known:
            known.alone_since = None
        try:
            await supervisor.run(stop)
            if not stop.is_set():
                self.resource_gone(body)  # it has vanished while the watch was interrupted
        finally:
            if self._supervisors.get(uid) is supervisor:
                del self._supervisors[uid]
            if known := self._seen.get(uid):
                known.alone_since = time.monotonic()
            else:
                self._metrics.forget(supervisor.ref)  # its last status may have come after the news of its end

    def resource_changed(self, body: Mapping[str, Any]) -> None:
        """There is a new version of an object."""
        uid = ref_of(body).uid
        supervisor = self._supervisors.get(uid)
        before = self._seen.get(uid)
        alone = None if supervisor else before.alone_since if before else time.monotonic()
        self._seen[uid] = _Seen(body, alone)
        if supervisor:
            supervisor.changed(body)

    def resource_gone(self, body: Mapping[str, Any]) -> None:
        """An object is no longer there, or no longer ours."""
        ref = ref_of(body)
        self._seen.pop(ref.uid, None)
        self._metrics.forget(ref)

    async def release_all(self) -> None:
        """The CRD is being deleted, and with it every object; without this it would wait for us for ever."""
        assert self._api is not None  # noqa: S101 (kopf watches after the start-up handler)
        for seen in list(self._seen.values()):
            self.resource_gone(seen.body)
        self._log.warning("the CRD is being deleted, its resources are released", action="release", status="ok")
        try:
            await uninstall.release_deleted(self._api, self._settings)
        except ConnectivityError as error:  # the next event of the CRD tries again
            self._log.warning("resources not released", action="release", status="failed", detail=str(error))

    def healthy(self) -> Mapping[str, str]:
        """Fails when a supervisor is stuck or an object has none; never because a dependency is down."""
        now = time.monotonic()
        stuck = [s.ref for s in self._supervisors.values() if now - s.beat > STUCK_AFTER]
        alone = [ref_of(s.body) for s in self._seen.values() if self._missed(s, now)]
        self._metrics.supervisors("running", len(self._supervisors) - len(stuck))
        self._metrics.supervisors("stuck", len(stuck))
        self._metrics.supervisors("missing", len(alone))
        if stuck or alone:
            raise Unhealthy(f"stuck: {_names(stuck)}; without a supervisor: {_names(alone)}")
        return {"supervisors": str(len(self._supervisors))}

    def _missed(self, seen: _Seen, now: float) -> bool:
        resource = parse(seen.body)
        if seen.alone_since is None or resource.deleting or resource.spec.suspend:
            return False
        return now - seen.alone_since > STUCK_AFTER

    def _check_policy(self, namespace: str, spec: ResourceSpec) -> None:
        # By the policy in force now, not by the one at start.
        self._policy.current.check(namespace, spec)

    def _observe(self, resource: Resource, now: status.Status) -> None:
        self._metrics.observe(resource.ref, now)

    def _probed(self, climb: Climb) -> None:
        for outcome in climb.outcomes:
            if outcome.seconds is not None:
                self._metrics.probed(climb.service, outcome.rung, outcome.seconds)

    # ── in the background ────────────────────────────────────────────────────────────────────────────
    async def _climb_all(self, shared: Engine) -> None:
        """The question answered for the operator itself, before any resource exists; every rung is logged."""
        model = self._settings.openai_embedding_model
        target = Target(model=model, dimensions=models.dimensions(model, None))
        climbs = await asyncio.gather(*(shared.diagnosis.examine(s, target, max_age=0.0) for s in DEPENDENCIES))
        for climb in climbs:
            self._tell(shared, climb)

    def _tell(self, shared: Engine, climb: Climb) -> None:
        log = structlog.get_logger().bind(service=climb.service, action="check")
        for outcome in climb.outcomes:
            if outcome.result is Result.SKIPPED:
                log.info("rung skipped", status="skipped", rung=outcome.rung)
                continue
            duration = round((outcome.seconds or 0.0) * 1000, 1)
            if climb.failure and outcome.rung is climb.failure.rung:
                told = shared.describe(climb.service, climb.failure)
                log.error(
                    "rung failed", status="failed", rung=outcome.rung, reason=told.reason, message=told.message,
                    remedy=told.remedy, duration_ms=duration,
                )  # fmt: skip
            else:
                # `partition` is Kafka's in every other line; that of an ARN (aws, aws-cn) has a name of its own.
                seen = {"aws_partition" if key == "partition" else key: v for key, v in outcome.evidence.items()}
                log.info("rung passed", status="ok", rung=outcome.rung, duration_ms=duration, **seen)
        for warning in climb.warnings:
            told = shared.describe(climb.service, warning)
            log.warning(
                "warning", status="ok", rung=told.rung, reason=told.reason, message=told.message, remedy=told.remedy
            )

    async def _watch_policy(self) -> None:
        """Read the policy file again when it changes, and let every supervisor decide anew."""
        while True:
            await asyncio.sleep(POLICY_EVERY)
            try:
                changed = self._policy.refresh()
            except Exception:
                # The edge of this task: whatever is wrong with the file, it is looked at again.
                self._log.exception("policy not read", action="read policy", status="failed")
                continue
            if changed:
                self._paces_changed()
                for supervisor in self._supervisors.values():
                    supervisor.look_again()

    async def _watch_loop(self) -> None:
        """Measure how late the loop is: a blocked loop checks nothing."""
        while True:
            due = time.monotonic() + 1.0
            await asyncio.sleep(1.0)
            self._metrics.loop_lag(max(0.0, time.monotonic() - due))

    def _pace(self, namespace: str) -> Pace:
        """The namespace's rate, shared by its pipelines."""
        pace = self._paces.get(namespace)
        if pace is None:
            pace = self._paces[namespace] = Pace(self._policy.current.max_messages_per_minute(namespace))
        return pace

    def _paces_changed(self) -> None:
        for namespace, pace in list(self._paces.items()):
            pace.change(self._policy.current.max_messages_per_minute(namespace))

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _names(refs: list[ObjectRef]) -> str:
    return ", ".join(f"{ref.namespace}/{ref.name}" for ref in refs[:10]) or "none"
