"""Only the finished prefix of a partition may be committed."""

from __future__ import annotations

from connectivity_operator.pipeline.watermark import Watermark


def watermark(*read: int, start: int = 0) -> Watermark:
    made = Watermark(start, committed=None)
    for offset in read:
        assert made.read(offset)
    return made


def test_it_stands_where_it_starts_until_something_is_finished() -> None:
    """Reading alone moves nothing."""
    mark = watermark(5, 6, start=5)
    assert (mark.position, mark.outstanding, mark.last_read) == (5, 2, 6)


def test_what_finishes_early_waits_for_what_was_read_before_it() -> None:
    """Batches overtake each other; a commit says that everything before it is done."""
    mark = watermark(0, 1, 2, 3)
    mark.finish(2)
    mark.finish(1)
    assert mark.position == 0
    mark.finish(0)
    assert (mark.position, mark.outstanding) == (3, 1)
    mark.finish(3)
    assert (mark.position, mark.outstanding) == (4, 0)


def test_holes_between_offsets_hold_up_nothing() -> None:
    """Compaction and transaction markers leave offsets that no record ever has."""
    mark = watermark(10, 15, 40, start=3)
    for offset in (40, 10, 15):
        mark.finish(offset)
    assert mark.position == 41


def test_an_offset_is_read_once() -> None:
    """What comes a second time within one assignment is known already."""
    mark = watermark(0, 1)
    assert not mark.read(1)
    assert not mark.read(0)
    assert mark.outstanding == 2


def test_a_jump_takes_effect_when_what_was_read_is_finished() -> None:
    """Retention overtook us: the old messages are still to be finished, then the position is the new beginning."""
    mark = watermark(0, 1)
    mark.jump(100)
    assert mark.position == 0
    mark.finish(1)
    mark.finish(0)
    assert mark.position == 100
    assert mark.read(100)


def test_a_jump_with_nothing_outstanding_is_immediate() -> None:
    """Nothing is left to wait for."""
    mark = watermark()
    mark.jump(7)
    assert (mark.position, mark.outstanding) == (7, 0)


def test_a_jump_backwards_is_none() -> None:
    """A position never falls back within one assignment."""
    mark = watermark(4, start=4)
    mark.finish(4)
    mark.jump(2)
    assert mark.position == 5
