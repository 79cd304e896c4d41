"""Processes of the lab: started in sessions of their own, remembered on disk, ended by pid.

A record holds the pid *and* the kernel's start time of it, so that a recycled pid is never signalled:
`lab down` works after a crash of the lab, a reboot, or being run twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import paths
from lab.part import PartError

UNPRIVILEGED_UID = 65534
"""PostgreSQL and OpenSearch refuse to run as root; this is Debian's `nobody`."""


@dataclass(frozen=True)
class Record:
    """One started process."""

    name: str
    pid: int
    started: int
    """Start time in clock ticks since boot, field 22 of /proc/PID/stat."""
    argv: list[str]
    log: str


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    unprivileged: bool = False,
) -> Record:
    """Start a process in its own session; its output goes to ``<state>/logs/<name>.log``.

    ``env`` is added to the lab's own environment. ``unprivileged`` runs it as `nobody`, keeping only the
    right to pass directory permissions (CAP_DAC_OVERRIDE), because the checkout may lie in a folder that
    is closed to other users. Does nothing if a live process of that name exists.
    """
    existing = find(name)
    if existing:
        return existing
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    paths.RUN.mkdir(parents=True, exist_ok=True)
    log = paths.LOGS / f"{name}.log"
    command = [*_as_nobody(), *argv] if unprivileged and os.geteuid() == 0 else list(argv)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = _start_time(process.pid)
    if started is None:
        raise PartError(f"{name} ended at once; see {log}")
    record = Record(name, process.pid, started, list(argv), str(log))
    _file(name).write_text(json.dumps(asdict(record)))
    return record


def records() -> list[Record]:
    """Everything that was started and not yet forgotten, alive or not."""
    if not paths.RUN.is_dir():
        return []
    return [Record(**json.loads(f.read_text())) for f in sorted(paths.RUN.glob("*.json"))]


def find(name: str) -> Record | None:
    """The live process of that name, if there is one."""
    file = _file(name)
    if not file.exists():
        return None
    record = Record(**json.loads(file.read_text()))
    return record if alive(record) else None


def alive(record: Record) -> bool:
    """Whether this very process (not another with its pid) still runs."""
    return _start_time(record.pid) == record.started


def check(name: str) -> None:
    """Raise `PartError` with the end of the log if the process has died."""
    if find(name) is None:
        raise PartError(f"{name} has died; the end of its log:\n{tail(name)}")


def tail(name: str, lines: int = 15) -> str:
    """The last lines of a process's log."""
    log = paths.LOGS / f"{name}.log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def send(name: str, signum: int) -> None:
    """Send a signal to the live process of that name; `PartError` if there is none."""
    record = find(name)
    if record is None:
        raise PartError(f"{name} is not running")
    os.kill(record.pid, signum)


def end(name: str, *, grace: float = 10.0, force: bool = False) -> None:
    """Stop a process and what it started in its session, then forget it. ``force``: SIGKILL at once."""
    record = find(name)
    if record:
        for signum, wait in ((signal.SIGKILL, 5.0),) if force else ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            _signal_session(record, signum)
            if _gone(record, wait):
                break
    _file(name).unlink(missing_ok=True)


def _signal_session(record: Record, signum: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(record.pid, signum) if signum == signal.SIGKILL else os.kill(record.pid, signum)


def _gone(record: Record, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)  # reap it if it is our own child
        if not alive(record):
            return True
        time.sleep(0.05)
    return False


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command's name may hold blanks and brackets
    return None if fields[0] == "Z" else int(fields[19])


def _file(name: str) -> Path:
    return paths.RUN / f"{name}.json"


def _as_nobody() -> list[str]:
    uid = str(UNPRIVILEGED_UID)
    return [
        "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
        "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--",
    ]  # fmt: skip
