"""What aiokafka 0.14 has no setting for, replaced in the module that its consumers and producers share."""

from __future__ import annotations

import asyncio
from typing import Any

import aiokafka.client
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.metadata import MetadataRequest

CONNECT_LIMIT = 6.0
"""Seconds for connecting and logging in to one broker."""


class AskingMetadataRequest(MetadataRequest):  # type: ignore[misc]
    """A Metadata request that creates no topic: aiokafka's own do, on clusters with ``auto.create.topics.enable``."""

    def __init__(self, topics: list[str] | None = None) -> None:
        super().__init__(topics, allow_auto_topic_creation=False)


async def connect(*args: Any, **options: Any) -> AIOKafkaConnection:
    """aiokafka's `create_conn` with a limit of its own.

    aiokafka has one time-out for requests and connections, and one lock around connecting: a broker whose packets
    are dropped would keep a client from all other brokers for as long as a rebalance may take.
    """
    async with asyncio.timeout(CONNECT_LIMIT):
        return await create_conn(*args, **options)


def apply() -> None:
    """Replace both; harmless when repeated."""
    aiokafka.client.MetadataRequest = AskingMetadataRequest
    aiokafka.client.create_conn = connect
