"""Kafka as a part of the lab: two brokers, which the lab can also stop, kill and start singly."""

from __future__ import annotations

import asyncio

from aiokafka.errors import KafkaError

from lab import paths, processes, world
from lab.kafka import admin, build, training
from lab.kafka.broker import CONTROLLER, NODES, address
from lab.kafka.node import answering, lay_out
from lab.part import NotReady


class Kafka:
    """Processes `kafka-1` (broker and controller) and `kafka-2` (broker)."""

    name = "kafka"
    needs: tuple[str, ...] = ("iam",)

    def prepare(self) -> None:
        """Jars, our classes, formatted storage and the class archive."""
        program = build.program()
        build.storage(program)
        _class_archive(program)

    def start(self) -> None:
        """Start the brokers on the data they have."""
        program = build.program()
        formatted = build.storage(program)
        options = _class_archive(program)
        for node in NODES:
            process = _process(node)
            folder = paths.STATE.resolve() / "kafka" / str(node)
            file = lay_out(node, address(node), folder, formatted=formatted / str(node), certificate=process)
            processes.spawn(process, program.command("kafka.Kafka", str(file), options=options))

    def ready(self) -> None:
        """Each broker answers inside and on its IAM listener, and both belong to the cluster."""
        for node in NODES:
            answering(_process(node), address(node))
        try:
            alive = asyncio.run(admin.brokers())
        except (KafkaError, OSError) as error:
            raise NotReady(f"Kafka gives no metadata yet: {error}") from error
        if alive != set(NODES):
            raise NotReady(f"of Kafka's brokers only {sorted(alive)} are registered")

    def seed(self) -> None:
        """Make the topics that the lab promises, and Kafka's own for committed offsets."""
        asyncio.run(_create_topics())

    def stop(self) -> None:
        """End the controller last: without it no other broker can end in peace, only by its time limit."""
        for node in sorted(NODES, key=lambda node: node == CONTROLLER):
            processes.end(_process(node))


def _process(node: int) -> str:
    return f"kafka-{node}"


def _class_archive(program: build.Program) -> list[str]:
    return build.class_archive(program, lambda options: training.train(program, options))


async def _create_topics() -> None:
    for topic, partitions in world.TOPICS.items():
        await admin.create_topic(topic, partitions)
    await admin.make_offsets_topic()
