"""What a broker of the lab is: its addresses, its configuration, its command line. Decides, does nothing.

Node 1 is broker and controller, node 2 a broker only, so the cluster outlives the loss of node 2 entirely, and without
node 1 goes on serving what node 2 leads. Replication is that of an MSK cluster in two availability zones
(two replicas, one in sync is enough), so that the loss of a broker moves its partitions to the other one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import world
from lab.java import Java

NODES = tuple(world.BROKERS)
CONTROLLER = 1

PORTS = {"PLAINTEXT": 9092, "TLS": 9094, "SCRAM": 9096, "IAM": 9098}
"""Listener -> port, as on MSK. They are advertised by the brokers' names."""

INTERNAL_ADDRESSES = {1: "127.77.0.111", 2: "127.77.0.112"}
INTERNAL_PORT = 19092
CONTROLLER_PORT = 19093
"""The brokers talk to each other, and the lab to them, at addresses of their own: packets that a fault drops on the way
to a broker's public address must not cut the cluster itself, as on AWS, where a security group stands between client
and broker. The internal listener advertises plain addresses, so that it needs no resolver."""

SCRAM_USER = "connectivity-test"
SCRAM_PASSWORD = "known-to-everyone-in-the-lab"
"""For the SCRAM listener, which IAM clients meet when they are given the wrong port."""

CLUSTER_ID = "bGFiLWtyYWZ0LWRlbW8tMQ"
"""KRaft's own id of the cluster: 16 bytes in base64url."""


@dataclass(frozen=True)
class Address:
    """Where a node listens."""

    name: str
    public: str
    internal: str


def address(node: int) -> Address:
    """Addresses of a broker of the lab's cluster."""
    name, public = world.BROKERS[node]
    return Address(name, public, INTERNAL_ADDRESSES[node])


def properties(node: int, at: Address, *, log_dir: Path, keystore: Path, truststore: Path) -> dict[str, str]:
    """The broker's configuration."""
    controller = at if node == CONTROLLER else address(CONTROLLER)
    values = {
        **_identity(node, controller, log_dir),
        **_listeners(node, at),
        **_security(keystore, truststore),
        **_cluster(),
        **_frugality(),
    }
    if node == CONTROLLER:  # a setting of controllers; brokers warn about it
        values["default.replication.factor"] = "2"
    return values


def properties_text(values: Mapping[str, str]) -> str:
    """The configuration as the text of a `.properties` file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def command(java: Java, jars: Sequence[Path], main: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
    """Run one of Kafka's classes. ``jars`` must always be given in the same order: a class archive insists on it."""
    logging = {
        "defaultLogLevel": "warn",
        "log.lab": "info",
        "showDateTime": "true",
        "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSS",
    }
    return [
        str(java.java),
        "-Xmx384m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # half the CPU time of a start
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        *options,
        *(f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in logging.items()),
        "-cp",
        ":".join(map(str, jars)),
        main,
        *arguments,
    ]


def _identity(node: int, controller: Address, log_dir: Path) -> dict[str, str]:
    return {
        "node.id": str(node),
        "process.roles": "broker,controller" if node == CONTROLLER else "broker",
        "broker.rack": f"euw2-az{node}",
        "controller.quorum.bootstrap.servers": f"{controller.internal}:{CONTROLLER_PORT}",
        "log.dirs": str(log_dir),
    }


def _listeners(node: int, at: Address) -> dict[str, str]:
    internal = f"INTERNAL://{at.internal}:{INTERNAL_PORT}"
    listening = [internal, *(f"{name}://{at.public}:{port}" for name, port in PORTS.items())]
    if node == CONTROLLER:
        listening.append(f"CONTROLLER://{at.internal}:{CONTROLLER_PORT}")
    advertised = [internal, *(f"{name}://{at.name}:{port}" for name, port in PORTS.items())]
    return {
        "listeners": ",".join(listening),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": (
            "INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,TLS:SSL,SCRAM:SASL_SSL,IAM:SASL_SSL"
        ),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
    }


def _security(keystore: Path, truststore: Path) -> dict[str, str]:
    iam = "listener.name.iam.oauthbearer"
    scram = "listener.name.scram"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(keystore),
        # A fault may show a certificate for other names (which Kafka refuses to swap otherwise, since 3.7).
        "ssl.allow.dn.changes": "true",
        "ssl.allow.san.changes": "true",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(truststore),
        "listener.name.iam.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{iam}.sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;",
        f"{iam}.sasl.server.callback.handler.class": "lab.msk.MskIamCallbackHandler",
        # An upper limit: a session ends when lab-iam says so in its answer to the login.
        f"{iam}.connections.max.reauth.ms": "43200000",
        f"{scram}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        f"{scram}.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "authorizer.class.name": "lab.msk.IamAuthorizer",
        "lab.iam.url": "http://{}:{}".format(*world.LAB_IAM_ADMIN),
        "lab.iam.cluster.arn": world.CLUSTER_ARN,
    }


def _cluster() -> dict[str, str]:
    return {
        # MSK's defaults for two availability zones.
        "auto.create.topics.enable": "false",
        "min.insync.replicas": "1",
        "offsets.topic.replication.factor": "2",
        "transaction.state.log.replication.factor": "2",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "2",
        "share.coordinator.state.topic.min.isr": "1",
        # Few, yet enough that either broker coordinates some groups.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "2",
        "share.coordinator.state.topic.num.partitions": "2",
        # Kafka waits three seconds for further members of a new group; a test would wait with it.
        "group.initial.rebalance.delay.ms": "0",
        # A broker that was killed cannot come back until its session has ended (by default 9 s).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # After a broker's return its partitions come back to it soon, not after five minutes.
        "leader.imbalance.check.interval.seconds": "5",
    }


def _frugality() -> dict[str, str]:
    return {
        "num.network.threads": "2",
        "num.io.threads": "4",
        "background.threads": "2",
        "num.recovery.threads.per.data.dir": "1",
        "log.cleaner.dedupe.buffer.size": "4194304",
    }
