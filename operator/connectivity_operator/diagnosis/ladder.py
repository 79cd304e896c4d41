"""The ladder: steps in order, each with its own limit, latency and evidence; the first failing one is the verdict.

A check is data (`Step`: a rung and a coroutine function); running it is separate. A `Climb` is the result of
running some steps; climbs of one service (its connection, then each topic) are joined by `join` into what one
resource sees. Nothing here knows a client library or a service.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectivity_operator.diagnosis.listening import listener
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Result, Rung, Service


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a rung failed (or what it warns of): a reason with the evidence that its texts need."""

    reason: Reason
    rung: Rung
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RungOutcome:
    """One climbed rung. ``seconds`` is None for a skipped one."""

    rung: Rung
    result: Result
    seconds: float | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Climb:
    """The result of some steps of one service's ladder. ``failure`` is None when all passed."""

    service: Service
    outcomes: tuple[RungOutcome, ...]
    failure: Failure | None = None
    warnings: tuple[Failure, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Everything that was learnt on the way, failed or not (`principal`, `address` …)."""

    @property
    def passed(self) -> bool:
        return self.failure is None


class Notes:
    """What a step hands back beside passing: evidence for texts, warnings, values for later steps."""

    def __init__(self, evidence: Mapping[str, str] | None = None) -> None:
        self.evidence: dict[str, str] = dict(evidence or {})
        self.warnings: list[tuple[Reason, dict[str, str]]] = []

    def add(self, **evidence: str) -> None:
        """Remember facts under the names that the catalogue's templates use."""
        self.evidence.update(evidence)

    def warn(self, reason: Reason, **evidence: str) -> None:
        """Something a person should know although the rung passed."""
        self.warnings.append((reason, evidence))


@dataclass(frozen=True, slots=True)
class Step:
    """One check: raises `DependencyError` (or `TimeoutError`) when its rung fails."""

    rung: Rung
    run: Callable[[Notes], Awaitable[None]]
    limit: float
    """Seconds; beyond it the rung has failed with the reason ``on_timeout``."""
    on_timeout: Reason = Reason.CONNECTION_TIMEOUT


def login_step(service: Service, run: Callable[[Notes], Awaitable[None]], limit: float) -> Step:
    """The login of a client that connects, secures and logs in in one, above rungs that have just done the first two.

    So a time-out is no closed port: it is the login that has no answer.
    """

    async def logged_in(notes: Notes) -> None:
        evidence = {"cause": "login", "limit": f"{limit:g}"}
        try:
            async with asyncio.timeout(limit):
                return await run(notes)
        except DependencyError as error:
            if error.reason is not Reason.CONNECTION_TIMEOUT:
                raise
            evidence |= error.evidence
        except TimeoutError:
            pass
        raise DependencyError(service, Reason.REQUEST_TIMEOUT, evidence=evidence)

    return Step(Rung.AUTHENTICATION, logged_in, limit + 1, Reason.REQUEST_TIMEOUT)


async def climb(service: Service, steps: Sequence[Step], *, known: Mapping[str, str] | None = None) -> Climb:
    """Run ``steps`` in order until one fails; later ones are skipped. Never raises but on cancellation.

    ``known`` is evidence from before (the settings, an earlier climb), under the catalogue's names.
    """
    notes = Notes(known)
    outcomes: list[RungOutcome] = []
    warnings: list[Failure] = []
    failure: Failure | None = None
    for step in steps:
        if failure:
            outcomes.append(RungOutcome(step.rung, Result.SKIPPED))
            continue
        notes.warnings.clear()
        listener().begun(service, step.rung)
        before = dict(notes.evidence)
        began = time.monotonic()
        failure = await _run(service, step, notes)
        seconds = time.monotonic() - began
        warnings += [Failure(reason, step.rung, {**notes.evidence, **extra}) for reason, extra in notes.warnings]
        result = Result.FAILED if failure else Result.WARNED if notes.warnings else Result.PASSED
        learnt = {k: v for k, v in notes.evidence.items() if before.get(k) != v}
        outcomes.append(RungOutcome(step.rung, result, seconds, learnt))
        listener().ended(service, outcomes[-1])
    return Climb(service, tuple(outcomes), failure, tuple(warnings), notes.evidence)


async def _run(service: Service, step: Step, notes: Notes) -> Failure | None:
    try:
        async with asyncio.timeout(step.limit):
            await step.run(notes)
    except DependencyError as error:
        return Failure(error.reason, error.rung or step.rung, {**notes.evidence, **error.evidence})
    except TimeoutError:
        # Its text is empty and it is an OSError since 3.11: the stage is all that is known, and enough.
        return Failure(step.on_timeout, step.rung, {**notes.evidence, "limit": f"{step.limit:g}"})
    return None


def join(climbs: Sequence[Climb]) -> Climb:
    """What one resource sees of one service: the climbs in order, the first failure wins.

    Outcomes of the same rung (several topics) become one: the worst result, the longest time.
    After a failure only skipped rungs remain, so a later climb that did pass is shown as skipped.
    """
    order = list(Rung)
    worst = {Result.PASSED: 0, Result.WARNED: 1, Result.SKIPPED: 2, Result.FAILED: 3}
    failure = next((c.failure for c in climbs if c.failure), None)
    merged: dict[Rung, RungOutcome] = {}
    for outcome in (o for c in climbs for o in c.outcomes):
        seen = merged.get(outcome.rung)
        if seen is None:
            merged[outcome.rung] = outcome
        elif worst[outcome.result] > worst[seen.result]:
            merged[outcome.rung] = replace(outcome, evidence={**seen.evidence, **outcome.evidence})
        else:
            seconds = max((s for s in (seen.seconds, outcome.seconds) if s is not None), default=None)
            merged[outcome.rung] = replace(seen, seconds=seconds, evidence={**outcome.evidence, **seen.evidence})
    outcomes = [merged[r] for r in order if r in merged]
    if failure:
        at = order.index(failure.rung)
        outcomes = [o if order.index(o.rung) <= at else RungOutcome(o.rung, Result.SKIPPED) for o in outcomes]
        outcomes = [replace(o, result=Result.FAILED) if o.rung == failure.rung else o for o in outcomes]
    return Climb(
        climbs[0].service,
        tuple(outcomes),
        failure,
        tuple(
            {
                (w.reason, w.evidence.get("broker"), w.evidence.get("topic")): w for c in climbs for w in c.warnings
            }.values()
        ),
        {k: v for c in climbs for k, v in c.evidence.items()},
    )


_SLOW = {
    Rung.DNS: Reason.RESOLVER_UNAVAILABLE,
    Rung.TCP: Reason.CONNECTION_TIMEOUT,
    Rung.TLS: Reason.CONNECTION_TIMEOUT,
}
"""What too slow an answer is on a rung; beyond TLS the server has been reached: `RequestTimeout`."""


def limited(climb: Climb, timeout: float) -> Climb:
    """The same climb as seen by an asker with a smaller limit: a rung slower than ``timeout`` seconds failed.

    Not the shared identity rung: it fails only when no unexpired credentials can be had, and has a limit of its own.
    """
    order = list(Rung)
    for outcome in climb.outcomes:
        if outcome.rung is Rung.IDENTITY:
            continue
        if outcome.result in (Result.PASSED, Result.WARNED) and (outcome.seconds or 0.0) > timeout:
            failure = Failure(
                _SLOW.get(outcome.rung, Reason.REQUEST_TIMEOUT),
                outcome.rung,
                {**climb.evidence, "limit": f"{timeout:g}"},
            )
            at = order.index(outcome.rung)
            outcomes = tuple(
                replace(o, result=Result.FAILED) if o.rung == outcome.rung
                else o if order.index(o.rung) < at
                else RungOutcome(o.rung, Result.SKIPPED)
                for o in climb.outcomes
            )  # fmt: skip
            return replace(climb, outcomes=outcomes, failure=failure)
    return climb
