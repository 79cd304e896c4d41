"""Packets to one address and port of the lab are dropped, refused, reset or sent elsewhere, by the kernel's own filter.

Every rule carries the fault's name as its comment, by which it is found again. Rules stand where packets arrive
(INPUT): a rule where they leave would tell the sender at once (EPERM), which no firewall on the way can.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from lab.machine import SYSTEM_FOLDERS
from lab.part import PartError

COMMENT = "lab-fault:"

DROP = ("-j", "DROP")
REFUSE = ("-j", "REJECT", "--reject-with", "tcp-reset")
NO_ROUTE = ("-j", "REJECT", "--reject-with", "icmp-net-unreachable")


def block(fault: str, address: str, port: int, verdict: Sequence[str], *, protocol: str = "tcp") -> None:
    """Give packets to ``address:port`` this verdict."""
    _add(fault, ["INPUT", "-d", address, "-p", protocol, "--dport", str(port)], verdict)


def reset_data(fault: str, address: str, port: int) -> None:
    """Accept connections, and reset them at the first byte that the client sends."""
    _add(fault, ["INPUT", "-d", address, "-p", "tcp", "--dport", str(port), "--tcp-flags", "PSH", "PSH"], REFUSE)


def drop_large(fault: str, address: str, port: int, *, longest: int) -> None:
    """Drop packets of more than ``longest`` bytes, as a way with a smaller MTU does where ICMP is kept back."""
    sizes = ("-m", "length", "--length", f"{longest + 1}:")
    _add(fault, ["INPUT", "-d", address, "-p", "tcp", "--dport", str(port), *sizes], DROP)


def drop_large_answers(fault: str, address: str, port: int, *, longest: int) -> None:
    """The same on the way back: what the server sends."""
    sizes = ("-m", "length", "--length", f"{longest + 1}:")
    _add(fault, ["INPUT", "-s", address, "-p", "tcp", "--sport", str(port), *sizes], DROP)


def redirect(fault: str, address: str, port: int, *, to: tuple[str, int]) -> None:
    """Let connections to ``address:port`` arrive at another server."""
    target = ("-j", "DNAT", "--to-destination", f"{to[0]}:{to[1]}")
    _add(fault, ["OUTPUT", "-d", address, "-p", "tcp", "--dport", str(port)], target, table="nat")


def clear(fault: str) -> None:
    """Remove every rule of the fault."""
    for table in ("filter", "nat"):
        for line in _iptables("-t", table, "-S").splitlines():
            words = shlex.split(line)
            if COMMENT + fault in words:
                _iptables("-t", table, "-D", *words[1:])


def _add(fault: str, match: Sequence[str], verdict: Sequence[str], *, table: str = "filter") -> None:
    chain, *condition = match
    rule = [*condition, "-m", "comment", "--comment", COMMENT + fault, *verdict]
    if not _there(table, chain, rule):
        _iptables("-t", table, "-A", chain, *rule)


def _there(table: str, chain: str, rule: Sequence[str]) -> bool:
    found = subprocess.run(
        [_program(), "-w", "-t", table, "-C", chain, *rule], capture_output=True, text=True, check=False
    )
    return found.returncode == 0


def _iptables(*arguments: str) -> str:
    result = subprocess.run([_program(), "-w", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise PartError(f"iptables {shlex.join(arguments)}: {result.stderr.strip()}")
    return result.stdout


def _program() -> str:
    program = shutil.which("iptables", path=SYSTEM_FOLDERS)
    if program is None:
        raise PartError("iptables is missing: python -m lab install")
    return program
