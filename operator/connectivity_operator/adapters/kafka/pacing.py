"""Keeps aiokafka from asking as fast as the network carries it.

While a partition has no leader, its fetch routine asks for metadata again as soon as it has the answer: two thousand
times a second, from every consumer, at a cluster that has just lost a broker. A fetch that is answered by an error
is repeated in the same way.
"""
# ruff: noqa: SLF001 - what is needed of aiokafka here is private, see the docstring of the package

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 2.0
"""Seconds between two Metadata requests of one client: doubling while they follow each other."""
CALM = 5.0
"""Seconds without a Metadata request after which the next one is sent at once."""

FRUITLESS = 0.25
"""Seconds that a fetch takes at least if it brings nothing: one that is not refused waits longer at the broker."""


def pace(consumer: AIOKafkaConsumer) -> None:
    """Space the requests of a started consumer."""
    client, fetcher = consumer._client, consumer._fetcher
    client._metadata_update = _PacedMetadata(client._metadata_update)
    fetcher._proc_fetch_request = _PacedFetch(fetcher, fetcher._proc_fetch_request)


class _PacedMetadata:
    def __init__(self, update: Any) -> None:
        self._update = update
        self._pause = FIRST_PAUSE
        self._last = float("-inf")

    async def __call__(self, *args: Any) -> Any:
        since = asyncio.get_running_loop().time() - self._last
        self._pause = FIRST_PAUSE if since > CALM else min(self._pause * 2, LONGEST_PAUSE)
        await asyncio.sleep(max(0.0, self._pause - since))
        try:
            return await self._update(*args)
        finally:
            self._last = asyncio.get_running_loop().time()


class _PacedFetch:
    def __init__(self, fetcher: Any, fetch: Any) -> None:
        self._fetcher, self._fetch = fetcher, fetch

    async def __call__(self, assignment: Any, *args: Any) -> Any:
        began = asyncio.get_running_loop().time()
        brought_something = await self._fetch(assignment, *args)
        left = began + FRUITLESS - asyncio.get_running_loop().time()
        # aiokafka's method swallows the cancellation by which a revoked assignment and `stop()` end it.
        if not brought_something and left > 0 and assignment.active and not self._fetcher._closed:
            await asyncio.sleep(left)
        return brought_something
