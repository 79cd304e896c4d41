"""Which of a member's partitions are fetched, and from where.

aiokafka positions a new assignment by itself and forgets what was paused. Here every partition stays paused until it
has been given a position, while everything is paused, and while it rests because it cannot be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as TheirPartition

from connectivity_operator.ports import TopicPartition

REST = 2.0
"""Seconds for which partitions that cannot be read are left alone, so that they do not hold up the others."""


def ours(partition: TheirPartition) -> TopicPartition:
    return TopicPartition(*partition)


def theirs(partition: TopicPartition) -> TheirPartition:
    return TheirPartition(*partition)


class Reading:
    """The partitions of the present assignment of the present consumer. Every method is harmless without one."""

    def __init__(self) -> None:
        self.assigned: frozenset[TopicPartition] = frozenset()
        self.positions: dict[TopicPartition, int] = {}
        """Next offset to hand out of each partition that has been given a position."""
        self._consumer: AIOKafkaConsumer | None = None
        self._resting: dict[TopicPartition, float] = {}
        """Partition -> monotonic time until which it is not tried."""
        self._paused = False
        self._holding = False

    def begin(self, consumer: AIOKafkaConsumer, partitions: frozenset[TopicPartition]) -> None:
        """A new assignment: nothing is fetched before `release`."""
        self.end()
        self._consumer, self.assigned, self._holding = consumer, partitions, True
        for partition in map(theirs, partitions):
            # With any position at all: one without is looked up among the group's committed offsets.
            consumer.pause(partition)
            consumer.seek(partition, 0)

    def release(self) -> None:
        """Fetch what has a position. All at once: a request under way for one would keep the others waiting."""
        self._holding = False
        self._let_go(self.positions)

    def end(self) -> None:
        """The assignment has been revoked; whether everything is paused is remembered."""
        self._consumer, self.assigned, self._holding = None, frozenset(), False
        self.positions.clear()
        self._resting.clear()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from ``offset``. A partition that is not ours (any more) is left alone."""
        if self._consumer is None or partition not in self.assigned:
            return
        self.positions[partition] = offset
        self._resting.pop(partition, None)
        self._consumer.seek(theirs(partition), offset)
        self._let_go([partition])

    async def advance(self) -> None:
        """Take over how far the consumer has come.

        Not the last record's offset + 1: transaction markers and compaction leave gaps behind it.
        """
        if self._consumer is not None:
            for partition in self.positions:
                self.positions[partition] = await self._consumer.position(theirs(partition))

    def restore(self) -> None:
        """Forget what was taken and not handed out."""
        if self._consumer is not None:
            for partition, offset in self.positions.items():
                self._consumer.seek(theirs(partition), offset)

    def lose(self, wanted: Mapping[TheirPartition, int]) -> dict[TopicPartition, int]:
        """Positions out of range: those partitions wait for another `seek`."""
        lost = {ours(partition): offset for partition, offset in wanted.items()}
        for partition in lost:
            self.positions.pop(partition, None)
        self._hold(lost)
        return lost

    def pause(self) -> None:
        """Fetch nothing, now and after any rebalance, until `resume`."""
        self._paused = True
        self._hold(self.assigned)

    def resume(self) -> None:
        self._paused = False
        self._let_go(self.positions)

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        """Leave ``partitions`` alone for `REST` seconds."""
        resting = [partition for partition in partitions if partition in self.assigned]
        self._resting |= dict.fromkeys(resting, time.monotonic() + REST)
        self._hold(resting)

    def wake(self) -> None:
        """End the rests that are over."""
        now = time.monotonic()
        if rested := [partition for partition, until in self._resting.items() if until <= now]:
            for partition in rested:
                del self._resting[partition]
            self._let_go(partition for partition in rested if partition in self.positions)

    def _hold(self, partitions: Iterable[TopicPartition]) -> None:
        if self._consumer is not None:
            self._consumer.pause(*map(theirs, partitions))

    def _let_go(self, partitions: Iterable[TopicPartition]) -> None:
        if self._consumer is not None and not (self._paused or self._holding):
            self._consumer.resume(*(theirs(p) for p in partitions if p not in self._resting))
