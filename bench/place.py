"""Where one run happens: topics and an index that nobody else uses, and the messages that go there."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.operating import NAMESPACE, Resource, kubectl
from lab.postgresql import psql

_AT_ONCE = 8
"""Topics that are made side by side."""

_WORDS = (
    "parcel warehouse morning payment pounds received customer return shoes router fibre connection contract "
    "engineer visit afternoon password reset invoice overdue database backup errors rain delays deliveries"
)


@dataclass(frozen=True)
class Place:
    """Fresh topics and the name of an index that does not exist yet; ``mark`` tells it from others."""

    mark: str
    topics: Sequence[str]
    index: str

    @property
    def topic(self) -> str:
        """The first topic."""
        return self.topics[0]

    def resource(self, number: int = 0, **spec: object) -> Resource:
        """A `ConnectivityTest` for one of the topics, not applied yet."""
        return Resource(f"bench-{self.mark}-{number}", [self.topics[number]], self.index, spec=dict(spec))


@contextmanager
def fresh(*, topics: int = 1, partitions: int = 1) -> Iterator[Place]:
    """A place that is removed afterwards, so that the servers hold as much in each round."""
    mark = secrets.token_hex(3)
    name = f"connectivity-test-bench-{mark}"
    place = Place(mark, [f"{name}-{number}" for number in range(topics)], name)
    asyncio.run(_side_by_side(kafka.create_topic(topic, partitions) for topic in place.topics))
    try:
        yield place
    finally:
        asyncio.run(_side_by_side(kafka.delete_topic(topic) for topic in place.topics))
        opensearch.delete_index(place.index)


def apply(resources: Iterable[Resource]) -> None:
    """All of them by one `kubectl apply`."""
    items = [json.loads(resource.manifest()) for resource in resources]
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


def delete(resources: Iterable[Resource]) -> None:
    """All of them, finalizers included."""
    names = [resource.name for resource in resources]
    kubectl("-n", NAMESPACE, "delete", "ctest", "--ignore-not-found", *names, limit=120)


def messages(count: int, size: int) -> list[bytes]:
    """Distinct English-looking texts of ``size`` bytes; the same for every contender."""
    return [_text(number, size) for number in range(count)]


def spread(values: Sequence[bytes], topics: Sequence[str]) -> None:
    """Append the messages to the topics in turn, all at once."""
    asyncio.run(_spread(values, topics))


def rows(topics: Sequence[str]) -> int:
    """How many rows the topics have in `demo_log`, which is made with the first of all rows."""
    if not psql("SELECT to_regclass('public.demo_log')"):
        return 0
    names = ", ".join(f"'{topic}'" for topic in topics)
    return int(psql(f"SELECT count(*) FROM demo_log WHERE kafka_topic IN ({names})"))


def _text(number: int, size: int) -> bytes:
    choice, words = random.Random(number), _WORDS.split()
    text = str(number)
    while len(text) < size:
        text += " " + choice.choice(words)
    return text[:size].encode()


async def _spread(values: Sequence[bytes], topics: Sequence[str]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.BOOTSTRAP_SERVERS, acks="all") as producer:
        for topic in topics:
            await producer.partitions_for(topic)  # asked for beforehand: sending would wait for it topic by topic
        sent = [await producer.send(topics[n % len(topics)], value) for n, value in enumerate(values)]
        await asyncio.gather(*sent)


async def _side_by_side(work: Iterable[Awaitable[None]]) -> None:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Awaitable[None]) -> None:
        async with limit:
            await item

    async with asyncio.TaskGroup() as group:
        for item in work:
            group.create_task(one(item))
