"""The life of one aiokafka consumer: made without anything automatic, watched, and closed within a limit."""
# ruff: noqa: SLF001 - what is needed of aiokafka here is private, see the docstring of the package

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from connectivity_operator.adapters.kafka.access import Access
from connectivity_operator.adapters.kafka.pacing import pace

FETCH_WAIT_MS = 5_000
"""How long a broker may hold a request for which it has nothing; it answers at once when something is produced.
aiokafka's 500 ms, with its fetch routine waking up every 200, cost eight times the idle CPU."""
FETCH_BYTES = 4 * 1024 * 1024
PARTITION_BYTES = 256 * 1024
"""What one broker, and one partition, may send at once: what bounds memory. A larger message still comes, alone."""
METADATA_AGE_MS = 30_000
"""How soon a new topic or partition is noticed."""
REQUEST_MS = 15_000
REBALANCE_MS = 12_000
"""How long the group waits for a member to rejoin, its work in flight included. Less than a request may take:
the answer to JoinGroup comes when all have joined."""

START_LIMIT = 20.0
STOP_LIMIT = 8.0
LEAVE_LIMIT = 2.0
UNREAD_REST = 3600.0
FOREIGN = (KafkaError, OSError, AssertionError, ValueError)
"""What aiokafka's clients raise: their own errors, the sockets', and what broken metadata or host names lead to."""


@dataclass(frozen=True, slots=True)
class Membership:
    """How a group and its member watch each other, in milliseconds."""

    session_ms: int = 45_000
    """Without a heartbeat for so long, the group gives the member's partitions away."""
    heartbeat_ms: int = 3_000
    max_poll_interval_ms: int = 300_000
    """Without a fetch for so long, the member leaves by itself."""


MEMBERSHIP = Membership()


async def opened(access: Access, *, group: str, client_id: str, membership: Membership) -> AIOKafkaConsumer:
    """A started consumer without a subscription.

    `start()` would wait 40 s for topics that do not exist, so it gets none.
    """
    consumer = AIOKafkaConsumer(
        group_id=group,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=membership.session_ms,
        heartbeat_interval_ms=membership.heartbeat_ms,
        max_poll_interval_ms=membership.max_poll_interval_ms,
        rebalance_timeout_ms=REBALANCE_MS,
        request_timeout_ms=REQUEST_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        consumer_timeout_ms=FETCH_WAIT_MS,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_BYTES,
        metadata_max_age_ms=METADATA_AGE_MS,
        **access.client_options(),
    )
    consumer._client.close = partial(_hang_up, consumer._client)
    try:
        async with asyncio.timeout(START_LIMIT):
            await consumer.start()
    except BaseException:
        await close(consumer)
        raise
    # While records of one partition lie unread for longer than this (100 ms), aiokafka asks their broker for the
    # others' alone, and that request may wait FETCH_WAIT_MS: a backlog would come in jerks. So a broker is asked
    # again only when all that it sent has been taken.
    consumer._fetcher._prefetch_backoff = UNREAD_REST
    pace(consumer)
    return consumer


def has_died(consumer: AIOKafkaConsumer) -> bool:
    """Whether a background task has ended, after which the consumer is silent for ever.

    They end by exceptions that aiokafka does not expect of itself, such as the KeyError of two requests that time
    out on one connection. Only one of the three is ever noticed by its own `getmany()`.
    """
    tasks = (
        consumer._fetcher._fetch_task,
        consumer._coordinator._coordination_task,
        consumer._client._sync_task,
    )
    return any(task.done() for task in tasks)


@contextmanager
def polling(consumer: AIOKafkaConsumer) -> Iterator[None]:
    """Around `getmany()`, which forgets to count down its callers when it is left by an exception.

    After that the consumer would never count as idle, and `max_poll_interval_ms` would mean nothing.
    """
    subscription = consumer._subscription
    callers = subscription._fetch_count
    try:
        yield
    finally:
        subscription._fetch_count = callers
        subscription._last_fetch_ended = time.monotonic()


_closing: set[asyncio.Task[None]] = set()


async def close(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close the connections; what cannot be done in `STOP_LIMIT` is left undone. Never raises.

    Goes on to its end when the caller gives up: a consumer that is closed by half keeps its tasks and its membership.
    """
    task = asyncio.create_task(_close(consumer), name="close consumer")
    _closing.add(task)
    task.add_done_callback(_closing.discard)
    await asyncio.shield(task)


async def _close(consumer: AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(STOP_LIMIT):
            await consumer.stop()
    except Exception:  # what a background task has died of, too: `stop()` raises it and leaves the rest open
        await _abandon(consumer)


async def _abandon(consumer: AIOKafkaConsumer) -> None:
    """End what `stop()` has left: it waits for brokers that do not answer, and gives up when a task has died."""
    coordinator, fetcher, client = consumer._coordinator, consumer._fetcher, consumer._client
    tasks = []
    if coordinator is not None:
        tasks += [coordinator._coordination_task, coordinator._heartbeat_task, coordinator._commit_refresh_task]
    if fetcher is not None:
        tasks += [fetcher._fetch_task, *fetcher._pending_tasks]
    running = {task for task in tasks if task is not None and not task.done()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=LEAVE_LIMIT)
    if coordinator is not None:
        with suppress(*FOREIGN):
            async with asyncio.timeout(LEAVE_LIMIT):
                # A member that only vanishes keeps the group waiting until its session ends.
                await coordinator._maybe_leave_group()
    await client.close()


async def _hang_up(client: AIOKafkaClient) -> None:
    """Close the connections of a client without TLS's farewell.

    aiokafka waits for it, and a broker answers it only when the fetch that it holds has ended.
    """
    if task := client._sync_task:
        task.cancel()
        await asyncio.wait({task})
    for connection in list(client._conns.values()):
        writer = connection._writer
        connection.close()
        if writer is not None:
            writer.transport.abort()
