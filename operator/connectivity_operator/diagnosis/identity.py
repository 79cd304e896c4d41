"""The identity rung: have unexpired AWS credentials, know whose they are, and measure the clock against AWS's.

The three AWS services share one climb of it; each copies its result by `step`. It fails only when there are no
credentials to go on with: a refresh or a question to STS that fails while older ones are good is a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from connectivity_operator.diagnosis.ladder import Climb, Notes, Step, climb
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Caller, Identity
from connectivity_operator.reasons import Reason, Rung, Service

LIMIT = 9.0
"""Seconds. One attempt at STS may take 3 to connect and 5 to answer."""

ALLOWED_SKEW = 300.0
"""Seconds; AWS refuses signatures that are older or newer than five minutes by its own clock."""

GLOBAL_STS = "sts.amazonaws.com"

SHARED_EVIDENCE = ("principal", "caller_arn", "account", "partition", "method")
"""What a service's own texts need to know of the caller."""

_METHOD_WARNINGS = {"Static": Reason.STATIC_CREDENTIALS_IN_USE, "NodeRole": Reason.NODE_ROLE_IN_USE}

_PASSING = frozenset({Reason.STS_UNREACHABLE, Reason.SERVICE_UNAVAILABLE, Reason.STS_ACCESS_DENIED})
"""Failures of GetCallerIdentity that say nothing about the credentials; any other one is a refusal of them."""


class IdentityCheck:
    """Climbs the shared rung. ``known`` are facts about us from outside AWS: ``namespace``, ``service_account``."""

    def __init__(self, identity: Identity, *, known: Mapping[str, str] | None = None, limit: float = LIMIT) -> None:
        self._identity = identity
        self._known = dict(known or {})
        self._limit = limit
        self._caller: Caller | None = None

    async def climb(self) -> Climb:
        """One rung, afresh; never raises but on cancellation."""
        step = Step(Rung.IDENTITY, self._run, self._limit + 1, Reason.STS_UNREACHABLE)
        return await climb(Service.IDENTITY, [step], known={**self._known, "host": self._identity.endpoint()})

    async def _run(self, notes: Notes) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._check(notes)
        except TimeoutError:
            evidence = {"detail": "it does not answer", "limit": f"{self._limit:g}"}
            raise DependencyError(Service.IDENTITY, Reason.STS_UNREACHABLE, evidence=evidence) from None

    async def _check(self, notes: Notes) -> None:
        method = await self._identity.ensure_credentials()
        notes.add(method=method)
        if warning := _METHOD_WARNINGS.get(method):
            notes.warn(warning)
        if failure := self._identity.refresh_failure():
            notes.warn(Reason.CREDENTIAL_REFRESH_FAILING, **{**failure.evidence, "cause": str(failure.reason)})
        caller = await self._who(notes)
        if caller is None:
            return
        notes.add(**facts(caller))
        if caller.endpoint == GLOBAL_STS:
            notes.warn(Reason.GLOBAL_STS_ENDPOINT)
        if abs(caller.clock_skew) > ALLOWED_SKEW:
            raise DependencyError(Service.IDENTITY, Reason.CLOCK_SKEW, evidence={"skew": f"{caller.clock_skew:+.0f}"})

    async def _who(self, notes: Notes) -> Caller | None:
        """The caller that STS names; while STS is out of reach, the one that it named last."""
        try:
            self._caller = await self._identity.caller()
        except DependencyError as failure:
            if failure.reason not in _PASSING:
                raise
            notes.warn(Reason.CREDENTIAL_REFRESH_FAILING, **{**failure.evidence, "cause": str(failure.reason)})
        return self._caller


def facts(caller: Caller) -> dict[str, str]:
    """The caller as evidence: what policies must name, and the parts that other ARNs are built from."""
    parts = caller.arn.split(":")
    partition, account = (parts[1], parts[4]) if len(parts) > 5 else ("aws", "<account>")
    return {"principal": caller.role_arn, "caller_arn": caller.arn, "account": account, "partition": partition}


SHARED_LIMIT = 2 * (LIMIT + 1) + 1
"""Seconds. Whoever asks may have to wait for a climb that began too early for it, and then for its own."""


def step(share: Callable[[], Awaitable[Climb]], *, limit: float = SHARED_LIMIT) -> Step:
    """The identity rung of one service: the result of the shared climb as if it were this service's own."""

    async def run(notes: Notes) -> None:
        shared = await share()
        notes.add(**{name: shared.evidence[name] for name in SHARED_EVIDENCE if name in shared.evidence})
        for warning in shared.warnings:
            notes.warn(warning.reason, **warning.evidence)
        if shared.failure:
            raise DependencyError(Service.IDENTITY, shared.failure.reason, evidence=shared.failure.evidence)

    return Step(Rung.IDENTITY, run, limit, Reason.STS_UNREACHABLE)
