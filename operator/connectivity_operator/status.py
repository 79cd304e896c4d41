"""The status as typed values, read from and written to the object. Pure: `conditions` decides, this only holds.

Everything that must survive a restart of the operator is here: verdicts, transition times, counters, history
and which topics are followed. Counters are best effort since creation; exact figures are in ``demo_log``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from connectivity_operator.reasons import Service

NAMES = {
    Service.KAFKA: "Kafka",
    Service.OPENAI: "OpenAI",
    Service.OPENSEARCH: "OpenSearch",
    Service.POSTGRESQL: "PostgreSQL",
}
"""Of the services, as in the condition `<name>Connected`."""
READY = "Ready"
FLOWING = "PipelineFlowing"
STALLED = "Stalled"

HEARTBEAT = 30.0
"""Seconds after which a status is written again at the earliest if nothing but times and counters has changed."""

MESSAGE_LIMIT = 512
HISTORY_LIMIT = 20
REMEDY_LIMIT = 4096
TOPICS_LIMIT = 1024
"""The schema's: one text beyond its limit, and the API server refuses the whole status."""


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as the API server writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """Reverse of `timestamp`; None for absent or unreadable text."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
    except ValueError:
        return None


def clip(text: str) -> str:
    """A text that fits the schema's limit."""
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Condition:
    """One entry of ``status.conditions``. ``observed_generation`` is the generation that was judged."""

    type: str
    status: str = "Unknown"
    reason: str = "Pending"
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""

    def body(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": clip(self.message),
            "observedGeneration": self.observed_generation,
            "lastTransitionTime": self.last_transition_time,
        }


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One entry of ``status.services``: the verdict with its rung, remedy and the ladder behind it."""

    name: str
    reason: str
    rung: str | None = None
    message: str | None = None
    remedy: str | None = None
    runbook: str | None = None
    consecutive_failures: int = 0
    since: str = ""
    rungs: tuple[tuple[str, str], ...] = ()
    """(rung, result)."""
    warnings: tuple[tuple[str, str], ...] = ()
    """(reason, message)."""

    def body(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "reason": self.reason,
            "rung": self.rung,
            "message": clip(self.message) if self.message else None,
            "remedy": self.remedy[:REMEDY_LIMIT] if self.remedy else None,
            "runbook": self.runbook,
            "consecutiveFailures": self.consecutive_failures,
            "since": self.since,
            "rungs": [{"name": name, "result": result} for name, result in self.rungs],
            "warnings": [{"reason": reason, "message": clip(message)} for reason, message in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class Counters:
    """Messages since the resource was created, by what became of them."""

    consumed: int = 0
    embedded: int = 0
    indexed: int = 0
    logged: int = 0
    skipped: int = 0
    rejected: int = 0

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Counters:
        return cls(**{f.name: int(body.get(f.name) or 0) for f in fields(cls)})

    def body(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """``status.pipeline``. ``topics`` are those whose positions have been fixed: followed from then on."""

    counters: Counters = Counters()
    lag: int = 0
    topics: frozenset[str] = frozenset()
    last_message: Mapping[str, Any] | None = None
    last_rejected: Mapping[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        return {
            **self.counters.body(),
            "lag": self.lag,
            "topics": sorted(self.topics)[:TOPICS_LIMIT],
            "lastMessage": dict(self.last_message) if self.last_message else None,
            "lastRejected": dict(self.last_rejected) if self.last_rejected else None,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status, immutable; `body` is what is written."""

    observed_generation: int = 0
    operator: str = ""
    last_check_time: str | None = None
    valid_until: str | None = None
    last_request_handled: str | None = None
    model: tuple[str, int | None] | None = None
    """(name, dimensions)."""
    identity: tuple[str, str] | None = None
    """(caller's ARN, method)."""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    services: Mapping[str, ServiceStatus] = field(default_factory=dict)
    pipeline: PipelineStatus = PipelineStatus()
    history: tuple[Mapping[str, str], ...] = ()

    def body(self) -> dict[str, Any]:
        """The whole status, every key of it: what is None is cleared."""
        return {
            "observedGeneration": self.observed_generation,
            "operator": self.operator,
            "lastCheckTime": self.last_check_time,
            "validUntil": self.valid_until,
            "lastRequestHandled": self.last_request_handled,
            "model": {"name": self.model[0], "dimensions": self.model[1]} if self.model else None,
            "identity": {"arn": self.identity[0], "method": self.identity[1]} if self.identity else None,
            "conditions": [c.body() for c in self.conditions.values()],
            "services": [s.body() for s in self.services.values()],
            "pipeline": self.pipeline.body(),
            "history": [dict(entry) for entry in self.history],
        }


def read(body: Mapping[str, Any]) -> Status:
    """Read the status of an object; whatever is absent or strange is taken as not there."""
    model = body.get("model") or {}
    identity = body.get("identity") or {}
    return Status(
        observed_generation=int(body.get("observedGeneration") or 0),
        operator=body.get("operator") or "",
        last_check_time=body.get("lastCheckTime"),
        valid_until=body.get("validUntil"),
        last_request_handled=body.get("lastRequestHandled"),
        model=(model["name"], model.get("dimensions")) if model.get("name") else None,
        identity=(identity["arn"], identity.get("method", "")) if identity.get("arn") else None,
        conditions={c["type"]: _condition(c) for c in body.get("conditions") or []},
        services={s["name"]: _service(s) for s in body.get("services") or []},
        pipeline=_pipeline(body.get("pipeline") or {}),
        history=tuple(body.get("history") or ()),
    )


def _condition(body: Mapping[str, Any]) -> Condition:
    return Condition(
        type=body["type"],
        status=body.get("status", "Unknown"),
        reason=body.get("reason", "Pending"),
        message=body.get("message", ""),
        observed_generation=int(body.get("observedGeneration") or 0),
        last_transition_time=body.get("lastTransitionTime", ""),
    )


def _service(body: Mapping[str, Any]) -> ServiceStatus:
    return ServiceStatus(
        name=body["name"],
        reason=body.get("reason", ""),
        rung=body.get("rung"),
        message=body.get("message"),
        remedy=body.get("remedy"),
        runbook=body.get("runbook"),
        consecutive_failures=int(body.get("consecutiveFailures") or 0),
        since=body.get("since") or "",
        rungs=tuple((r["name"], r["result"]) for r in body.get("rungs") or []),
        warnings=tuple((w["reason"], w.get("message", "")) for w in body.get("warnings") or []),
    )


def _pipeline(body: Mapping[str, Any]) -> PipelineStatus:
    return PipelineStatus(
        counters=Counters.read(body),
        lag=int(body.get("lag") or 0),
        topics=frozenset(body.get("topics") or ()),
        last_message=body.get("lastMessage"),
        last_rejected=body.get("lastRejected"),
    )


def other_operator(body: Mapping[str, Any], ours: str) -> str | None:
    """Who but us (``namespace/name``) looks after an object: whoever signed a status that has not expired."""
    now = read(body.get("status") or {})
    until = moment(now.valid_until)
    if now.operator and now.operator != ours and until and until > datetime.now(UTC):
        return now.operator
    return None
