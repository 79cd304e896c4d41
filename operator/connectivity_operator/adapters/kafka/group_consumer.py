"""One member of one consumer group, by aiokafka's consumer with everything automatic switched off.

What aiokafka does that is worked around here (and in `client`, `reading` and `group_requests`):

* `getmany()` waits without limit while the group rebalances.
* When a batch cannot be read, records of other partitions that the same call had taken are lost, and those ahead of
  the batch never come. So positions are kept by `reading` and restored after such a failure, and single records are
  taken until the bad batch is the next thing to be read.
* A topic that must not be read raises at every call and holds up the others. So it rests for a while.
* What a rebalance listener raises is only logged. Here the next `fetch` raises it.
* Consumers die silently. Here the next `fetch` replaces them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as TheirPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from connectivity_operator.adapters.kafka import client, group_requests
from connectivity_operator.adapters.kafka.access import Access
from connectivity_operator.adapters.kafka.errors import Asked, translate
from connectivity_operator.adapters.kafka.prober import Connection, Prober
from connectivity_operator.adapters.kafka.reading import Reading, ours
from connectivity_operator.errors import DependencyError, PositionsLost
from connectivity_operator.ports import AssignmentListener, Bounds, Record, TopicPartition
from connectivity_operator.reasons import Reason, Service

REBALANCE_GRACE = 0.1
"""Seconds beyond ``wait`` after which a fetch that meets a rebalance gives up."""


class GroupConsumer:
    """Implements `ports.MessageSource`."""

    def __init__(
        self,
        *,
        access: Access,
        prober: Prober,
        group: str,
        client_id: str,
        membership: client.Membership = client.MEMBERSHIP,
    ) -> None:
        self._access, self._prober = access, prober
        self._group, self._client_id, self._membership = group, client_id, membership
        self._topics: frozenset[str] = frozenset()
        self._listener: AssignmentListener | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._reading = Reading()
        self._enquiries = prober.enquiries
        self._one_by_one = False
        """A batch could not be read: take single records until it is the next thing to be read."""
        self._listener_error: Exception | None = None
        self._log = structlog.get_logger().bind(service="kafka", group=group)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────
    async def start(self, topics: frozenset[str], listener: AssignmentListener) -> None:
        """Join the group and subscribe; absent topics give no partitions until they exist. May be tried again."""
        if self._listener is None:
            self._enquiries.join()
        self._topics, self._listener = topics, listener
        await self._open()

    async def stop(self) -> None:
        """Leave the group and close the connections, within a limit. The listener is not called."""
        joined = self._listener is not None
        consumer, self._consumer, self._listener = self._consumer, None, None
        self._reading.end()
        try:
            if consumer is not None:
                await client.close(consumer)
        finally:
            if joined:
                await self._enquiries.leave()

    async def _open(self) -> AIOKafkaConsumer:
        try:
            consumer = await client.opened(
                self._access, group=self._group, client_id=self._client_id, membership=self._membership
            )
        except client.FOREIGN as error:
            raise await self._why() from error
        self._consumer = consumer
        consumer.subscribe(list(self._topics), listener=_Listener(self, consumer))
        return consumer

    async def _why(self) -> DependencyError:
        """Why no bootstrap server could be used: aiokafka says "unable to bootstrap" whatever the cause."""
        servers = [server.rpartition(":") for server in self._access.bootstrap_servers]
        attempts = (self._prober.connect(host, int(port)) for host, _, port in servers)
        answers = await asyncio.gather(*attempts, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, DependencyError)]
        for connection in answers:
            if isinstance(connection, Connection):
                await connection.close()
        if len(errors) == len(answers):
            return errors[0]
        # One of them lets us in by now: it was a passing fault.
        return _error(Reason.BROKER_UNREACHABLE, broker=", ".join(self._access.bootstrap_servers))

    async def _living(self) -> AIOKafkaConsumer:
        """The consumer, replaced if it has died."""
        consumer = self._consumer
        if consumer is not None and not client.has_died(consumer):
            return consumer
        if self._listener is None:
            raise _error(Reason.COORDINATOR_UNAVAILABLE, group=self._group, detail="the source has been stopped")
        self._consumer = None
        if consumer is not None:
            self._log.warning("consumer ended by itself, replacing it", action="consume", status="retrying")
            try:
                await self.revoked(self._reading.assigned)
            finally:  # also when we are cancelled meanwhile: nobody else knows it any more
                await client.close(consumer)
        return await self._open()

    # ── rebalances ───────────────────────────────────────────────────────────────────────────────────
    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """The group takes ``partitions`` away; it waits for our return."""
        if partitions and self._listener:
            await self._tell(self._listener.on_revoked, partitions)
        self._reading.end()

    async def assigned(self, consumer: AIOKafkaConsumer, partitions: frozenset[TopicPartition]) -> None:
        """The group gives us ``partitions``, and nothing else any more."""
        self._reading.begin(consumer, partitions)
        self._one_by_one = False
        if self._listener:
            await self._tell(self._listener.on_assigned, partitions)
        self._reading.release()

    def uses(self, consumer: AIOKafkaConsumer) -> bool:
        """False of one that has been replaced or stopped."""
        return self._consumer is consumer

    async def _tell(
        self, call: Callable[[frozenset[TopicPartition]], Awaitable[None]], partitions: frozenset[TopicPartition]
    ) -> None:
        try:
            await call(partitions)
        except Exception as error:  # aiokafka would swallow it; `fetch` raises it
            self._listener_error = error

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────
    async def fetch(self, *, limit: int, wait: float) -> Sequence[Record]:
        """Up to ``limit`` records, waiting at most ``wait`` seconds for the first one.

        Raises `PositionsLost`; those partitions then wait for another `seek`. After `DependencyError` (a denial, a
        batch that cannot be read, a group that cannot be joined) go on calling: what can be read is.
        """
        consumer = await self._living()
        if error := self._listener_error:
            self._listener_error = None
            raise error
        self._reading.wake()
        most = 1 if self._one_by_one else limit
        try:
            with client.polling(consumer):
                async with asyncio.timeout(wait + REBALANCE_GRACE):
                    taken = await consumer.getmany(timeout_ms=int(wait * 1000), max_records=most)
        except (TimeoutError, NoOffsetForPartitionError):
            return ()
        except Exception as error:  # reading a batch raises whatever the codecs raise
            if (told := self._failure(consumer, error)) is None:
                return ()
            raise told from error
        await self._reading.advance()
        if not taken:
            self._one_by_one = False
        return [Record(r.topic, r.partition, r.offset, r.timestamp, r.value) for rs in taken.values() for r in rs]

    def _failure(self, consumer: AIOKafkaConsumer, error: Exception) -> PositionsLost | DependencyError | None:
        """What `getmany()` raised, as ours; None when there is nothing to be told yet."""
        group_requests.rejoin_if_unheard(consumer)
        match error:
            case OffsetOutOfRangeError(args=(wanted,)):
                return PositionsLost(self._reading.lose(wanted))
            case TopicAuthorizationFailedError(args=(topic,)):
                self._reading.rest(partition for partition in self._reading.assigned if partition.topic == topic)
                return translate(error, Asked.FETCH, topic=str(topic))
            case GroupAuthorizationFailedError():
                return translate(error, group_requests.denied(consumer), group=self._group)
        unread = group_requests.unreadable(consumer)
        if unread is None or client.has_died(consumer):  # it is the group's error
            return _error(Reason.COORDINATOR_UNAVAILABLE, group=self._group)
        self._reading.restore()
        self._one_by_one = not self._one_by_one
        if self._one_by_one:
            return None
        self._reading.rest([ours(unread)])
        return translate(error, Asked.FETCH, topic=unread.topic, topic_partition=str(unread.partition))

    # ── positions ────────────────────────────────────────────────────────────────────────────────────
    def assignment(self) -> frozenset[TopicPartition]:
        """What the group has given us; nothing while it rebalances."""
        return self._reading.assigned

    def position(self, partition: TopicPartition) -> int | None:
        """Next offset to be handed out; None until `seek`."""
        return self._reading.positions.get(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from ``offset``. A partition that is not ours (any more) is left alone."""
        self._reading.seek(partition, offset)

    def pause(self) -> None:
        """Fetch nothing, now and after any rebalance, until `resume`."""
        self._reading.pause()

    def resume(self) -> None:
        """Fetch every partition that has a position."""
        self._reading.resume()

    # ── questions ────────────────────────────────────────────────────────────────────────────────────
    async def partitions(self, topics: frozenset[str]) -> frozenset[TopicPartition]:
        """Partitions that exist now."""
        return await self._enquiries.partitions(topics)

    async def committed(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, int | None]:
        """What the group has committed, None where nothing."""
        return await group_requests.committed(self._usable(), self._group, partitions)

    async def bounds(self, partitions: frozenset[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """First and next offset, from each partition's leader."""
        return await self._enquiries.bounds(partitions)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the next offset to be read of each partition. One that is not ours any more fails the call."""
        await group_requests.commit(self._usable(), self._group, offsets)

    def _usable(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise _error(Reason.COORDINATOR_UNAVAILABLE, group=self._group, detail="the consumer is being replaced")
        return self._consumer


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """aiokafka's callbacks, as long as its consumer is the one in use."""

    def __init__(self, source: GroupConsumer, consumer: AIOKafkaConsumer) -> None:
        self._source, self._consumer = source, consumer

    async def on_partitions_revoked(self, revoked: set[TheirPartition]) -> None:
        if self._source.uses(self._consumer):
            await self._source.revoked(frozenset(map(ours, revoked)))

    async def on_partitions_assigned(self, assigned: set[TheirPartition]) -> None:
        if self._source.uses(self._consumer):
            await self._source.assigned(self._consumer, frozenset(map(ours, assigned)))


def _error(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.KAFKA, reason, evidence=evidence)
