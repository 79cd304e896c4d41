"""Faults of names, packets and TLS between the pod and each server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lab import world
from lab.faults import packets
from lab.faults.fault import Fault

ADDRESSES = {
    "kafka": [(address, 9098) for _, address in world.BROKERS.values()],
    "postgresql": [(world.POSTGRESQL[1], 5432)],
    "opensearch": [(world.OPENSEARCH[1], 443)],
    "openai": [(world.OPENAI[1], 443)],
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


FAULTS = tuple(_blocked(service, *verdict) for service in ADDRESSES for verdict in _VERDICTS)
