"""One resource's life: its checks, its pipeline, its status. No kopf and no client library in here.

A single loop owns all decisions: it compares what the resource wants with what runs, then composes the status
from what is known. Everything else only sets `wake`. Suspending is handled here, not by kopf's filters: a quick
suspend and resume there could leave the object without a daemon for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from connectivity_operator import models, status
from connectivity_operator.conditions import Facts, Flow, compose
from connectivity_operator.duty import Duty, Order, Tools
from connectivity_operator.errors import NotAllowed
from connectivity_operator.resource import consumer_group, parse
from connectivity_operator.status_writer import COUNTERS_EVERY, StatusWriter, Urgency
from connectivity_operator.transitions import Transition

TICK = 5.0
"""Seconds after which the status is composed again even if nothing happened: time alone changes conditions."""
SETTLE = 0.1
"""Seconds in which happenings that come together are handled once."""


class Supervisor:
    """Brings one ConnectivityTest to life. `changed` may be called from kopf's handlers at any time."""

    def __init__(self, body: Mapping[str, Any], tools: Tools) -> None:
        self._tools = tools
        self._body = body
        self.resource = parse(body)
        self.ref = self.resource.ref
        self.beat = time.monotonic()
        """Monotonic time of the loop's last turn: how the liveness probe sees a stuck supervisor."""
        self._status = status.read(body.get("status") or {})
        self._wake = asyncio.Event()
        self._writer = StatusWriter(tools.api, self.ref, heartbeat=self.resource.spec.interval_seconds)
        self._duty: Duty | None = None
        self._not_allowed: str | None = None
        self._request_seen = self._status.last_request_handled
        self._log = structlog.get_logger().bind(service="operator", namespace=self.ref.namespace, name=self.ref.name)

    def changed(self, body: Mapping[str, Any]) -> None:
        """The object has a new version (spec, annotations or status)."""
        self._body = body
        self._wake.set()

    def look_again(self) -> None:
        """Something shared has changed (the policy): decide anew."""
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Live until ``stop``; returns before it only when the object is certainly gone."""
        await self._stay_away(stop)
        if stop.is_set():
            return
        writer = asyncio.create_task(self._writer.run(), name=f"status {self.ref.namespace}/{self.ref.name}")
        try:
            while not stop.is_set() and not self._writer.gone.is_set():
                self.beat = time.monotonic()
                if status.other_operator(self._body, self._tools.operator):
                    # It took over while we said nothing for longer than our status was valid.
                    self._writer.withdraw()
                    await self._end_duty()
                    await self._stay_away(stop)
                    continue
                await self._reconcile()
                if not self.resource.deleting:
                    self._compose()
                await self._sleep(stop)
        finally:
            try:
                await self._end_duty()
            finally:
                writer.cancel()
                await asyncio.wait({writer})
        ours = not status.other_operator(self._body, self._tools.operator)
        if ours and not self._writer.gone.is_set() and not self.resource.deleting:
            # The last counters, and nothing else: that we stop is no news of the dependencies.
            self._writer.submit(self._status.body(), Urgency.CHANGE)
            await self._writer.finish()
        self._log.info("supervisor stopped", action="supervise", status="ok")

    # ── what runs ────────────────────────────────────────────────────────────────────────────────────
    async def _reconcile(self) -> None:
        """Make what runs match what the resource wants."""
        self.resource = parse(self._body)
        self._writer.heartbeat = max(COUNTERS_EVERY, float(self.resource.spec.interval_seconds))
        self._not_allowed = self._refusal()
        wanted = None if self.resource.spec.suspend or self._not_allowed or self.resource.deleting else self._order()
        if self._duty and (self._duty.order != wanted or self._duty.broken):
            await self._end_duty()
        if wanted and self._duty is None:
            self._duty = Duty(wanted, self._tools, self._status, self._wake.set)
            self._log.info("supervising", action="supervise", status="ok", generation=self.resource.generation)
        asked = self.resource.check_requested
        if self._duty and asked is not None and asked != self._request_seen:
            self._request_seen = asked
            self._duty.request(asked)

    def _refusal(self) -> str | None:
        try:
            self._tools.allowed(self.ref.namespace, self.resource.spec)
        except NotAllowed as refusal:
            return str(refusal)
        return None

    def _order(self) -> Order:
        # Annotations change without a new generation; they are no reason for another pipeline.
        resource = replace(self.resource, check_requested=None)
        return Order(resource, resource.spec.model or self._tools.default_model, consumer_group(self.ref))

    async def _end_duty(self) -> None:
        if self._duty:
            duty, self._duty = self._duty, None
            # A request that this duty has not answered yet is asked of the next one again.
            self._request_seen = self._status.last_request_handled
            await duty.end()
            self._status = replace(self._status, pipeline=duty.flow().pipeline)

    # ── what is said ─────────────────────────────────────────────────────────────────────────────────
    def _compose(self) -> None:
        before = self._status
        after, transitions = compose(before, self._facts())
        self._status = after
        self._writer.submit(after.body(), _urgency(before, after))
        now = datetime.now(UTC)
        for n, transition in enumerate(transitions):
            kind = "Warning" if transition.warning else "Normal"
            # Each at a moment of its own, in the order in which they are told.
            self._writer.event(kind, transition.reason, transition.message, now + timedelta(microseconds=n))
            self._tell(transition)
        self._tools.observe(self.resource, after)

    def _tell(self, transition: Transition) -> None:
        """In the log as in the Event; of a service that failed with the remedy, so that nobody must look elsewhere."""
        told = {"subject": transition.service, "reason": transition.reason, "message": transition.message}
        if not transition.warning:
            self._log.info("transition", action="judge", status="ok", **told)
            return
        verdict = self._status.services.get(transition.service)
        if verdict and verdict.remedy and verdict.reason == transition.reason:
            told["remedy"] = verdict.remedy
        self._log.warning("transition", action="judge", status="failed", **told)

    def _facts(self) -> Facts:
        spec, duty = self.resource.spec, self._duty
        model = spec.model or self._tools.default_model
        facts = Facts(
            now=datetime.now(UTC),
            generation=self.resource.generation,
            operator=self._tools.operator,
            interval=spec.interval_seconds,
            not_allowed=self._not_allowed,
            suspended=spec.suspend,
            model=(model, models.dimensions(model, spec.dimensions)),
            flow=Flow(pipeline=self._status.pipeline),
        )
        return duty.facts(facts) if duty else facts

    # ── when ─────────────────────────────────────────────────────────────────────────────────────────
    async def _sleep(self, stop: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(e.wait()) for e in (self._wake, stop, self._writer.gone)}
        try:
            await asyncio.wait(waits, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not stop.is_set():
            await asyncio.sleep(SETTLE)
        # Cleared before the next look, so that what happens during it is not missed.
        self._wake.clear()

    async def _stay_away(self, stop: asyncio.Event) -> None:
        """While another operator's status has not expired, leave the object to it: two would fight."""
        said = False
        while not stop.is_set() and (other := status.other_operator(self._body, self._tools.operator)):
            self.beat = time.monotonic()
            if not said:
                self._log.warning(
                    "another operator looks after this resource", action="supervise", status="skipped", operator=other
                )
                said = True
            self._wake.clear()
            await self._sleep(stop)
        self._status = status.read(self._body.get("status") or {})
        self._request_seen = self._status.last_request_handled


def _urgency(before: status.Status, after: status.Status) -> Urgency:
    def shown(s: status.Status) -> object:
        conditions = [(c.type, c.status, c.reason, c.message, c.observed_generation) for c in s.conditions.values()]
        return conditions, [(x.name, [reason for reason, _ in x.warnings]) for x in s.services.values()]

    first = before.pipeline.counters.logged == 0 < after.pipeline.counters.logged
    changed = (
        shown(before) != shown(after)
        or first
        or before.pipeline.topics != after.pipeline.topics
        or before.last_request_handled != after.last_request_handled
        or before.operator != after.operator
        or before.history != after.history
    )
    if changed:
        return Urgency.CHANGE
    return Urgency.COUNTERS if before.pipeline != after.pipeline else Urgency.HEARTBEAT
