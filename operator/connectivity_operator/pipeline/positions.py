"""Where each assigned partition starts. Pure: what is known goes in, decisions and notices come out.

The client's own ``auto_offset_reset`` is switched off, because it knows neither `startFrom` nor what the
resource followed before, and it would skip messages silently when offsets are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from connectivity_operator.ports import Bounds, TopicPartition
from connectivity_operator.reasons import Reason, Service


class Notice(NamedTuple):
    """Something to tell once (Event, log and history), not a state."""

    service: Service
    reason: Reason
    message: str


class Start(NamedTuple):
    """Where a partition starts, and what the group has committed (None: to be committed at once)."""

    offset: int
    committed: int | None


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision about newly assigned partitions."""

    starts: Mapping[TopicPartition, Start]
    notices: tuple[Notice, ...] = ()


def place(
    partitions: Iterable[TopicPartition],
    *,
    committed: Mapping[TopicPartition, int | None],
    bounds: Mapping[TopicPartition, Bounds],
    followed: frozenset[str],
    start_from: Literal["Latest", "Earliest"],
) -> Placement:
    """Decide for ``partitions``; ``committed`` covers every partition of their topics, not only these.

    - a committed offset within the bounds: there;
    - a committed offset out of them (retention overtook us, or the topic is another one of the same name):
      the beginning of what exists, and a notice;
    - none, but another partition of the topic has one: the partition was added later, its beginning;
    - none at all, but we followed the topic: offsets expired or the topic was made again: the beginning of
      what exists, and a notice;
    - none at all for a new topic: where ``start_from`` says.
    """
    with_offsets = {p.topic for p, offset in committed.items() if offset is not None}
    starts: dict[TopicPartition, Start] = {}
    out_of_range: dict[str, int] = {}
    expired: dict[str, int] = {}
    for partition in sorted(partitions):
        begin, end = bounds[partition]
        offset = committed.get(partition)
        if offset is not None and begin <= offset <= end:
            starts[partition] = Start(offset, offset)
            continue
        if offset is not None:
            out_of_range[partition.topic] = out_of_range.get(partition.topic, 0) + 1
        elif partition.topic in followed and partition.topic not in with_offsets:
            expired[partition.topic] = expired.get(partition.topic, 0) + 1
        elif partition.topic not in with_offsets and start_from == "Latest":
            starts[partition] = Start(end, None)
            continue
        starts[partition] = Start(begin, None)
    notices = [_out_of_range(topic, count) for topic, count in out_of_range.items()]
    notices += [_expired(topic, count) for topic, count in expired.items()]
    return Placement(starts, tuple(notices))


def resume(lost: Mapping[TopicPartition, int], bounds: Mapping[TopicPartition, Bounds]) -> Placement:
    """Positions that were refused while reading: the beginning of what exists, or as they were if they do exist."""
    starts: dict[TopicPartition, Start] = {}
    counts: dict[str, int] = {}
    for partition, offset in sorted(lost.items()):
        begin, end = bounds[partition]
        if begin <= offset <= end:
            starts[partition] = Start(offset, offset)
            continue
        starts[partition] = Start(begin, None)
        counts[partition.topic] = counts.get(partition.topic, 0) + 1
    return Placement(starts, tuple(_out_of_range(topic, count) for topic, count in counts.items()))


def _out_of_range(topic: str, count: int) -> Notice:
    text = (
        f"The position in {_partitions(count)} of topic {topic} does not exist any more (retention, or the topic was "
        "made again); resumed at the beginning of what exists. Messages between may have been lost."
    )
    return Notice(Service.KAFKA, Reason.OFFSETS_OUT_OF_RANGE, text)


def _expired(topic: str, count: int) -> Notice:
    text = (
        f"The group's offsets for topic {topic} are gone (expired, or the topic was made again); resumed at the "
        f"beginning of {_partitions(count)}. Messages may come a second time."
    )
    return Notice(Service.KAFKA, Reason.OFFSETS_EXPIRED, text)


def _partitions(count: int) -> str:
    return "1 partition" if count == 1 else f"{count} partitions"
