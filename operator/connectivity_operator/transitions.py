"""Which changes of the conditions are worth an Event and a line of history. Pure.

Each is told once, causes before their effect. Sparse traffic is no news: a topic that falls quiet and wakes up
again flips `Flowing` and `NoMessages`, `EndToEndVerified` and `AllConnected`, with every message, and would push the
failures out of the history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectivity_operator.reasons import Service
from connectivity_operator.status import FLOWING, HISTORY_LIMIT, NAMES, READY, STALLED, Condition, Status, timestamp

UNTOLD = frozenset({"Pending", "Starting"})
"""Reasons that only wait for another one."""
QUIET = {"Flowing": "NoMessages", "EndToEndVerified": "AllConnected"}
"""What is proven by messages, and its reason while none come."""
HISTORY_MESSAGE = 200
"""Characters of a message that history keeps; the condition has it whole."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change worth an Event and a line of history."""

    service: str
    reason: str
    message: str
    warning: bool


def transitions(
    before: Status, after: Mapping[str, Condition], notices: Iterable[tuple[Service, str, str]] = ()
) -> list[Transition]:
    """What to tell of the change from ``before`` to the conditions ``after``, in the order in which to tell it.

    ``notices``: (service, reason, message) of what is no condition, such as `OffsetsExpired`.
    """
    found = [Transition(service, reason, message, True) for service, reason, message in notices]
    # Ready sums up the others: it comes last.
    for condition in sorted(after.values(), key=lambda c: c.type == READY):
        if condition.type == STALLED or condition.reason in UNTOLD or not _is_news(before, condition):
            continue
        failed = condition.status == "False"
        text = f"{_subject(condition.type)}: {condition.message}"
        if condition.type == READY:
            # The message repeats the cause; where that has just been told, its name is enough.
            short = condition.reason.endswith("Failed") and any(t.warning for t in found)
            text = f"Not ready: {_failed(after)}." if short else condition.message
        found.append(Transition(_subject(condition.type), condition.reason, text, failed))
    return found


def _failed(conditions: Mapping[str, Condition]) -> str:
    wrong = (c for c in conditions.values() if c.status == "False" and c.type != READY)
    return ", ".join(f"{_subject(c.type)} {c.reason}" for c in wrong)


def history(before: Status, news: list[Transition], now: datetime) -> tuple[Mapping[str, str], ...]:
    """The history with ``news`` on top."""
    new = [
        {"time": timestamp(now), "service": t.service, "reason": t.reason, "message": t.message[:HISTORY_MESSAGE]}
        for t in reversed(news)
    ]
    return (*new, *before.history)[:HISTORY_LIMIT]


def _is_news(before: Status, condition: Condition) -> bool:
    old = before.conditions.get(condition.type)
    if condition.reason not in QUIET and condition.reason not in QUIET.values():
        return old is None or old.reason != condition.reason
    told = _told(before, condition.type)
    if told in QUIET and condition.reason in (told, QUIET[told]):
        # Ebb and flow, unless it is the first verdict on a new generation.
        return old is not None and 0 < old.observed_generation < condition.observed_generation
    return told != condition.reason


def _told(before: Status, condition_type: str) -> str | None:
    """The reason that was told last of a condition: history survives a restart."""
    subject = _subject(condition_type)
    old = before.conditions.get(condition_type)
    shown = old.reason if old and old.reason not in UNTOLD else None
    return next((line["reason"] for line in before.history if line.get("service") == subject), shown)


def _subject(condition_type: str) -> str:
    for service, name in NAMES.items():
        if condition_type == f"{name}Connected":
            return service
    return "pipeline" if condition_type == FLOWING else "resource"
