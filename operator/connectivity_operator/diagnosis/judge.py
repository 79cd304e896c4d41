"""When a verdict flips: pure rules, per resource and service.

A refusal (authentication, authorization, absent, malformed, quota) flips after one confirming try a second
later. A passing fault (network, time-out, 5xx, failover) flips when it still fails 15 s after the first failure
with at least three tries between; until then it is a warning. The first success flips back at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from connectivity_operator.diagnosis.ladder import Climb, Failure
from connectivity_operator.reasons import Reason

CONFIRM_AFTER = 1.0
TRANSIENT_AFTER = 15.0
TRANSIENT_TRIES = 3
RETRY_FIRST = 5.0
"""Seconds until a failed service is tried again; doubles up to the resource's interval."""
SLACK = 0.3
"""Seconds beyond `TRANSIENT_AFTER`: an asker's pauses are a little shorter than their delay."""


class Kind(StrEnum):
    """The flip class of a reason, fixed in the catalogue."""

    REFUSED = "refused"
    TRANSIENT = "transient"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is shown of a service, and what is brewing."""

    shown: Climb | None = None
    """The climb behind the verdict on show; None: never judged in this process."""
    failing_since: float | None = None
    """Monotonic time of the first failure of the present series."""
    last: Climb | None = None
    """The newest climb, on show or not."""
    tries: int = 0
    """Failed tries in the present series."""
    last_reason: Reason | None = None
    same_reason: int = 0
    """How many tries in a row gave ``last_reason``."""
    delay: float = 0.0
    """Seconds until the next try."""

    @property
    def brewing(self) -> Failure | None:
        """A failure that has been seen and does not show yet: a warning until then."""
        shown = self.shown is not None and not self.shown.passed
        return self.last.failure if self.last and not shown else None


def judge(standing: Standing, climb: Climb, kind: Kind | None, *, now: float, interval: float) -> Standing:
    """The standing after one more climb. ``kind`` is that of the climb's failure, None when it passed."""
    if climb.failure is None:
        return Standing(shown=climb, last=climb, delay=interval)
    reason = climb.failure.reason
    same = standing.same_reason + 1 if reason is standing.last_reason else 1
    since = now if standing.failing_since is None else standing.failing_since
    tries = standing.tries + 1
    lasting = tries >= TRANSIENT_TRIES and now - since >= TRANSIENT_AFTER
    # What fails for so long has failed, even if no two answers in a row were the same.
    confirmed = lasting or (kind is Kind.REFUSED and same > 1)
    after = replace(standing, last=climb, failing_since=since, tries=tries, last_reason=reason, same_reason=same)
    already = standing.shown is not None and standing.shown.failure is not None
    if not confirmed:
        return replace(after, delay=CONFIRM_AFTER if kind is Kind.REFUSED else _until_lasting(now - since, interval))
    grown = min(max(standing.delay, RETRY_FIRST / 2) * 2, interval) if already else RETRY_FIRST
    return replace(after, shown=climb, delay=min(grown, interval))


def _until_lasting(elapsed: float, interval: float) -> float:
    """The delay of a try that may still be a passing fault: the deciding one comes no later than it must."""
    left = TRANSIENT_AFTER - elapsed
    return min(RETRY_FIRST, interval, left + SLACK if left > 0 else RETRY_FIRST)
