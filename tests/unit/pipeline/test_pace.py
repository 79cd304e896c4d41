"""`maxMessagesPerMinute` is a maximum, and traffic below it is not slowed down."""

from __future__ import annotations

import pytest

from connectivity_operator.pipeline.pace import Pace


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("limit", [1, 2, 59, 60, 61, 600, 6000, 100_000])
def test_never_more_than_the_limit_in_any_minute(limit: int) -> None:
    """Whatever the burst, over any 60 seconds; and in the long run nearly all of it is used."""
    clock = Clock()
    pace = Pace(limit, clock=clock)
    taken: list[tuple[float, int]] = []
    while clock.now < 600:
        allowed = pace.allowed()
        if allowed:
            pace.take(allowed)
            taken.append((clock.now, allowed))
        clock.now += max(pace.delay(), 0.01)
    for began, _ in taken:
        assert sum(count for at, count in taken if began <= at < began + 60) <= limit
    assert sum(count for _, count in taken) >= 0.9 * limit * 10 - 1


def test_a_second_s_worth_may_come_at_once() -> None:
    """Batches stay batches."""
    assert Pace(600, clock=Clock()).allowed() == 10


def test_two_readers_who_took_too_much_wait_longer() -> None:
    """A limit that several share may be exceeded by a moment's overlap, and is made up for."""
    clock = Clock()
    pace = Pace(600, clock=clock)
    pace.take(10)
    pace.take(10)
    clock.now = 1.0
    assert pace.allowed() == 0
    clock.now = 3.0
    assert pace.allowed() == 10


def test_a_changed_policy_counts_from_now_on() -> None:
    """Without a restart, in both directions."""
    clock = Clock()
    pace = Pace(6000, clock=clock)
    assert pace.allowed() == 100
    pace.change(60)
    assert pace.allowed() == 1
    pace.change(6000)
    clock.now = 60.0
    assert pace.allowed() == 100
