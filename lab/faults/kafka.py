"""Faults of Kafka: permissions on cluster, topics and groups; brokers, leaders and topics that are away; settings."""

from __future__ import annotations

import asyncio
from functools import partial

from lab import processes, runner, world
from lab.faults import names, packets
from lab.faults.fault import Fault
from lab.faults.network import NOBODY
from lab.faults.permissions import behaviour, denial
from lab.kafka import admin

TOPIC = "payments"
"""The one topic that some faults are about."""
ONE_COPY = "connectivity-test-one-copy"
"""A topic whose partitions have a single replica: the first lives on broker 1, the second on broker 2."""

_TOPICS = f"arn:aws:kafka:{world.REGION}:{world.ACCOUNT}:topic/demo/{world.CLUSTER_UUID}"
_SECOND = world.BROKERS[2]

PERMISSIONS = (
    denial("kafka-connect-denied", "deny kafka-cluster:Connect in the role's policy", "kafka-cluster:Connect"),
    denial("kafka-everything-denied", "deny kafka-cluster:* in the role's policy", "kafka-cluster:*"),
    denial("kafka-describetopic-denied", "deny kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopic"),
    denial("kafka-readdata-denied", "deny kafka-cluster:ReadData in the role's policy", "kafka-cluster:ReadData"),
    denial("kafka-describegroup-denied", "deny kafka-cluster:DescribeGroup", "kafka-cluster:DescribeGroup"),
    denial("kafka-altergroup-denied", "deny kafka-cluster:AlterGroup", "kafka-cluster:AlterGroup"),
    denial(
        "kafka-one-topic-describe-denied",
        f"deny kafka-cluster:DescribeTopic on one topic of three ({TOPIC})",
        "kafka-cluster:DescribeTopic",
        resource=f"{_TOPICS}/{TOPIC}",
    ),
    denial(
        "kafka-one-topic-read-denied",
        f"deny kafka-cluster:ReadData on one topic of three ({TOPIC})",
        "kafka-cluster:ReadData",
        resource=f"{_TOPICS}/{TOPIC}",
    ),
    behaviour(
        "kafka-credentials-short",
        "let brokers refuse credentials that end within two hours",
        min_session_seconds=7200,
    ),
    behaviour("kafka-connection-rate", "let brokers refuse every new IAM connection for its rate", connect_rate=-1),
)


# ── brokers and topics ───────────────────────────────────────────────────────────────────────────────
def _stop_second() -> None:
    if processes.find("kafka-2"):
        processes.end("kafka-2", remember=True)


def _start_second() -> None:
    if "kafka-2" in processes.stopped():
        runner.start("kafka-2")


def _lose_leader() -> None:
    asyncio.run(admin.create_topic(ONE_COPY, replicas=[[1], [2]]))
    _stop_second()


def _find_leader() -> None:
    _start_second()
    asyncio.run(admin.delete_topic(ONE_COPY))


def _without_second(name: str, summary: str, *, refused: bool) -> Fault:
    """Packets to the second broker, which leads partitions, go astray; the cluster itself is whole."""
    verdict = packets.REFUSE if refused else packets.DROP
    return Fault(name, summary, partial(packets.block, name, _SECOND[1], 9098, verdict), partial(packets.clear, name))


BROKERS = (
    Fault(
        "kafka-topic-absent",
        f"delete one topic of three ({TOPIC})",
        lambda: asyncio.run(admin.delete_topic(TOPIC)),
        lambda: asyncio.run(admin.create_topic(TOPIC, world.TOPICS[TOPIC])),
    ),
    _without_second("kafka-broker-refused", "reject packets to the second broker, which leads", refused=True),
    _without_second("kafka-broker-blackholed", "drop packets to the second broker, which leads", refused=False),
    Fault(
        "kafka-broker-unresolved",
        "take the second broker's name out of DNS",
        partial(names.override, "kafka-broker-unresolved", {_SECOND[0]: None}),
        partial(names.restore, "kafka-broker-unresolved"),
    ),
    Fault(
        "kafka-broker-stale",
        "let the second broker's name lead to an address where nothing listens",
        partial(names.override, "kafka-broker-stale", {_SECOND[0]: NOBODY}),
        partial(names.restore, "kafka-broker-stale"),
    ),
    Fault("kafka-broker-stopped", "stop the second broker; the first leads everything", _stop_second, _start_second),
    Fault(
        "kafka-leader-lost",
        f"stop the second broker, which has the only replica of a partition of {ONE_COPY}",
        _lose_leader,
        _find_leader,
    ),
)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
def _bootstrap(name: str, summary: str, port: int, *, host: str | None = None) -> Fault:
    servers = ",".join(f"{host or broker}:{port}" for broker, _ in world.BROKERS.values())
    return Fault(name, summary, environment={"KAFKA_BOOTSTRAP_SERVERS": servers})


SETTINGS = (
    Fault(
        "kafka-not-configured",
        "take KAFKA_BOOTSTRAP_SERVERS away",
        environment={"KAFKA_BOOTSTRAP_SERVERS": None},
    ),
    _bootstrap("kafka-listener-plaintext", "give the port of the plaintext listener", 9092),
    _bootstrap("kafka-listener-tls", "give the port of the TLS listener without login", 9094),
    _bootstrap("kafka-listener-scram", "give the port of the SCRAM listener", 9096),
    _bootstrap("kafka-port-closed", "give a port where nothing listens", 9999),
    _bootstrap("kafka-not-a-broker", "give a web server for a broker", 443, host=world.OPENSEARCH[0]),
    Fault(
        "kafka-one-bootstrap-wrong",
        "misspell one bootstrap server of two",
        environment={"KAFKA_BOOTSTRAP_SERVERS": f"{world.BROKERS[1][0]}:9098,b-3{world.BROKERS[1][0][3:]}:9098"},
    ),
)

FAULTS = (*PERMISSIONS, *BROKERS, *SETTINGS)
