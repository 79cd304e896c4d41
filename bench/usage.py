"""What a process uses, read from /proc: memory, threads, CPU time, TCP connections by their service."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import parts, processes, world
from lab.part import PartError

ESTABLISHED = "01"
OTHER = "other"

SERVICES: Mapping[tuple[str, int], str] = {
    **{(address, 9098): "kafka" for _, address in world.BROKERS.values()},
    (world.OPENAI[1], 443): "openai",
    (world.OPENSEARCH[1], 443): "opensearch",
    (world.POSTGRESQL[1], 5432): "postgresql",
    (world.STS[1], 443): "sts",
    world.KUBERNETES_API: "kubernetes",
}
"""Address and port -> the service that listens there."""

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """A process at one moment. Memory in MiB."""

    resident: float
    peak: float
    """The largest ``resident`` since the process began."""
    private: float
    """What would be free if this process ended: without the pages that it shares with others."""
    threads: int
    cpu: float
    """Seconds of CPU used so far, of all threads, in user and kernel mode."""
    connections: Mapping[str, int]


def named(process: str) -> Usage:
    """Look at a process of the lab. Raises `PartError` if it does not run."""
    processes.check(process)
    record = processes.find(process)
    if record is None:
        raise PartError(f"{process} has just ended")
    return of(record.pid)


def of(pid: int) -> Usage:
    """Look at a living process. Raises `FileNotFoundError` or `ProcessLookupError` if there is none."""
    folder = Path("/proc", str(pid))
    status = _kilobytes((folder / "status").read_text())
    mapped = _kilobytes((folder / "smaps_rollup").read_text())
    return Usage(
        resident=status["VmRSS"] / 1024,
        peak=status["VmHWM"] / 1024,
        private=(mapped["Private_Clean"] + mapped["Private_Dirty"]) / 1024,
        threads=len(list((folder / "task").iterdir())),
        cpu=cpu_seconds((folder / "stat").read_text()),
        connections=connections((folder / "net" / "tcp").read_text(), set(_sockets(folder / "fd"))),
    )


def servers() -> dict[str, float]:
    """CPU seconds that each part of the lab has used so far; what has ended is not counted."""
    owners = {record.pid: part for record in processes.records() if (part := parts.owner(record.name))}
    found = dict.fromkeys(parts.NAMES, 0.0)
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            stat = file.read_text()
            part = next((owners[pid] for pid in relatives(stat) if pid in owners), None)
            if part:
                found[part] += cpu_seconds(stat)
    return found


def relatives(stat: str) -> tuple[int, int]:
    """Parent and session of /proc/PID/stat. PostgreSQL's backends have sessions of their own, but know their parent."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[1]), int(fields[3])


def cpu_seconds(stat: str) -> float:
    """utime + stime of /proc/PID/stat (proc(5): fields 14 and 15; the second is a name that may hold blanks)."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def connections(table: str, inodes: Collection[str]) -> Counter[str]:
    """Established connections of ``table`` (/proc/PID/net/tcp) that belong to ``inodes``, by service."""
    found: Counter[str] = Counter()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == ESTABLISHED and fields[9] in inodes:
            found[SERVICES.get(_endpoint(fields[2]), OTHER)] += 1
    return found


def _endpoint(text: str) -> tuple[str, int]:
    """/proc prints an IPv4 address as one 32-bit word in the machine's byte order."""
    address, _, port = text.partition(":")
    return socket.inet_ntoa(struct.pack("=I", int(address, 16))), int(port, 16)


def _sockets(folder: Path) -> Iterator[str]:
    for descriptor in folder.iterdir():
        with suppress(OSError):  # closed since it was listed
            if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                yield found[1]


def _kilobytes(text: str) -> dict[str, int]:
    """``VmRSS:   12345 kB`` and the like."""
    return {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
