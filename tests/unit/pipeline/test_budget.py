"""Memory is bounded by bytes for the whole process, and nobody starves."""

from __future__ import annotations

from connectivity_operator.pipeline.backlog import Backlog
from connectivity_operator.pipeline.budget import Budget
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Message
from connectivity_operator.ports import Record


def nothing() -> None:
    """Nobody waits."""


def test_what_is_left_is_shared_by_who_wants_it() -> None:
    """One busy pipeline among idle ones may use the whole budget."""
    budget = Budget(1_000_000)
    busy, _ = budget.join(nothing), budget.join(nothing)
    busy.take(900_000, 900)
    assert busy.room(256) > 0
    busy.take(200_000, 200)
    assert busy.room(256) == 0


def test_a_pipeline_below_its_fair_part_may_always_read_a_little() -> None:
    """However much the others hold."""
    budget = Budget(1_000_000)
    busy, quiet = budget.join(nothing), budget.join(nothing)
    busy.take(1_500_000, 100)
    assert quiet.room(256) > 0
    quiet.take(500_000, 100)
    assert quiet.room(256) == 0


def test_room_is_counted_in_messages_of_the_size_that_came_before() -> None:
    """The size of the next ones is not known before they are there."""
    budget = Budget(1_000_000)
    share = budget.join(nothing)
    for _ in range(50):
        share.take(100_000, 1)
        share.give(100_000)
    assert share.room(256) in (9, 10)


def test_who_waits_is_told_when_there_is_room() -> None:
    """Once, the one who waits longest first, and only as long as there is room."""
    told: list[str] = []
    budget = Budget(100)
    holder = budget.join(nothing)
    first, second = budget.join(lambda: told.append("first")), budget.join(lambda: told.append("second"))
    for share in (holder, first, second):
        share.take(100, 1)
    assert first.room(1) == second.room(1) == first.room(1) == 0
    holder.give(100)
    assert told == ["first"]
    first.give(100)
    second.give(100)
    assert told == ["first", "second"]
    assert budget.used == 0


def test_a_pipeline_that_ends_gives_everything_back() -> None:
    """Whatever was in flight."""
    budget = Budget(100)
    share, other = budget.join(nothing), budget.join(nothing)
    share.take(70, 1)
    share.leave()
    assert budget.used == 0
    assert budget.fair == 100
    assert other.room(1) == 1


def test_messages_dropped_from_the_backlog_give_their_memory_back() -> None:
    """Their partition was taken away before they were begun."""
    budget = Budget(1000)
    share = budget.join(nothing)
    backlog = Backlog(share)
    mark = Watermark(0, committed=None)
    backlog.add(Message(Record("orders", 0, n, 0, b""), mark, "", 0.0, 100, "", 0) for n in range(5))
    share.take(500, 5)
    backlog.drop(lambda message: message.record.offset < 3)
    assert budget.used == 200
    assert [message.record.offset for message in backlog.take()] == [3, 4]
