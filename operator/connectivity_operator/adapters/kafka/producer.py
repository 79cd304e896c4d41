"""Sends messages: for `connectivity-operator send`, whose role needs WriteData beside DescribeTopic."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from connectivity_operator.adapters.kafka.access import Access
from connectivity_operator.adapters.kafka.client import FOREIGN
from connectivity_operator.adapters.kafka.errors import Asked, translate
from connectivity_operator.adapters.kafka.prober import Prober
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service

SEND_LIMIT = 20.0
"""Seconds for all messages of one call."""
CLOSE_LIMIT = 5.0
MAX_REQUEST_BYTES = 1024 * 1024


class Producer:
    """Sends to topics that exist; never creates one."""

    def __init__(self, access: Access, prober: Prober, *, client_id: str = "connectivity-operator-send") -> None:
        self._access, self._prober, self._client_id = access, prober, client_id

    async def send(self, topic: str, values: Sequence[bytes]) -> list[tuple[int, int]]:
        """Append ``values`` in order, on every replica in sync; returns (partition, offset) of each.

        Partitions are chosen at random. Raises `DependencyError`: what keeps us from the cluster, `TopicNotFound`,
        `DescribeTopicDenied`, `WriteDataDenied`, `LeaderUnavailable`, `TooLarge`.
        """
        await self._look_at(topic)
        producer = AIOKafkaProducer(
            client_id=self._client_id,
            acks="all",
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(SEND_LIMIT * 1000),
            **self._access.client_options(),
        )
        try:
            async with asyncio.timeout(SEND_LIMIT):
                await producer.start()
                pending = [await producer.send(topic, value) for value in values]
                sent = await asyncio.gather(*pending)
        except TimeoutError as error:
            # aiokafka goes on trying: the topic exists, so its leader does not take the messages.
            evidence = {"topic": topic, "limit": f"{SEND_LIMIT:g}"}
            raise DependencyError(Service.KAFKA, Reason.LEADER_UNAVAILABLE, evidence=evidence) from error
        except FOREIGN as error:
            raise translate(error, Asked.PRODUCE, topic=topic) from error
        finally:
            await _close(producer)
        return [(made.partition, made.offset) for made in sent]

    async def _look_at(self, topic: str) -> None:
        """Ask for the topic first: a producer waits for one that does not exist, and hides why it cannot connect."""
        enquiries = self._prober.enquiries
        enquiries.join()
        try:
            if not await enquiries.partitions(frozenset({topic})):
                raise DependencyError(Service.KAFKA, Reason.TOPIC_NOT_FOUND, evidence={"topic": topic})
        finally:
            await enquiries.leave()


async def _close(producer: AIOKafkaProducer) -> None:
    """Within a limit: `stop()` waits for what could not be sent."""
    try:
        async with asyncio.timeout(CLOSE_LIMIT):
            await producer.stop()
    except FOREIGN:
        await producer.client.close()
