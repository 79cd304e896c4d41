"""Faults of names and packets between the pod and each server."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from functools import partial

from lab import processes, world
from lab.dns import Dns
from lab.faults import names, packets
from lab.faults.fault import Fault
from lab.waiting import until_ready

ADDRESSES = {
    "kafka": [(address, 9098) for _, address in world.BROKERS.values()],
    "postgresql": [(world.POSTGRESQL[1], 5432)],
    "opensearch": [(world.OPENSEARCH[1], 443)],
    "openai": [(world.OPENAI[1], 443)],
    "sts": [(world.STS[1], 443)],
}
"""Dependency -> where it listens."""

_VERDICTS: Sequence[tuple[str, str, Callable[[str, str, int], None]]] = (
    ("refused", "reject packets to it with a TCP reset", partial(packets.block, verdict=packets.REFUSE)),
    ("blackholed", "drop packets to it", partial(packets.block, verdict=packets.DROP)),
    (
        "unroutable",
        "answer packets to it with ICMP network unreachable",
        partial(packets.block, verdict=packets.NO_ROUTE),
    ),
    ("reset", "reset connections to it at the first byte", packets.reset_data),
)


def _blocked(service: str, verdict: str, summary: str, rule: Callable[[str, str, int], None]) -> Fault:
    name = f"network-{service}-{verdict}"

    def on() -> None:
        for address, port in ADDRESSES[service]:
            rule(name, address, port)

    return Fault(name, summary, on, partial(packets.clear, name))


# ── names ────────────────────────────────────────────────────────────────────────────────────────────
NAMES = {
    "kafka": [name for name, _ in world.BROKERS.values()],
    "postgresql": [world.POSTGRESQL[0]],
    "opensearch": [world.OPENSEARCH[0]],
    "openai": [world.OPENAI[0]],
    "sts": [world.STS[0]],
}
NOBODY = "127.77.0.99"
"""An address of the lab where nothing listens."""


def _renamed(service: str, what: str, summary: str, address: str | None) -> Fault:
    name = f"dns-{service}-{what}"
    answers: dict[str, str | None] = dict.fromkeys(NAMES[service], address)
    return Fault(name, summary, partial(names.override, name, answers), partial(names.restore, name))


def _stop_resolver() -> None:
    if processes.find(Dns.name):
        processes.end(Dns.name, remember=True)


def _start_resolver() -> None:
    processes.spawn_again(Dns.name)
    until_ready(Dns().ready, limit=5)


def _resume_resolver() -> None:
    processes.send(Dns.name, signal.SIGCONT)
    until_ready(Dns().ready, limit=5)


MTU = 1500
"""Longer is what carries a session token; a greeting of TLS is not."""


def _lossy(service: str) -> Fault:
    name = f"network-{service}-large-packets-lost"

    def on() -> None:
        for address, port in ADDRESSES[service]:
            packets.drop_large(name, address, port, longest=MTU)

    return Fault(name, f"drop packets to it of more than {MTU} bytes", on, partial(packets.clear, name))


FAULTS = (
    *(_renamed(service, "absent", "take the name out of DNS", None) for service in NAMES),
    *(_renamed(service, "stale", "let the name lead to an address where nothing listens", NOBODY) for service in NAMES),
    Fault(
        "dns-silent",
        "pause the resolver (SIGSTOP)",
        partial(processes.send, Dns.name, signal.SIGSTOP),
        _resume_resolver,
    ),
    Fault(
        "dns-ended", "end the resolver: its port answers with ICMP port unreachable", _stop_resolver, _start_resolver
    ),
    *(_blocked(service, *verdict) for service in ADDRESSES for verdict in _VERDICTS),
    *(_lossy(service) for service in ("kafka", "postgresql", "opensearch")),
)
