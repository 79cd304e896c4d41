"""One check told to a person or a program: a frozen `Report`, and one module a format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.diagnosis.ladder import Climb, Failure
from connectivity_operator.reasons import Service

Describe = Callable[[Service, Failure], Explanation]


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One climbed ladder with its words; ``failure`` is None when it passed."""

    climb: Climb
    failure: Explanation | None
    warnings: tuple[Explanation, ...]

    @property
    def service(self) -> Service:
        return self.climb.service


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one ``check`` found."""

    version: str
    started: datetime
    seconds: float
    services: tuple[ServiceReport, ...]

    @property
    def passed(self) -> bool:
        """Every climbed rung passed or warned."""
        return all(s.failure is None for s in self.services)

    @property
    def identity(self) -> tuple[str, str] | None:
        """(caller's ARN, how the credentials were had), when a ladder got so far."""
        for service in self.services:
            if arn := service.climb.evidence.get("caller_arn"):
                return arn, service.climb.evidence.get("method", "")
        return None


def report(climbs: Sequence[Climb], describe: Describe, *, version: str, started: datetime, seconds: float) -> Report:
    """Put climbs into words."""
    return Report(version, started, seconds, tuple(_service(climb, describe) for climb in climbs))


def _service(climb: Climb, describe: Describe) -> ServiceReport:
    return ServiceReport(
        climb,
        describe(climb.service, climb.failure) if climb.failure else None,
        tuple(describe(climb.service, warning) for warning in climb.warnings),
    )
