"""When a verdict flips."""

from __future__ import annotations

from connectivity_operator.diagnosis.judge import Kind, Standing, judge
from connectivity_operator.diagnosis.ladder import Climb, Failure
from connectivity_operator.reasons import Reason, Rung, Service

PASSED = Climb(Service.KAFKA, ())
REFUSED = Climb(Service.KAFKA, (), Failure(Reason.READ_DATA_DENIED, Rung.AUTHORIZATION))
RESET = Climb(Service.KAFKA, (), Failure(Reason.CONNECTION_RESET, Rung.TCP))
TIMEOUT = Climb(Service.KAFKA, (), Failure(Reason.CONNECTION_TIMEOUT, Rung.TCP))


def after(*tries: tuple[float, Climb], interval: float = 60.0) -> Standing:
    standing = Standing()
    for now, climb in tries:
        kind = None if climb.passed else Kind.REFUSED if climb is REFUSED else Kind.TRANSIENT
        standing = judge(standing, climb, kind, now=now, interval=interval)
    return standing


def test_a_refusal_needs_one_confirming_try_a_second_later() -> None:
    """One odd answer during a deployment is not a verdict."""
    first = after((0, PASSED), (60, REFUSED))
    assert first.shown is PASSED
    assert first.brewing is REFUSED.failure
    assert first.delay == 1.0
    assert after((0, PASSED), (60, REFUSED), (61, REFUSED)).shown is REFUSED


def test_a_passing_fault_flips_after_fifteen_seconds_and_three_tries() -> None:
    """A broker's restart is no alarm, an outage is."""
    assert after((0, PASSED), (60, RESET), (65, RESET), (70, RESET)).shown is PASSED
    assert after((0, PASSED), (60, RESET), (76, RESET)).shown is PASSED  # long enough, but two tries only
    assert after((0, PASSED), (60, RESET), (65, RESET), (75, RESET)).shown is RESET


def test_passing_faults_of_different_kinds_are_one_series() -> None:
    """A failing host may reset, then be silent: still the same outage, told by its latest reason."""
    assert after((0, PASSED), (60, RESET), (68, TIMEOUT), (76, RESET)).shown is RESET


def test_the_first_success_flips_back_at_once() -> None:
    """Good news needs no confirmation, and forgets the series."""
    healed = after((0, REFUSED), (1, REFUSED), (6, PASSED))
    assert healed.shown is PASSED
    assert healed.failing_since is None


def test_a_failed_service_is_tried_again_after_5_10_20_seconds_up_to_the_interval() -> None:
    """Quick to notice the repair, never a hammer."""
    tries = [(0.0, REFUSED), (1.0, REFUSED)]
    delays = []
    for _ in range(5):
        delays.append(after(*tries).delay)
        tries.append((tries[-1][0] + delays[-1], REFUSED))
    assert delays == [5.0, 10.0, 20.0, 40.0, 60.0]


def test_retries_never_wait_longer_than_the_interval() -> None:
    """With a short interval the interval is the limit of every delay."""
    assert after((0, RESET), interval=4).delay == 4


def test_a_service_that_fails_differently_each_time_is_failed_all_the_same() -> None:
    """Two refusals that take turns never confirm each other."""
    other = Climb(Service.KAFKA, (), Failure(Reason.DESCRIBE_TOPIC_DENIED, Rung.AUTHORIZATION))
    standing = Standing()
    for now in range(0, 17, 2):
        climb = REFUSED if now % 4 else other
        standing = judge(standing, climb, Kind.REFUSED, now=float(now), interval=60.0)
    assert standing.shown in (REFUSED, other)


def test_the_deciding_try_comes_when_fifteen_seconds_are_over() -> None:
    """Tries at 0, 5 and 10 s leave the verdict to one at 15 s, not at 20: pauses are up to a twentieth shorter."""
    standing, now = judge(Standing(), RESET, Kind.TRANSIENT, now=0.0, interval=60.0), 0.0
    while standing.shown is None:
        now += standing.delay * 0.95
        standing = judge(standing, RESET, Kind.TRANSIENT, now=now, interval=60.0)
    assert 15.0 <= now < 15.6
