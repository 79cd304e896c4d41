"""One service of one resource, examined again and again until the resource changes or goes.

Decides when to look (the interval, quick tries after a failure, a requested check, traffic in trouble) and
what is shown (the flip rules of `diagnosis.judge`). Services are watched side by side: a broken one never
delays another.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.judge import Kind, Standing, judge
from connectivity_operator.diagnosis.ladder import Climb, Failure, limited
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import Service

AFTER_FAULT = 5.0
"""Seconds until the next check after a fault of our own."""
TROUBLE_SPACING = 5.0
"""Seconds between two checks that only the pipeline's trouble asks for."""


class ServiceWatch:
    """The verdict on one service for one resource. `standing` and the times are read by the supervisor."""

    def __init__(
        self,
        service: Service,
        target: Target,
        *,
        diagnosis: Diagnosis,
        kind_of: Callable[[Service, Failure], Kind],
        interval: float,
        timeout: float,
        changed: Callable[[], None],
        ref: ObjectRef,
        refine: Callable[[Climb], Climb] = lambda climb: climb,
    ) -> None:
        self.service, self.target = service, target
        self.standing = Standing()
        self.examined: datetime | None = None
        """When the last finished examination ended."""
        self.began = float("-inf")
        """Monotonic time at which the last finished examination began."""
        self._diagnosis, self._kind_of = diagnosis, kind_of
        self._interval, self._timeout = interval, timeout
        self._changed, self._refine = changed, refine
        self._not_before = time.monotonic()
        self._now = asyncio.Event()
        self._log = structlog.get_logger().bind(service=service, namespace=ref.namespace, name=ref.name)

    def check_now(self) -> None:
        """Someone asked: look at once, and accept nothing older than this moment."""
        self._not_before = time.monotonic()
        self._now.set()

    def suspect(self) -> None:
        """The pipeline has trouble with this service: look soon, unless that was just done."""
        if time.monotonic() - self.began >= TROUBLE_SPACING and self.standing.failing_since is None:
            self.check_now()

    async def run(self) -> None:
        """Examine until cancelled."""
        while True:
            self._now.clear()
            try:
                await self._examine()
                delay = self.standing.delay
            except Exception:
                # The edge of this task: a fault of ours must not end the watching for good.
                self._log.exception("check failed by a fault of the operator", action="check", status="failed")
                delay = AFTER_FAULT
            await self._pause(delay)

    async def _examine(self) -> None:
        began = time.monotonic()
        climb = await self._diagnosis.examine(
            self.service, self.target, max_age=self._interval * 0.9, not_before=self._not_before
        )
        climb = self._refine(limited(climb, self._timeout))
        kind = self._kind_of(self.service, climb.failure) if climb.failure else None
        now = time.monotonic()
        self.standing = judge(self.standing, climb, kind, now=now, interval=self._interval)
        self.began, self.examined = began, datetime.now(UTC)
        if climb.failure:
            # The next try is about what happens then: a shared result counts only if it is newer than this one.
            self._not_before = now
        self._changed()

    async def _pause(self, delay: float) -> None:
        # A little earlier or later each time, so that thousands of resources do not move in step.
        try:
            async with asyncio.timeout(delay * random.uniform(0.95, 1.0)):  # noqa: S311 (not for secrets)
                await self._now.wait()
        except TimeoutError:
            pass
