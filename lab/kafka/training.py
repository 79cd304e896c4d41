"""Runs one broker through what brokers do, so that the JVM can archive the classes that it needs for that."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lab import processes
from lab.kafka import build
from lab.kafka.broker import CONTROLLER, INTERNAL_PORT, Address
from lab.kafka.node import answering, lay_out
from lab.waiting import until_ready

PROCESS = "kafka-training"
START_LIMIT = 60.0
END_LIMIT = 120.0
"""Writing the archive takes the JVM some ten seconds of CPU."""

TRAINEE = Address("b-1.trainee.localhost", "127.77.0.118", "127.77.0.119")
"""Away from the lab's own brokers, which may be running."""


def train(program: build.Program, options: Sequence[str]) -> None:
    """Start a broker with these JVM options, use it, end it in peace."""
    build.LOG.info("making Kafka start fast (some 5 s, once)")
    with tempfile.TemporaryDirectory() as folder:
        file = lay_out(
            CONTROLLER,
            TRAINEE,
            Path(folder),
            formatted=build.storage(program) / str(CONTROLLER),
            certificate=PROCESS,
        )
        processes.spawn(PROCESS, program.command("kafka.Kafka", str(file), options=options))
        try:
            until_ready(lambda: answering(PROCESS, TRAINEE), limit=START_LIMIT)
            asyncio.run(_use())
        finally:
            processes.end(PROCESS, grace=END_LIMIT)


async def _use() -> None:
    """Make a topic and write to it."""
    servers = f"{TRAINEE.internal}:{INTERNAL_PORT}"
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("training", 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait("training", b"a record")
