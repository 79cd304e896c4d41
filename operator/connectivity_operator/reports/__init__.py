"""One check told to a person or a program: a frozen `Report`, and one module a format."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from connectivity_operator.diagnosis.catalogue import Explanation, owner
from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome
from connectivity_operator.reasons import Result, Rung, Service

Describe = Callable[[Service, Failure], Explanation]

CONNECTED = "Connected"
INTERRUPTED = "Interrupted"
"""Stand where else a reason of the catalogue stands."""

_ASKED_BY = {Service.KAFKA: "--topic", Service.OPENAI: "--model", Service.OPENSEARCH: "--index"}
"""The option without which a ladder ends at the login."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for, the resource's fields and defaults filled in; holds no secret, no option takes one."""

    topics: tuple[str, ...] = ()
    index: str | None = None
    model: str | None = None
    dimensions: int | None = None
    file: str | None = None
    """Where the resource was read from."""
    create: bool = False
    only: tuple[str, ...] = ()

    def command(self) -> str:
        """The command line that asks the same without the file, to be pasted."""
        words = ["connectivity-operator", "check"]
        for topic in self.topics:
            words += ["--topic", topic]
        for name in ("index", "model", "dimensions"):
            if (value := getattr(self, name)) is not None:
                words += [f"--{name}", str(value)]
        words += ["--create"] if self.create else []
        words += ["--only", ",".join(self.only)] if self.only else []
        return clean(shlex.join(words))


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One climbed ladder with its words; ``failure`` is None when it passed or was interrupted before its end."""

    climb: Climb
    failure: Explanation | None
    warnings: tuple[Explanation, ...]
    interrupted: bool = False
    note: str | None = None
    """Why a ladder without a failure ends early: the first skipped rung's words."""

    @property
    def service(self) -> Service:
        return self.climb.service

    @property
    def passed(self) -> bool:
        """Every rung that was to be climbed passed or warned."""
        return self.failure is None and not self.interrupted

    @property
    def reason(self) -> str:
        return self.failure.reason if self.failure else INTERRUPTED if self.interrupted else CONNECTED

    @property
    def seconds(self) -> float:
        """The way up: rungs are climbed one after another."""
        return sum(outcome.seconds or 0.0 for outcome in self.climb.outcomes)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one ``check`` found; with ``error``, why it could not begin."""

    version: str
    started: datetime
    seconds: float
    services: tuple[ServiceReport, ...] = ()
    options: Options = Options()
    error: str | None = None
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """It began, it ended, and every service passed."""
        return self.error is None and not self.interrupted and all(s.passed for s in self.services)

    @property
    def failed(self) -> tuple[ServiceReport, ...]:
        return tuple(s for s in self.services if s.failure)

    @property
    def identity(self) -> tuple[str, str] | None:
        """(caller's ARN, how the credentials were had), when a ladder got so far."""
        for service in self.services:
            if arn := service.climb.evidence.get("caller_arn"):
                return clean(arn), clean(service.climb.evidence.get("method", ""))
        return None


def report(
    climbs: Sequence[Climb],
    describe: Describe,
    *,
    version: str,
    started: datetime,
    seconds: float,
    options: Options = Options(),
    interrupted: Collection[Service] | None = None,
) -> Report:
    """Put climbs into words. ``interrupted``: whose climbs did not get to their end; None: nobody interrupted."""
    unfinished = interrupted or ()
    services = tuple(_service(climb, describe, interrupted=climb.service in unfinished) for climb in climbs)
    return Report(version, started, seconds, services, options, interrupted=interrupted is not None)


def explain_commands(report: Report) -> tuple[str, ...]:
    """What prints the runbook of each failure, where there is no link to it; of the shared identity once."""
    told = [(service.service, service.failure) for service in report.failed]
    return tuple(
        dict.fromkeys(
            f"connectivity-operator explain {owner(service, failure.rung, failure.reason)} {failure.reason}"
            for service, failure in told
            if failure and not failure.runbook
        )
    )


def clean(text: str) -> str:
    """``text`` without what could steer a terminal, reverse its direction or break XML; a server may have sent it."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


_UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def _service(climb: Climb, describe: Describe, *, interrupted: bool) -> ServiceReport:
    outcomes = tuple(replace(o, evidence={k: clean(v) for k, v in o.evidence.items()}) for o in climb.outcomes)
    climbed = {outcome.rung for outcome in outcomes}
    unasked = [rung for rung in (Rung.AUTHORIZATION, Rung.OPERATION) if rung not in climbed]
    note = None
    if Rung.OPERATION in unasked:
        outcomes += tuple(RungOutcome(rung, Result.SKIPPED) for rung in unasked)
        note = f"not climbed: give {_ASKED_BY[climb.service]}" if climb.service in _ASKED_BY else None
    failure = climb.failure
    return ServiceReport(
        replace(climb, outcomes=outcomes),
        _cleaned(describe(climb.service, failure)) if failure else None,
        tuple(_cleaned(describe(climb.service, warning)) for warning in climb.warnings),
        interrupted,
        None if failure else "interrupted" if interrupted else note,
    )


def _cleaned(told: Explanation) -> Explanation:
    return replace(told, message=clean(told.message), remedy=clean(told.remedy))
