"""Who listens on the lab's addresses, read from /proc: what `down` must leave empty."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NETWORKS = (ipaddress.ip_network("127.77.0.0/24"), ipaddress.ip_network("127.96.0.0/24"))
"""Where all addresses of `lab.world` lie; nothing else has a reason to listen there."""

TABLES = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""Table below /proc/net -> the state of a socket that waits for others (LISTEN; for UDP: not connected)."""


@dataclass(frozen=True)
class Listener:
    """A bound socket."""

    address: str
    port: int
    inode: str

    def __str__(self) -> str:
        return f"{self.address}:{self.port} ({owner(self)})"


def in_lab() -> list[Listener]:
    """Every TCP and UDP listener on an address of the lab, whoever it belongs to."""
    found = [one for table, state in TABLES.items() for one in _sockets(Path("/proc/net", table), state)]
    return [one for one in found if any(ipaddress.ip_address(one.address) in network for network in NETWORKS)]


def owner(listener: Listener) -> str:
    """The process behind a listener, for a person: ``pid 123 dnsmasq``."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it ended meanwhile, or is another user's
            if str(link.readlink()) == f"socket:[{listener.inode}]":
                process = link.parent.parent
                return f"pid {process.name} {(process / 'comm').read_text().strip()}"
    return "process unknown"


def _sockets(table: Path, state: str) -> Iterator[Listener]:
    if table.exists():
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                address, _, port = fields[1].partition(":")
                yield Listener(_address(address), int(port, 16), fields[9])


def _address(text: str) -> str:
    """/proc prints addresses as 32-bit words in the machine's byte order; Java binds IPv4 as ``::ffff:a.b.c.d``."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    mapped = ipaddress.IPv6Address(packed).ipv4_mapped
    return str(mapped or ipaddress.IPv6Address(packed))
