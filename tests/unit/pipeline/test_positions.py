"""Where partitions start: every row of the table of decisions."""

from __future__ import annotations

import pytest

from connectivity_operator.pipeline.positions import Start, place, resume
from connectivity_operator.ports import Bounds, TopicPartition
from connectivity_operator.reasons import Reason

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)
BOUNDS = {P0: Bounds(100, 200), P1: Bounds(50, 60)}


def starts(
    committed: dict[TopicPartition, int | None],
    *,
    followed: frozenset[str] = frozenset(),
    start_from: str = "Latest",
    partitions: tuple[TopicPartition, ...] = (P0,),
) -> tuple[dict[TopicPartition, Start], list[Reason]]:
    placement = place(
        partitions,
        committed=committed,
        bounds=BOUNDS,
        followed=followed,
        start_from=start_from,  # type: ignore[arg-type]
    )
    return dict(placement.starts), [notice.reason for notice in placement.notices]


@pytest.mark.parametrize("committed", [100, 150, 200])
@pytest.mark.parametrize("start_from", ["Latest", "Earliest"])
def test_a_committed_offset_within_the_bounds_is_where_it_goes_on(committed: int, start_from: str) -> None:
    """`startFrom` matters only for topics not followed before; the beginning and the end are within."""
    assert starts({P0: committed}, start_from=start_from) == ({P0: Start(committed, committed)}, [])


@pytest.mark.parametrize("committed", [0, 99, 201, 9000])
def test_a_committed_offset_out_of_range_resumes_at_the_beginning_and_is_reported(committed: int) -> None:
    """Below: retention overtook us. Above: the topic is another one. Both ways messages may be missing."""
    assert starts({P0: committed}) == ({P0: Start(100, None)}, [Reason.OFFSETS_OUT_OF_RANGE])


@pytest.mark.parametrize(("start_from", "offset"), [("Latest", 200), ("Earliest", 100)])
def test_a_new_topic_starts_where_the_resource_says(start_from: str, offset: int) -> None:
    """And that position is to be committed at once: nothing is committed yet."""
    assert starts({P0: None, P1: None}, start_from=start_from) == ({P0: Start(offset, None)}, [])


def test_a_partition_added_later_starts_at_its_beginning() -> None:
    """The group follows the topic, so nothing of the new partition may be missed, whatever `startFrom` says."""
    assert starts({P0: None, P1: 55}) == ({P0: Start(100, None)}, [])
    assert starts({P0: None, P1: 55}, followed=frozenset({"orders"})) == ({P0: Start(100, None)}, [])


def test_vanished_offsets_of_a_followed_topic_resume_at_the_beginning_and_are_reported() -> None:
    """Expired, or deleted with a topic that was made again: `Latest` would silently skip messages."""
    found = starts({P0: None, P1: None}, followed=frozenset({"orders"}), partitions=(P0, P1))
    assert found == ({P0: Start(100, None), P1: Start(50, None)}, [Reason.OFFSETS_EXPIRED])


def test_topics_are_decided_apart() -> None:
    """Another topic's offsets say nothing about a new one."""
    other = TopicPartition("payments", 0)
    placement = place(
        [P0, other],
        committed={P0: 150, other: None},
        bounds={**BOUNDS, other: Bounds(0, 9)},
        followed=frozenset({"orders"}),
        start_from="Latest",
    )
    assert placement.starts == {P0: Start(150, 150), other: Start(9, None)}
    assert placement.notices == ()


def test_one_notice_a_topic_however_many_partitions() -> None:
    """A person wants to hear once."""
    placement = place([P0, P1], committed={P0: 1, P1: 1}, bounds=BOUNDS, followed=frozenset(), start_from="Latest")
    (notice,) = placement.notices
    assert "2 partitions of topic orders" in notice.message


def test_positions_lost_while_reading_go_to_the_beginning() -> None:
    """The broker has refused the offset; what exists now begins elsewhere."""
    placement = resume({P0: 3}, BOUNDS)
    assert placement.starts == {P0: Start(100, None)}
    assert [notice.reason for notice in placement.notices] == [Reason.OFFSETS_OUT_OF_RANGE]


def test_positions_that_exist_after_all_stay() -> None:
    """A replica that was behind for a moment is no loss, and nothing is read twice."""
    placement = resume({P0: 150}, BOUNDS)
    assert placement.starts == {P0: Start(150, 150)}
    assert placement.notices == ()
