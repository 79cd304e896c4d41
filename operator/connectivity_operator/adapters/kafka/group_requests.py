"""What a group's member asks its coordinator, within a limit.

aiokafka repeats its questions for ever when the coordinator cannot be reached, and hides some of the answers.
"""
# ruff: noqa: SLF001 - what is needed of aiokafka here is private, see the docstring of the package

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as TheirPartition
from aiokafka.errors import GroupAuthorizationFailedError
from aiokafka.protocol.commit import OffsetFetchRequest

from connectivity_operator.adapters.kafka.client import FOREIGN
from connectivity_operator.adapters.kafka.errors import (
    COORDINATOR_MOVED,
    GROUP_LOADING,
    Asked,
    refusal,
    translate,
)
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import TopicPartition
from connectivity_operator.reasons import Reason, Service

LIMIT = 10.0
"""Seconds for each question."""
AGAIN = 0.1
"""Seconds until a coordinator that is moving or loading is asked again."""


async def committed(
    consumer: AIOKafkaConsumer, group: str, wanted: frozenset[TopicPartition]
) -> dict[TopicPartition, int | None]:
    """What ``group`` has committed, None where nothing.

    aiokafka's own `committed()` asks for each partition alone and hides that a topic is denied.
    """
    if not wanted:
        return {}
    topics: dict[str, list[int]] = defaultdict(list)
    for topic, number in wanted:
        topics[topic].append(number)
    request = OffsetFetchRequest(group, list(topics.items()))
    try:
        async with asyncio.timeout(LIMIT):
            answer = await _ask_coordinator(consumer, request)
    except TimeoutError as error:
        raise _no_coordinator(group) from error
    except FOREIGN as error:
        raise translate(error, Asked.OFFSET_FETCH, group=group, topic=_topics(wanted)) from error
    found: dict[TopicPartition, int | None] = {}
    for topic, parts in answer.topics:
        for number, offset, _, code in parts:
            if code:
                raise refusal(code, Asked.OFFSET_FETCH, group=group, topic=topic)
            found[TopicPartition(topic, number)] = offset if offset >= 0 else None
    if code := getattr(answer, "error_code", 0):
        raise refusal(code, Asked.OFFSET_FETCH, group=group)
    return {partition: found.get(partition) for partition in wanted}


async def commit(consumer: AIOKafkaConsumer, group: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit the next offset to be read of each partition."""
    if not offsets:
        return
    try:
        async with asyncio.timeout(LIMIT):
            await consumer.commit({TheirPartition(*partition): offset for partition, offset in offsets.items()})
    except TimeoutError as error:
        raise _no_coordinator(group) from error
    except GroupAuthorizationFailedError as error:
        raise translate(error, denied(consumer, Asked.OFFSET_COMMIT), group=group) from error
    except FOREIGN as error:
        topic = _topic_of(error) or _topics(offsets)
        raise translate(error, Asked.OFFSET_COMMIT, group=group, topic=topic) from error


def denied(consumer: AIOKafkaConsumer, otherwise: Asked = Asked.JOIN_GROUP) -> Asked:
    """Which request the group's denial answered: without a known coordinator it was the search for it."""
    return Asked.FIND_COORDINATOR if consumer._coordinator.coordinator_id is None else otherwise


def rejoin_if_unheard(consumer: AIOKafkaConsumer) -> None:
    """Join again if the task that sends heartbeats has ended, as it does when one is denied.

    aiokafka leaves it so: the group forgets the member, and every `getmany()` raises the denial for ever.
    """
    coordinator = consumer._coordinator
    if coordinator._heartbeat_task is not None and coordinator._heartbeat_task.done():
        coordinator.request_rejoin()


def unreadable(consumer: AIOKafkaConsumer) -> TheirPartition | None:
    """The partition whose batch made `getmany()` fail: it takes them in order and drops those that are empty."""
    return next(iter(consumer._fetcher._records), None)


async def _ask_coordinator(consumer: AIOKafkaConsumer, request: OffsetFetchRequest) -> Any:
    coordinator = consumer._coordinator
    while True:
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(request)
        codes = {part[3] for _, parts in answer.topics for part in parts} | {getattr(answer, "error_code", 0)}
        if codes & COORDINATOR_MOVED:
            coordinator.coordinator_dead()
        elif GROUP_LOADING not in codes:
            return answer
        await asyncio.sleep(AGAIN)


def _no_coordinator(group: str) -> DependencyError:
    evidence = {"group": group, "limit": f"{LIMIT:g}"}
    return DependencyError(Service.KAFKA, Reason.COORDINATOR_UNAVAILABLE, evidence=evidence)


def _topics(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(sorted({topic for topic, _ in partitions}))


def _topic_of(error: BaseException) -> str | None:
    """The topic that aiokafka's exception names, if it names one: by a partition or in a set of topics."""
    match error.args:
        case (TheirPartition(topic=topic), *_):
            return str(topic)
        case (set(topics), *_) if topics:
            return ", ".join(sorted(topics))
    return None
