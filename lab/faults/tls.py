"""Faults of TLS between the pod and each server: certificates, and servers that do not speak it as they should."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec

from lab import paths, processes, world
from lab.faults import impostor, packets
from lab.faults.fault import Fault
from lab.faults.network import ADDRESSES
from lab.faults.server_certificates import Flaw, restore, spoil
from lab.operator_env import lose_ca_file, write_ca_file
from lab.waiting import until_listening

SERVICES = ("kafka", "postgresql", "opensearch", "openai", "sts")

_FLAWS = {
    "certificate-untrusted": ("signed by an authority that nobody trusts", Flaw(ca="unknown-ca")),
    "certificate-mismatch": ("for another name", Flaw(hosts=("elsewhere.example.com",))),
    "certificate-expired": ("that ended yesterday", Flaw(begins=timedelta(days=-30), ends=timedelta(days=-1))),
    "certificate-early": ("that begins tomorrow", Flaw(begins=timedelta(days=1))),
    "certificate-ends-soon": ("that ends in three days", Flaw(ends=timedelta(days=3))),
}


def _certificates() -> Iterator[Fault]:
    for service in SERVICES:
        for name, (summary, flaw) in _FLAWS.items():
            if (service, name) != ("sts", "certificate-ends-soon"):  # nobody looks: STS has no TLS rung of its own
                yield Fault(
                    f"tls-{service}-{name}",
                    f"swap the server's certificate for one {summary}",
                    partial(spoil, service, flaw),
                    partial(restore, service),
                )


def _impostor(service: str, what: str, kind: str, summary: str) -> Fault:
    name = f"tls-{service}-{what}"
    process = f"impostor-{kind}"

    def on() -> None:
        processes.spawn(process, [sys.executable, "-m", "lab.faults.impostor", kind], cwd=paths.ROOT)
        until_listening(impostor.ADDRESS, impostor.PORTS[kind])
        for address, port in ADDRESSES[service]:
            packets.redirect(name, address, port, to=(impostor.ADDRESS, impostor.PORTS[kind]))

    return Fault(name, summary, on, partial(packets.clear, name))


def _ca_file(name: str, variable: str) -> Fault:
    summary = f"delete the ConfigMap with the file that {variable} names"
    return Fault(f"tls-{name}", summary, partial(lose_ca_file, variable), partial(write_ca_file, variable))


def _plain(service: str, ports: dict[int, int]) -> Fault:
    """Every connection to a port arrives at another port of the same server, which speaks no TLS."""
    name = f"tls-{service}-plain"

    def on() -> None:
        for address, port in ADDRESSES[service]:
            packets.redirect(name, address, port, to=(address, ports[port]))

    return Fault(name, "lead connections to a port that speaks plain HTTP", on, partial(packets.clear, name))


_REFUSING = "put a server in its place that refuses every version of TLS"
_SILENT = "put a server in its place that accepts connections and says nothing"

FAULTS = (
    *_certificates(),
    _ca_file("postgresql-ca-file-missing", "POSTGRES_CA_FILE"),
    _ca_file("extra-ca-file-missing", "EXTRA_CA_FILE"),
    Fault(
        "tls-postgresql-refused",
        "swap the server's key for one of a kind (secp256k1) that clients do not offer",
        partial(spoil, "postgresql", Flaw(curve=ec.SECP256K1())),
        partial(restore, "postgresql"),
    ),
    *(_plain(service, {443: world.LAB_IAM_ADMIN[1]}) for service in ("opensearch", "openai", "sts")),
    *(_impostor(service, "refused", "refusing", _REFUSING) for service in ("kafka", "opensearch", "openai", "sts")),
    *(_impostor(service, "silent", "silent", _SILENT) for service in ("kafka", "opensearch", "openai")),
)
