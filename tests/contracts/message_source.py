"""What every `ports.MessageSource` keeps, the real one and a fake: one set of tests for both.

A test module derives a class from `MessageSourceContract` and gives it the fixture ``cluster``, an object as
`Cluster` describes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pytest

from connectivity_operator.errors import DependencyError, PositionsLost
from connectivity_operator.ports import Bounds, MessageSource, Record, TopicPartition

LIMIT = 20.0
"""Seconds within which what is waited for must happen."""
QUIET = 0.7
"""Seconds without a record that count as silence, where none may come."""


class Cluster(Protocol):
    """A Kafka for one test."""

    topic: str
    """A topic with the partitions 0 and 1, both empty."""

    def member(self) -> MessageSource:
        """One more member, not started yet, of the one consumer group of this test; the cluster stops it in the end."""

    async def produce(self, partition: int, *values: bytes | None) -> None: ...
    async def delete_before(self, partition: int, offset: int) -> None:
        """Remove records, as retention does."""


class Listener:
    """Remembers what it is told. ``starts`` gives positions to what is assigned; without it nothing gets one."""

    def __init__(self, source: MessageSource, starts: Callable[[TopicPartition], int] | None = None) -> None:
        self.source, self.starts = source, starts
        self.calls: list[tuple[str, frozenset[TopicPartition]]] = []
        self.positions_when_revoked: dict[TopicPartition, int | None] = {}
        self.failure: Exception | None = None
        self.commits = False

    async def on_assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self.calls.append(("assigned", partitions))
        if self.failure:
            raise self.failure
        for partition in partitions if self.starts else ():
            self.source.seek(partition, self.starts(partition))

    async def on_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        self.calls.append(("revoked", partitions))
        self.positions_when_revoked = {p: self.source.position(p) for p in partitions}
        if self.commits:
            await self.source.commit({p: at for p, at in self.positions_when_revoked.items() if at is not None})


def from_the_beginning(_: TopicPartition) -> int:
    return 0


async def read(source: MessageSource, count: int, *, limit: int = 100) -> list[Record]:
    """The next ``count`` records."""
    records: list[Record] = []
    deadline = time.monotonic() + LIMIT
    while len(records) < count:
        assert time.monotonic() < deadline, f"only {len(records)} of {count} records came"
        records += await source.fetch(limit=limit, wait=0.2)
    return records


async def silence(source: MessageSource) -> None:
    """No record comes."""
    until = time.monotonic() + QUIET
    while time.monotonic() < until:
        assert not await source.fetch(limit=100, wait=0.2)


async def turn(condition: Callable[[], bool], *sources: MessageSource) -> list[Record]:
    """Fetch from all ``sources``, as their owners would, until ``condition`` holds; returns what came."""
    records: list[Record] = []
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        for source in sources:
            records += await source.fetch(limit=100, wait=0.05)
    return records


async def joined(cluster: Cluster, starts: Callable[[TopicPartition], int] | None) -> tuple[MessageSource, Listener]:
    """A member that has been assigned both partitions, and reads them from ``starts`` on now and after rebalances."""
    source = cluster.member()
    listener = Listener(source)
    await source.start(frozenset({cluster.topic}), listener)
    await turn(lambda: bool(listener.calls), source)
    listener.starts = starts
    for partition in listener.calls[0][1] if starts else ():
        source.seek(partition, starts(partition))
    return source, listener


def values(records: Sequence[Record], partition: int) -> list[bytes | None]:
    return [record.value for record in records if record.partition == partition]


class MessageSourceContract:
    """Derive from it and define the fixture ``cluster``."""

    @pytest.fixture
    def both(self, cluster: Cluster) -> tuple[TopicPartition, TopicPartition]:
        return TopicPartition(cluster.topic, 0), TopicPartition(cluster.topic, 1)

    # ── positions ────────────────────────────────────────────────────────────────────────────────────
    async def test_nothing_is_read_before_it_has_a_position(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Where to start is our decision: a source that took one by itself would skip or repeat messages."""
        await cluster.produce(0, b"a")
        source, listener = await joined(cluster, starts=None)
        assert listener.calls == [("assigned", frozenset(both))]
        assert [source.position(p) for p in both] == [None, None]
        await silence(source)

    async def test_records_of_a_partition_come_in_order_from_its_position(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Offset order within a partition; every partition from where it was told to start."""
        first, second = both
        await cluster.produce(0, b"a", b"b", b"c")
        await cluster.produce(1, b"x", b"y")
        source, _ = await joined(cluster, {first: 1, second: 0}.__getitem__)
        records = await read(source, 4)
        assert values(records, 0) == [b"b", b"c"]
        assert [r.offset for r in records if r.partition == 0] == [1, 2]
        assert values(records, 1) == [b"x", b"y"]
        assert [source.position(p) for p in both] == [3, 2]

    async def test_a_partition_given_a_position_later_is_read_from_then_on(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Positions may be found after the rebalance, one partition at a time."""
        await cluster.produce(0, b"a")
        await cluster.produce(1, b"x")
        source, _ = await joined(cluster, starts=None)
        source.seek(both[1], 0)
        assert values(await read(source, 1), 1) == [b"x"]
        source.seek(both[0], 0)
        assert values(await read(source, 1), 0) == [b"a"]

    async def test_no_more_records_than_asked_for(self, cluster: Cluster) -> None:
        """``limit`` bounds what a caller has to hold; the rest comes with the next calls, none is lost."""
        sent = [b"%d" % number for number in range(10)]
        await cluster.produce(0, *sent)
        source, _ = await joined(cluster, from_the_beginning)
        records: list[Record] = []
        while len(records) < len(sent):
            batch = await source.fetch(limit=3, wait=1.0)
            assert len(batch) <= 3
            records += batch
        assert values(records, 0) == sent

    async def test_a_tombstone_has_no_value(self, cluster: Cluster) -> None:
        """None and the empty value are two things."""
        await cluster.produce(0, b"", None)
        source, _ = await joined(cluster, from_the_beginning)
        records = await read(source, 2)
        assert values(records, 0) == [b"", None]
        assert all(record.timestamp > 0 for record in records)

    async def test_a_position_out_of_range_is_told_and_holds_up_nobody(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Retention can overtake us. The partition waits for another position, the others go on."""
        lost, other = both
        await cluster.produce(0, b"a", b"b", b"c")
        await cluster.delete_before(0, 2)
        source, _ = await joined(cluster, from_the_beginning)
        with pytest.raises(PositionsLost) as told:
            await turn(lambda: False, source)
        assert told.value.partitions == {lost: 0}
        assert source.position(lost) is None
        await cluster.produce(1, b"x")
        assert values(await read(source, 1), 1) == [b"x"]
        source.seek(lost, 2)
        assert values(await read(source, 1), 0) == [b"c"]
        assert source.position(other) == 1

    async def test_seeking_what_is_not_ours_does_nothing(self, cluster: Cluster) -> None:
        """A position that was looked up while the partition was taken away comes too late, that is all."""
        source, _ = await joined(cluster, from_the_beginning)
        stranger = TopicPartition(cluster.topic, 7)
        source.seek(stranger, 3)
        assert source.position(stranger) is None

    # ── pausing ──────────────────────────────────────────────────────────────────────────────────────
    async def test_pausing_keeps_place_and_membership(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """An outage of another dependency must cost neither the partitions nor a message."""
        await cluster.produce(0, *(b"%d" % number for number in range(6)))
        source, listener = await joined(cluster, from_the_beginning)
        before = await read(source, 2, limit=2)
        source.pause()
        await cluster.produce(0, b"late")
        await silence(source)
        assert source.assignment() == frozenset(both)
        source.resume()
        after = await read(source, 5)
        assert values([*before, *after], 0) == [b"0", b"1", b"2", b"3", b"4", b"5", b"late"]
        assert [name for name, _ in listener.calls] == ["assigned"]

    async def test_a_pause_outlives_a_rebalance(self, cluster: Cluster) -> None:
        """The group's comings and goings do not end the outage that we pause for."""
        source, _ = await joined(cluster, from_the_beginning)
        source.pause()
        second = cluster.member()
        await second.start(frozenset({cluster.topic}), Listener(second))
        await turn(lambda: len(source.assignment()) == 1 and len(second.assignment()) == 1, source, second)
        for partition in (0, 1):
            await cluster.produce(partition, b"a")
        await silence(source)
        source.resume()
        (record,) = await read(source, 1)
        assert record.value == b"a"

    # ── offsets ──────────────────────────────────────────────────────────────────────────────────────
    async def test_commits_outlive_their_member(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Nothing is committed unless asked for; what was is there for the next member."""
        await cluster.produce(0, b"a", b"b")
        source, _ = await joined(cluster, from_the_beginning)
        await read(source, 2)
        assert await source.committed(frozenset(both)) == {both[0]: None, both[1]: None}
        await source.commit({both[0]: 1})
        await source.stop()
        next_one, _ = await joined(cluster, starts=None)
        assert await next_one.committed(frozenset(both)) == {both[0]: 1, both[1]: None}

    async def test_a_commit_for_what_is_not_ours_fails(self, cluster: Cluster) -> None:
        """It would overwrite what the partition's owner has committed."""
        source, _ = await joined(cluster, from_the_beginning)
        with pytest.raises(DependencyError):
            await source.commit({TopicPartition(cluster.topic, 7): 1})

    async def test_bounds_are_what_exists(self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]) -> None:
        """The first offset that still exists, and the one that the next message gets."""
        await cluster.produce(0, b"a", b"b", b"c")
        await cluster.delete_before(0, 1)
        source, _ = await joined(cluster, starts=None)
        found: Mapping[TopicPartition, Bounds] = await source.bounds(frozenset(both))
        assert found == {both[0]: Bounds(1, 3), both[1]: Bounds(0, 0)}

    # ── topics and groups ────────────────────────────────────────────────────────────────────────────
    async def test_an_absent_topic_holds_up_nobody(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """One misspelt topic of several: the others are read."""
        await cluster.produce(0, b"a")
        source = cluster.member()
        topics = frozenset({cluster.topic, f"{cluster.topic}-absent"})
        began = time.monotonic()
        await source.start(topics, Listener(source, from_the_beginning))
        assert values(await read(source, 1), 0) == [b"a"]
        assert time.monotonic() - began < LIMIT / 2
        assert await source.partitions(topics) == frozenset(both)

    async def test_a_rebalance_revokes_everything_before_it_assigns_anew(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """Work in flight is finished and committed before another member may own its partition."""
        await cluster.produce(0, b"a", b"b")
        source, listener = await joined(cluster, from_the_beginning)
        listener.commits = True
        await read(source, 2)
        second = cluster.member()
        others = Listener(second)
        await second.start(frozenset({cluster.topic}), others)
        await turn(lambda: len(source.assignment()) == 1 and len(second.assignment()) == 1, source, second)
        assert [name for name, _ in listener.calls] == ["assigned", "revoked", "assigned"]
        assert listener.calls[1] == ("revoked", frozenset(both))
        assert listener.positions_when_revoked == {both[0]: 2, both[1]: 0}
        assert source.assignment() | second.assignment() == frozenset(both)
        assert ("assigned", second.assignment()) == others.calls[-1]
        assert await second.committed(frozenset(both)) == {both[0]: 2, both[1]: 0}

    async def test_a_new_assignment_has_no_positions(self, cluster: Cluster) -> None:
        """Between revoking and assigning another member may have read on, even of a partition that comes back."""
        source, listener = await joined(cluster, from_the_beginning)
        listener.starts = None
        second = cluster.member()
        await second.start(frozenset({cluster.topic}), Listener(second))
        await turn(lambda: len(source.assignment()) == 1 and len(second.assignment()) == 1, source, second)
        assert [source.position(p) for p in source.assignment()] == [None]

    async def test_what_the_listener_raises_is_not_lost(self, cluster: Cluster) -> None:
        """Positions that could not be found leave partitions unread: their owner must hear of it."""
        source = cluster.member()
        listener = Listener(source)
        listener.failure = ArithmeticError("of the listener's own")
        await source.start(frozenset({cluster.topic}), listener)
        with pytest.raises(ArithmeticError):
            await turn(lambda: False, source)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────
    async def test_stopping_leaves_the_group_at_once(
        self, cluster: Cluster, both: tuple[TopicPartition, TopicPartition]
    ) -> None:
        """The others need not wait until the session of the one who left has ended. Stopping again is harmless."""
        source, _ = await joined(cluster, from_the_beginning)
        second = cluster.member()
        await second.start(frozenset({cluster.topic}), Listener(second))
        await turn(lambda: len(source.assignment()) == 1 and len(second.assignment()) == 1, source, second)
        await source.stop()
        await source.stop()
        assert source.assignment() == frozenset()
        await turn(lambda: second.assignment() == frozenset(both), second)
