"""From what is known now, and the status before, to the next status and its transitions. Pure.

The rules are those of the condition table in the README: what each condition's True, Unknown and False mean,
which reason `Ready` takes, and that a restart changes nothing by itself (a verdict of the same generation
stands until the first new one).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectivity_operator.reasons import DEPENDENCIES, Reason, Rung, Service
from connectivity_operator.status import (
    FLOWING,
    HEARTBEAT,
    NAMES,
    READY,
    STALLED,
    Condition,
    PipelineStatus,
    ServiceStatus,
    Status,
    moment,
    timestamp,
)
from connectivity_operator.transitions import Transition, history, transitions

CONNECTED = "Connected"

RESTART = 60.0
"""Seconds beyond the validity that a restart may take: the last finished message is written every half minute."""
RETRYING_AFTER = 15.0
"""Seconds that a step may fail at least before the pipeline counts as failed, however short the interval is: what
passes sooner is no verdict of a dependency either (`diagnosis.judge`)."""
VALIDITY = 3
"""Intervals for which a verdict and a finished message count."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on show for one service, in words."""

    reason: str
    """``Connected`` or a code of the catalogue."""
    generation: int
    rung: str | None = None
    message: str = ""
    remedy: str | None = None
    runbook: str | None = None
    failures: int = 0
    rungs: tuple[tuple[str, str], ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """What the pipeline shows at this moment; all times are seconds ago, None when it never happened."""

    pipeline: PipelineStatus = PipelineStatus()
    starting: bool = True
    """Not every partition has a position yet."""
    trouble: tuple[Service, Reason, float] | None = None
    """The oldest present obstacle: service, reason, for how long."""
    finished_ago: float | None = None
    """Since the last message that was finished (logged, skipped or rejected)."""
    accepted_ago: float | None = None
    """Since the last message that was finished and not rejected."""
    lagging_for: float | None = None
    """How long lag has been above zero without a finished message."""
    silent: tuple[str, float] | None = None
    """The partition that has been silent longest although messages wait there, and for how long."""
    throttled_for: float | None = None
    """How long the policy's rate has been holding messages back."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that decides the next status."""

    now: datetime
    generation: int
    operator: str
    interval: int
    judged: Mapping[Service, Judged] = field(default_factory=dict)
    """Only what was judged in this process for this generation; the rest stands as it was."""
    flow: Flow = Flow()
    not_allowed: str | None = None
    suspended: bool = False
    model: tuple[str, int | None] | None = None
    identity: tuple[str, str] | None = None
    checked: datetime | None = None
    request_handled: str | None = None
    notices: tuple[tuple[Service, str, str], ...] = ()
    """(service, reason, message) for history and events only, such as `OffsetsExpired`."""


def compose(before: Status, facts: Facts) -> tuple[Status, list[Transition]]:
    """The status after ``facts``, and what changed for people to see."""
    services = {s: _service(before, facts, s) for s in DEPENDENCIES}
    connected = {s: _connected(before, facts, s) for s in DEPENDENCIES}
    flowing = _stamp(before, facts, _flowing(before, facts))
    ready = _stamp(before, facts, _ready(facts, connected, services, flowing))
    conditions = {c.type: c for c in (ready, *connected.values(), flowing)}
    if facts.not_allowed:
        stalled = Condition(STALLED, "True", Reason.NOT_ALLOWED, facts.not_allowed, facts.generation)
        conditions[STALLED] = _stamp(before, facts, stalled)
    news = transitions(before, conditions, facts.notices)
    checked = timestamp(facts.checked) if facts.checked else before.last_check_time
    return (
        Status(
            observed_generation=ready.observed_generation,
            operator=facts.operator,
            last_check_time=checked,
            valid_until=_valid_until(checked, facts),
            last_request_handled=before.last_request_handled
            if facts.request_handled is None
            else facts.request_handled,
            model=facts.model or before.model,
            identity=facts.identity or before.identity,
            conditions=conditions,
            services={s: status for s, status in services.items() if status},
            pipeline=facts.flow.pipeline,
            history=history(before, news, facts.now),
        ),
        news,
    )


def _valid_until(checked: str | None, facts: Facts) -> str:
    """Always later than the next write of an operator that lives: another one takes a resource over from then on.

    Where nothing is checked, because it is suspended or refused or new, that is all that it says.
    """
    idle = facts.suspended or facts.not_allowed
    at = None if idle else moment(checked)
    return timestamp((at or facts.now) + timedelta(seconds=VALIDITY * max(facts.interval, HEARTBEAT)))


def _service(before: Status, facts: Facts, service: Service) -> ServiceStatus | None:
    judged, old = facts.judged.get(service), before.services.get(service)
    if judged is None:
        return old
    same = old is not None and old.reason == judged.reason
    return ServiceStatus(
        name=service,
        reason=judged.reason,
        rung=judged.rung,
        message=judged.message or None,
        remedy=judged.remedy,
        runbook=judged.runbook,
        consecutive_failures=max(judged.failures, old.consecutive_failures) if same and old else judged.failures,
        since=old.since if same and old and old.since else timestamp(facts.now),
        rungs=judged.rungs,
        warnings=judged.warnings,
    )


def _connected(before: Status, facts: Facts, service: Service) -> Condition:
    kind = f"{NAMES[service]}Connected"
    judged, old = facts.judged.get(service), before.conditions.get(kind)
    if judged is not None:
        ok = judged.reason == CONNECTED
        message = judged.message or ("The last check passed every rung." if ok else "")
        return _stamp(
            before, facts, Condition(kind, "True" if ok else "False", judged.reason, message, judged.generation)
        )
    if old is not None and old.reason not in ("Pending", "Suspended"):
        return old
    if facts.suspended:
        return _stamp(before, facts, Condition(kind, "Unknown", "Suspended", "Suspended before the first check.", 0))
    return _stamp(before, facts, Condition(kind, "Unknown", "Pending", "Not checked yet.", 0))


def _flowing(before: Status, facts: Facts) -> Condition:
    """`PipelineFlowing` by the table; the first rule that holds decides."""
    flow, old = facts.flow, before.conditions.get(FLOWING)
    if facts.suspended or facts.not_allowed:
        return _halted(old, facts)
    if told := _obstacle(facts) or _finishing(facts):
        return told
    stands = _standing(old, facts)
    if flow.starting:
        return stands or _flow("Unknown", "Starting", "Positions in the topics are not fixed yet.", facts)
    if flow.pipeline.lag == 0:
        return _flow("Unknown", "NoMessages", f"{_latest(flow)}; nothing is waiting.", facts)
    if stands and stands.reason != "NoMessages":
        return stands
    return _flow("Unknown", "Starting", "The first messages are under way.", facts)


def _obstacle(facts: Facts) -> Condition | None:
    """Why messages do not go all the way."""
    flow, interval = facts.flow, facts.interval
    if flow.trouble and flow.trouble[2] > max(interval, RETRYING_AFTER):
        service, reason, _ = flow.trouble
        return _flow("False", "Retrying", f"Waiting for {service}: {reason}. Nothing is skipped.", facts)
    if flow.silent and flow.silent[1] > 2 * interval:
        text = f"Messages wait in {flow.silent[0]}, and Kafka has handed out none of them for two intervals."
        return _flow("False", "NotProgressing", text, facts)
    if flow.lagging_for is not None and flow.lagging_for > 2 * interval:
        text = "Messages are waiting and none has been finished for two intervals."
        return _flow("False", "NotProgressing", text, facts)
    return None


def _finishing(facts: Facts) -> Condition | None:
    """What is shown while messages are finished."""
    flow, interval = facts.flow, facts.interval
    throttled = flow.throttled_for is not None and flow.throttled_for > interval
    if flow.finished_ago is not None and (throttled or flow.finished_ago <= VALIDITY * interval):
        if flow.accepted_ago is None or flow.accepted_ago > max(VALIDITY * interval, flow.finished_ago):
            last = flow.pipeline.last_rejected or {}
            text = f"Every recent message was rejected ({last.get('reason', 'see demo_log')})."
            return _flow("False", "MessagesRejected", text, facts)
        if throttled:
            text = "The policy's maxMessagesPerMinute holds messages back: they wait in Kafka, nothing is skipped."
            return _flow("True", Reason.THROTTLED, text, facts)
        return _flow("True", "Flowing", "Messages go all the way.", facts)
    return None


def _standing(old: Condition | None, facts: Facts) -> Condition | None:
    """The verdict of this generation that a restart has found, until the pipeline can give a new one."""
    if old is None or old.observed_generation != facts.generation or old.reason in ("Pending", "Starting", "Suspended"):
        return None
    ago = facts.flow.finished_ago
    expired = ago is None or ago > VALIDITY * facts.interval + RESTART
    return None if old.status == "True" and expired else old


def _halted(old: Condition | None, facts: Facts) -> Condition:
    """Nothing runs: the verdict stands, if there ever was one."""
    if old is not None and old.reason != "Pending":
        return old
    return _flow("Unknown", "Suspended" if facts.suspended else "Pending", "Nothing has been consumed yet.", facts)


def _latest(flow: Flow) -> str:
    """How it was before it fell quiet. The time is that of a message, so the text stands still until the next one."""
    completed = (flow.pipeline.last_message or {}).get("completedTime")
    return f"The last message came through at {completed}" if completed else "No message has come through yet"


def _flow(status: str, reason: str, message: str, facts: Facts) -> Condition:
    return Condition(FLOWING, status, reason, message, facts.generation)


def _ready(
    facts: Facts,
    connected: Mapping[Service, Condition],
    services: Mapping[Service, ServiceStatus | None],
    flowing: Condition,
) -> Condition:
    generation = min(c.observed_generation for c in connected.values())
    if facts.not_allowed:
        return Condition(READY, "False", Reason.NOT_ALLOWED, facts.not_allowed, facts.generation)
    if facts.suspended:
        text = "Suspended: nothing is consumed or checked; the verdicts below are the last ones."
        return Condition(READY, "False", "Suspended", text, facts.generation)
    failed = [s for s in DEPENDENCIES if connected[s].status == "False"]
    if failed:
        by_identity = [s for s in failed if (st := services[s]) and st.rung == Rung.IDENTITY]
        reason = "IdentityFailed" if by_identity else f"{NAMES[failed[0]]}Failed"
        # All the names first: a long message of one must not push out the others.
        names = "; ".join(f"{s}: {connected[s].reason}" for s in failed)
        return Condition(READY, "False", reason, f"{names}. {connected[failed[0]].message}", generation)
    if any(c.status == "Unknown" for c in connected.values()):
        return Condition(READY, "Unknown", "Pending", "The first check is not finished yet.", generation)
    if flowing.status == "False":
        return Condition(READY, "False", "PipelineFailed", f"pipeline: {flowing.reason}. {flowing.message}", generation)
    if flowing.status == "True":
        return Condition(READY, "True", "EndToEndVerified", "Every dependency works and messages flow.", generation)
    text = f"Every dependency works at the operation level. {_latest(facts.flow)}."
    return Condition(READY, "True", "AllConnected", text, generation)


def _stamp(before: Status, facts: Facts, condition: Condition) -> Condition:
    """`lastTransitionTime` changes with the status only, as Kubernetes' conventions have it."""
    old = before.conditions.get(condition.type)
    if old is not None and old.status == condition.status and old.last_transition_time:
        return replace(condition, last_transition_time=old.last_transition_time)
    return replace(condition, last_transition_time=timestamp(facts.now))
