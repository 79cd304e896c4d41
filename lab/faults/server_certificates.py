"""Certificates are swapped on the running servers: what they show to new connections from then on.

The lab's own servers read theirs again at SIGHUP, PostgreSQL at its own reload, Kafka when a broker's dynamic
configuration names another key store.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from lab import certificates, paths, processes, world
from lab.kafka import admin as kafka
from lab.kafka.broker import NODES
from lab.postgresql import control as postgresql


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a certificate; the defaults are right."""

    ca: str = ""
    """Who signs it; empty: who always does."""
    hosts: tuple[str, ...] = ()
    """Whom it is for; empty: the server."""
    begins: timedelta = timedelta(hours=-1)
    ends: timedelta = certificates.SERVER_LIFETIME
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)


@dataclass(frozen=True)
class Server:
    """A server whose certificate can be swapped."""

    certificate: str
    """Name of its files (`lab.certificates`)."""
    hosts: tuple[str, ...]
    ca: str = "ca"
    reload: Callable[[], None] = lambda: None


def _hang_up(process: str) -> Callable[[], None]:
    return lambda: processes.send(process, signal.SIGHUP)


SERVERS: Mapping[str, Server] = {
    "opensearch": Server("opensearch-gateway", (world.OPENSEARCH[0],), reload=_hang_up("opensearch-gateway")),
    "openai": Server("openai", (world.OPENAI[0],), reload=_hang_up("openai")),
    "sts": Server("iam", (world.STS[0], world.SECRETS_MANAGER[0]), reload=_hang_up("iam")),
    "postgresql": Server("postgresql", (world.POSTGRESQL[0],), "rds-ca", postgresql.reload_configuration),
}
KAFKA_HOSTS = ("*." + world.BROKERS[1][0].partition(".")[2],)


def spoil(service: str, flaw: Flaw) -> None:
    """Show a certificate with this flaw."""
    if service == "kafka":
        chain, key = certificates.forge(
            "kafka-fault",
            ca=flaw.ca or "ca",
            hosts=flaw.hosts or KAFKA_HOSTS,
            begins=flaw.begins,
            ends=flaw.ends,
            curve=flaw.curve,
        )
        _use_keystore(_keystore(chain, key))
        return
    server = SERVERS[service]
    certificates.forge(
        server.certificate,
        ca=flaw.ca or server.ca,
        hosts=flaw.hosts or server.hosts,
        begins=flaw.begins,
        ends=flaw.ends,
        curve=flaw.curve,
    )
    server.reload()


def restore(service: str) -> None:
    """Show a good certificate, a new one: as after a renewal."""
    if service == "kafka":
        _use_keystore(None)
        return
    server = SERVERS[service]
    certificates.forget(server.certificate)
    certificates.issue(server.certificate, ca=server.ca, hosts=server.hosts)
    server.reload()


# ── Kafka ────────────────────────────────────────────────────────────────────────────────────────────
_PREFIX = "listener.name.iam.ssl.keystore"


def _keystore(chain: Path, key: Path) -> Path:
    file = paths.CERTIFICATES / "kafka-fault.keystore.pem"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(key.read_bytes() + chain.read_bytes())
    return file.resolve()


def _use_keystore(file: Path | None) -> None:
    """None: the one of `server.properties`. Brokers take it at once."""
    settings = {} if file is None else {f"{_PREFIX}.location": str(file), f"{_PREFIX}.type": "PEM"}
    for node in NODES:
        asyncio.run(kafka.configure_broker(node, settings))
