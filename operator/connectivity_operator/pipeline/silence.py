"""Partitions of which nothing is handed to us although messages wait there: what a consumer never complains about.

aiokafka's consumer stays silent in many faults (the right to describe a topic withdrawn, sessions refused, one broker's
address dead), and while other partitions go on, messages are finished all the time. So each partition is watched apart:
where we are against where it ends. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.ports import TopicPartition


class Silence:
    """Since when partitions have been silent. Times are any monotonic seconds."""

    def __init__(self) -> None:
        self._since: dict[TopicPartition, tuple[Watermark, float]] = {}
        self._looked = 0.0

    def heard(self, partitions: Iterable[TopicPartition]) -> None:
        """Records of these have come."""
        for partition in partitions:
            self._since.pop(partition, None)

    def looked(self, unread: Mapping[TopicPartition, Watermark], now: float) -> None:
        """A fetch was given all that there was for us, and of ``unread`` there was nothing.

        Not after a fetch that was given as much as it asked for: then a partition may only wait for its turn. A
        watermark belongs to one assignment, so the next one begins anew.
        """
        kept = {p: at for p, (watermark, at) in self._since.items() if unread.get(p) is watermark}
        self._since = {p: (watermark, kept.get(p, now)) for p, watermark in unread.items()}
        self._looked = now

    @property
    def longest(self) -> tuple[TopicPartition, float] | None:
        """The partition that has been silent longest, and for how many seconds that is known."""
        if not self._since:
            return None
        partition, (_, since) = min(self._since.items(), key=lambda item: (item[1][1], item[0]))
        return partition, self._looked - since
