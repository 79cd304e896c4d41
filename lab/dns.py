"""The part `dns`: dnsmasq answers the AWS-shaped names of `lab.world`, and nothing else.

Which process uses it is decided by `lab.operator_env`, which puts `RESOLV_CONF` over the process's
``/etc/resolv.conf`` in a private mount namespace; the machine's own resolver is not touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import struct
import time
from collections.abc import Mapping

from lab import paths, processes, world
from lab.part import NotReady, PartError

FOLDER = paths.STATE / "dns"
HOSTS = FOLDER / "hosts"
RESOLV_CONF = FOLDER / "resolv.conf"
PORT = 53

TYPE_A, CLASS_IN = 1, 1
RECURSION_DESIRED = 0x0100
NXDOMAIN = 3


class Dns:
    """One dnsmasq on an address of its own."""

    name = "dns"
    needs: tuple[str, ...] = ()

    def prepare(self) -> None:
        _program()

    def start(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        RESOLV_CONF.write_text(f"nameserver {world.DNS_ADDRESS}\noptions timeout:1 attempts:1\n")
        if not processes.find(self.name):
            _write_hosts(world.names())
        processes.spawn(self.name, _command())

    def ready(self) -> None:
        name, address = world.STS
        if (answer := resolve(name)) != [address]:
            raise NotReady(f"{name} resolves to {answer}, not to {address}")

    def seed(self) -> None:
        """Nothing beyond the names."""

    def stop(self) -> None:
        """Ending the process is enough."""


def publish(names: Mapping[str, str]) -> None:
    """Answer these names (name -> address) and no others, from now on. ``world.names()`` is the normal state."""
    before = {name for name in world.names() if resolve(name)} - set(names)
    _write_hosts(names)
    processes.send(Dns.name, signal.SIGHUP)
    expected = {**{name: [] for name in before}, **{name: [address] for name, address in names.items()}}
    deadline = time.monotonic() + 5
    while any(resolve(name) != answer for name, answer in expected.items()):
        if time.monotonic() > deadline:
            raise PartError(f"dnsmasq does not answer as {HOSTS} says; see `python -m lab logs dns`")
        time.sleep(0.02)


def resolve(name: str, *, limit: float = 1.0) -> list[str]:
    """The IPv4 addresses that the lab's resolver gives for a name, none if it does not exist (RFC 1035, 4.1).

    Raises `NotReady` if there is no answer within ``limit`` seconds.
    """
    number = secrets.randbits(16)
    query = struct.pack(">6H", number, RECURSION_DESIRED, 1, 0, 0, 0) + _question(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(limit)
        client.connect((world.DNS_ADDRESS, PORT))
        try:
            client.send(query)
            answer = client.recv(512)
        except OSError as error:
            raise NotReady(f"no answer from {world.DNS_ADDRESS}:{PORT}: {error}") from error
    _, flags, _, answers, _, _ = struct.unpack(">6H", answer[:12])
    if flags & 0xF not in (0, NXDOMAIN):
        raise NotReady(f"{world.DNS_ADDRESS}:{PORT} answers with code {flags & 0xF}")
    return _addresses(answer, start=len(query), count=answers)


def _question(name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return labels + b"\0" + struct.pack(">2H", TYPE_A, CLASS_IN)


def _addresses(answer: bytes, *, start: int, count: int) -> list[str]:
    """A records; each begins with a two-byte pointer to the name in the question, as dnsmasq writes it."""
    found, position = [], start
    for _ in range(count):
        kind, _, _, length = struct.unpack_from(">HHIH", answer, position + 2)
        data = answer[position + 12 : position + 12 + length]
        if kind == TYPE_A:
            found.append(socket.inet_ntoa(data))
        position += 12 + length
    return found


def _write_hosts(names: Mapping[str, str]) -> None:
    new = HOSTS.with_suffix(".new")
    new.write_text("".join(f"{address} {name}\n" for name, address in sorted(names.items())))
    new.replace(HOSTS)


def _program() -> str:
    # Debian keeps it in /usr/sbin, which is not on everybody's PATH.
    program = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise PartError("dnsmasq is missing: python -m lab install")
    return program


def _command() -> list[str]:
    return [
        _program(),
        "--keep-in-foreground", "--log-facility=-", "--log-queries", "--pid-file=", "--user=root",
        "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--addn-hosts={HOSTS}",
        # Without it dnsmasq answers REFUSED to an unknown name, which reads as "temporary failure" (EAI_AGAIN).
        "--local=/#/",
        f"--listen-address={world.DNS_ADDRESS}", "--bind-interfaces", f"--port={PORT}",
    ]  # fmt: skip
