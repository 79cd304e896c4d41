"""Hand-made reports: what a check can find, without climbing anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.diagnosis.ladder import Climb, Failure, RungOutcome
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.reports import Options, Report, report

ROLE = "arn:aws:iam::111122223333:role/connectivity-test"
TOPIC_ARN = "arn:aws:kafka:eu-west-2:111122223333:topic/demo/0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2/orders"
CALLER = {
    "principal": ROLE,
    "caller_arn": "arn:aws:sts::111122223333:assumed-role/connectivity-test/connectivity-operator",
    "method": "WebIdentity",
}
STARTED = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
OPTIONS = Options(topics=("orders", "payments"), index="documents", model="text-embedding-3-small")


def passed(service: Service, *, until: Rung = Rung.OPERATION) -> Climb:
    """A ladder that was climbed without trouble up to and with ``until``."""
    rungs = [rung for rung in Rung if rung is not Rung.IDENTITY or service is not Service.OPENAI]
    outcomes = tuple(
        RungOutcome(rung, Result.PASSED, 0.01, CALLER if rung is Rung.IDENTITY else {})
        for rung in rungs[: rungs.index(until) + 1]
    )
    return Climb(service, outcomes, evidence={} if service is Service.OPENAI else CALLER)


def failed(service: Service, reason: Reason, rung: Rung, evidence: Mapping[str, str] | None = None) -> Climb:
    """A ladder that fails at ``rung``, the rest skipped."""
    order = list(Rung)
    whole = passed(service)
    outcomes = tuple(
        o if order.index(o.rung) < order.index(rung)
        else RungOutcome(rung, Result.FAILED, 0.02) if o.rung is rung
        else RungOutcome(o.rung, Result.SKIPPED)
        for o in whole.outcomes
    )  # fmt: skip
    known = {**CALLER, **(evidence or {})} if order.index(rung) > order.index(Rung.IDENTITY) else dict(evidence or {})
    return Climb(service, outcomes, Failure(reason, rung, known), evidence=known)


def warned(service: Service, reason: Reason, rung: Rung, evidence: Mapping[str, str] | None = None) -> Climb:
    """A ladder that passes with a warning at ``rung``."""
    whole = passed(service)
    outcomes = tuple(
        RungOutcome(rung, Result.WARNED, o.seconds, o.evidence) if o.rung is rung else o for o in whole.outcomes
    )
    return Climb(service, outcomes, None, (Failure(reason, rung, evidence or {}),), whole.evidence)


def made(*climbs: Climb, options: Options = OPTIONS, interrupted: Collection[Service] | None = None) -> Report:
    """The report of these climbs."""
    return report(
        climbs, describe, version="1.2.3", started=STARTED, seconds=0.5, options=options, interrupted=interrupted
    )


READ_DATA_DENIED = failed(
    Service.KAFKA, Reason.READ_DATA_DENIED, Rung.AUTHORIZATION, {"topic": "orders", "topic_arn": TOPIC_ARN}
)
IAM_NOT_GRANTED = failed(Service.POSTGRESQL, Reason.IAM_NOT_GRANTED, Rung.AUTHENTICATION, {"user": "app"})
INDEX_ABSENT = warned(Service.OPENSEARCH, Reason.INDEX_ABSENT, Rung.AUTHORIZATION, {"index": "documents"})

REPORTS: Mapping[str, Report] = {
    "all passed": made(*map(passed, (Service.KAFKA, Service.OPENAI, Service.OPENSEARCH, Service.POSTGRESQL))),
    "failures and a warning": made(READ_DATA_DENIED, passed(Service.OPENAI), INDEX_ABSENT, IAM_NOT_GRANTED),
    "nothing asked": made(passed(Service.KAFKA, until=Rung.AUTHENTICATION), options=Options()),
    "interrupted": made(
        Climb(
            Service.KAFKA,
            (RungOutcome(Rung.CONFIGURATION, Result.PASSED, 0.0), RungOutcome(Rung.IDENTITY, Result.SKIPPED)),
        ),
        passed(Service.OPENAI),
        interrupted=[Service.KAFKA],
    ),
    "could not begin": Report("1.2.3", STARTED, 0.0, error="the environment is not usable:\n  POSTGRES_PORT: is wrong"),
}
"""One of each way out, by name."""
