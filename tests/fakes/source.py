"""A Kafka cluster in memory, with one consumer group and its members.

Keeps the contract of `ports.MessageSource` (`tests/contracts/message_source.py`): rebalances are eager, a new
assignment has no positions, a pause outlives it, what a listener raises comes out of the next `fetch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connectivity_operator.errors import DependencyError, PositionsLost
from connectivity_operator.ports import AssignmentListener, Bounds, MessageSource, Record, TopicPartition
from connectivity_operator.reasons import Reason, Service
from tests.fakes.faults import Faults

TIMESTAMP = 1_700_000_000_000


def unavailable(reason: Reason = Reason.COORDINATOR_UNAVAILABLE) -> DependencyError:
    return DependencyError(Service.KAFKA, reason)


class FakeKafka:
    """``topic`` exists with partitions 0 and 1. Faults: start, fetch, partitions, committed, bounds, commit."""

    def __init__(self, topic: str = "orders", partitions: int = 2) -> None:
        self.topic = topic
        self.faults = Faults()
        self.offsets: dict[TopicPartition, int] = {}
        """What the group has committed."""
        self.commits: list[dict[TopicPartition, int]] = []
        """Every accepted commit, in order."""
        self.commit_seconds = 0.0
        self.commits_in_flight = self.most_commits_in_flight = 0
        self.question_seconds = 0.0
        """How long partitions, committed and bounds take each."""
        self.members: list[FakeSource] = []
        self._logs: dict[TopicPartition, _Log] = {}
        self._rebalance = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.create_topic(topic, partitions)

    # ── what a test does to it ───────────────────────────────────────────────────────────────────────
    def member(self) -> MessageSource:
        return FakeSource(self)

    def create_topic(self, topic: str, partitions: int) -> None:
        """Create, or add partitions."""
        for number in range(partitions):
            self._logs.setdefault(TopicPartition(topic, number), _Log())

    def recreate_topic(self, topic: str) -> None:
        """Delete and create again: empty, from offset 0; Kafka deletes the groups' offsets with a topic."""
        for partition in [p for p in self._logs if p.topic == topic]:
            self._logs[partition] = _Log()
            self.offsets.pop(partition, None)

    async def produce(self, partition: int, *values: bytes | None) -> None:
        self.append(self.topic, partition, *values)

    def append(self, topic: str, partition: int, *values: bytes | None, skip: int = 0) -> None:
        """Append messages; ``skip`` offsets are left out after them (a transaction marker, compaction)."""
        log = self._logs[TopicPartition(topic, partition)]
        for value in values:
            log.records.append(Record(topic, partition, log.end, TIMESTAMP, value))
            log.end += 1
        log.end += skip
        self.wake()

    async def delete_before(self, partition: int, offset: int, topic: str | None = None) -> None:
        log = self._logs[TopicPartition(topic or self.topic, partition)]
        log.begin = offset
        log.records = [record for record in log.records if record.offset >= offset]

    def end(self, partition: int) -> int:
        return self._logs[TopicPartition(self.topic, partition)].end

    # ── what its members ask ─────────────────────────────────────────────────────────────────────────
    def log(self, partition: TopicPartition) -> _Log:
        return self._logs[partition]

    def partitions(self, topics: frozenset[str]) -> frozenset[TopicPartition]:
        return frozenset(p for p in self._logs if p.topic in topics)

    def wake(self) -> None:
        for member in self.members:
            member.news.set()

    def rebalance(self) -> asyncio.Task[None]:
        """Begin a rebalance, as the broker does when a member comes or goes or partitions are added."""
        task = asyncio.get_running_loop().create_task(self._move())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _move(self) -> None:
        async with self._rebalance:
            members = list(self.members)
            await asyncio.gather(*(member.revoke() for member in members))
            members = [member for member in members if member in self.members]
            shares: list[set[TopicPartition]] = [set() for _ in members]
            topics = frozenset(topic for member in members for topic in member.topics)
            for number, partition in enumerate(sorted(self.partitions(topics))):
                if members:
                    shares[number % len(members)].add(partition)
            await asyncio.gather(*(m.assign(frozenset(s)) for m, s in zip(members, shares, strict=True)))


class _Log:
    def __init__(self) -> None:
        self.begin = self.end = 0
        self.records: list[Record] = []


class FakeSource:
    """One member of the group."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.topics: frozenset[str] = frozenset()
        self.news = asyncio.Event()
        self.paused = False
        self.silent: set[TopicPartition] = set()
        """Partitions of which nothing is handed out: their broker cannot be reached, and nobody says so."""
        self.fetches = 0
        """Calls of `fetch`, paused or not."""
        self.started = self.stopped = False
        self._kafka = kafka
        self._listener: AssignmentListener | None = None
        self._assigned: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._holding = False
        self._error: Exception | None = None

    # ── the group ────────────────────────────────────────────────────────────────────────────────────
    async def start(self, topics: frozenset[str], listener: AssignmentListener) -> None:
        self._kafka.faults.check("start")
        self.topics, self._listener = topics, listener
        self.started = True
        self._kafka.members.append(self)
        self._kafka.rebalance()

    async def stop(self) -> None:
        self.stopped = True
        self._listener, self._assigned = None, frozenset()
        self._positions.clear()
        if self in self._kafka.members:
            self._kafka.members.remove(self)
            self._kafka.rebalance()

    async def revoke(self) -> None:
        if self._assigned and self._listener:
            await self._tell(self._listener.on_revoked, self._assigned)
        self._assigned = frozenset()
        self._positions.clear()

    async def assign(self, partitions: frozenset[TopicPartition]) -> None:
        self._assigned, self._holding = partitions, True
        if self._listener:
            await self._tell(self._listener.on_assigned, partitions)
        self._holding = False
        self.news.set()

    async def _tell(
        self, call: Callable[[frozenset[TopicPartition]], Awaitable[None]], partitions: frozenset[TopicPartition]
    ) -> None:
        try:
            await call(partitions)
        except Exception as error:  # the next `fetch` raises it
            self._error = error

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────
    async def fetch(self, *, limit: int, wait: float) -> Sequence[Record]:
        self.fetches += 1
        self._kafka.faults.check("fetch")
        if error := self._error:
            self._error = None
            raise error
        self.news.clear()
        if not (records := self._take(limit)) and wait:
            try:
                async with asyncio.timeout(wait):
                    await self.news.wait()
            except TimeoutError:
                return ()
            records = self._take(limit)
        return records

    def _take(self, limit: int) -> list[Record]:
        taken: list[Record] = []
        if self.paused or self._holding:
            return taken
        lost = {p: at for p, at in self._positions.items() if not self._begin(p) <= at <= self._kafka.log(p).end}
        if lost:
            for partition in lost:
                del self._positions[partition]
            raise PositionsLost(lost)
        for partition, position in sorted(self._positions.items()):
            if partition in self.silent:
                continue
            log = self._kafka.log(partition)
            waiting = [record for record in log.records if record.offset >= position][: limit - len(taken)]
            taken += waiting
            if not waiting or waiting[-1] is log.records[-1]:
                self._positions[partition] = log.end
            else:
                self._positions[partition] = waiting[-1].offset + 1
            if len(taken) == limit:
                break
        return taken

    def _begin(self, partition: TopicPartition) -> int:
        return self._kafka.log(partition).begin

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self.news.set()

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned

    def seek(self, partition: TopicPartition, offset: int) -> None:
        if partition in self._assigned:
            self._positions[partition] = offset
            self.news.set()

    def position(self, partition: TopicPartition) -> int | None:
        return self._positions.get(partition)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────
    async def partitions(self, topics: frozenset[str]) -> frozenset[TopicPartition]:
        await self._asked("partitions")
        return self._kafka.partitions(topics)

    async def committed(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int | None]:
        await self._asked("committed")
        return {p: self._kafka.offsets.get(p) for p in partitions}

    async def bounds(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, Bounds]:
        await self._asked("bounds")
        return {p: Bounds(self._kafka.log(p).begin, self._kafka.log(p).end) for p in partitions}

    async def _asked(self, question: str) -> None:
        await asyncio.sleep(self._kafka.question_seconds)
        self._kafka.faults.check(question)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._kafka.faults.check("commit")
        if not self._assigned.issuperset(offsets):
            raise unavailable()
        self._kafka.commits_in_flight += 1
        self._kafka.most_commits_in_flight = max(self._kafka.most_commits_in_flight, self._kafka.commits_in_flight)
        try:
            await asyncio.sleep(self._kafka.commit_seconds)
        finally:
            self._kafka.commits_in_flight -= 1
        self._kafka.offsets.update(offsets)
        self._kafka.commits.append(dict(offsets))
