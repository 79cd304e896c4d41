"""Processes of the lab: started in sessions of their own, remembered on disk, ended by pid.

A record holds the pid, the kernel's start time of it and the boot it belongs to, so that a recycled pid is
never signalled: `lab down` works after a crash of the lab, a reboot, or being run twice.

A process is named after its part: ``kafka-1`` and ``kafka-2`` belong to ``kafka``, ``iam`` to ``iam``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import paths
from lab.part import PartError

UNPRIVILEGED_UID = 65534
"""PostgreSQL and OpenSearch refuse to run as root; this is Debian's `nobody`."""

STOPPED = ".stopped"
"""Suffix of the record of a process that is to be started again."""


@dataclass(frozen=True)
class Launch:
    """How a process is started."""

    argv: list[str]
    env: dict[str, str]
    inherit: bool
    cwd: str | None
    unprivileged: bool


@dataclass(frozen=True)
class Record:
    """One started process."""

    name: str
    pid: int
    started: int
    """Start time in clock ticks since boot, field 22 of /proc/PID/stat."""
    boot: str
    """The kernel's boot id; pids and start times mean nothing in another boot."""
    log: str
    launch: Launch


@dataclass(frozen=True)
class _Stat:
    """What is used of /proc/PID/stat (proc(5))."""

    zombie: bool
    session: int
    started: int


def spawn(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    cwd: Path | None = None,
    unprivileged: bool = False,
) -> Record:
    """Start a process in its own session; its output goes to ``<state>/logs/<name>.log``.

    ``env`` is added to the lab's own environment, or is all of it (``inherit=False``). ``unprivileged`` runs
    it as `nobody`, keeping only the right to pass directory permissions (CAP_DAC_OVERRIDE), because the
    checkout may lie in a folder that is closed to other users. Does nothing if a live process of that name exists.
    """
    launch = Launch(list(argv), dict(env or {}), inherit, str(cwd) if cwd else None, unprivileged)
    return find(name) or _launch(name, launch)


def spawn_again(name: str) -> Record:
    """Start a process that was stopped with ``remember=True``, or has died, with the same command as before."""
    record = find(name)
    if record:
        return record
    last = _read(_stopped_file(name)) or _read(_file(name))
    if last is None:
        raise PartError(f"{name} was not stopped by the lab; known: {', '.join(r.name for r in records()) or 'none'}")
    return _launch(name, last.launch)


def _launch(name: str, launch: Launch) -> Record:
    end(name)  # what a crashed predecessor may have left behind
    paths.LOGS.mkdir(parents=True, exist_ok=True)
    paths.RUN.mkdir(parents=True, exist_ok=True)
    log = paths.LOGS / f"{name}.log"
    command = [*as_nobody(), *launch.argv] if launch.unprivileged and os.geteuid() == 0 else launch.argv
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**(os.environ if launch.inherit else {}), **launch.env},
            cwd=launch.cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stat = _stat(process.pid)
    if stat is None:
        raise PartError(f"{name} ended at once; see {log}")
    record = Record(name, process.pid, stat.started, _boot(), str(log), launch)
    _remember(record)
    return record


def records() -> list[Record]:
    """Everything that was started and not yet ended by us, alive or not."""
    found = (_read(file) for file in sorted(paths.RUN.glob("*.json")))
    return [record for record in found if record]


def of_part(part: str) -> list[Record]:
    """The records of one part's processes, alive or not."""
    return [record for record in records() if record.name == part or record.name.startswith(f"{part}-")]


def find(name: str) -> Record | None:
    """The live process of that name, if there is one."""
    record = _read(_file(name))
    return record if record and alive(record) else None


def alive(record: Record) -> bool:
    """Whether this very process (not another with its pid) still runs."""
    stat = _stat(record.pid)
    return stat is not None and not stat.zombie and stat.started == record.started and record.boot == _boot()


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


def end(name: str, *, grace: float = 10.0, force: bool = False, remember: bool = False) -> None:
    """Stop a process and what it started in its session, and forget it. ``force``: SIGKILL at once.

    SIGTERM goes to the process alone, which knows how to stop its children; SIGKILL to the whole session.
    With ``remember`` it can be started again by `spawn_again`.
    """
    record = _read(_file(name))
    if record:
        for signum, limit in ((signal.SIGKILL, 5.0),) if force else ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            for pid in [record.pid] if alive(record) and signum == signal.SIGTERM else _members(record):
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)
            if _gone(record, limit):
                break
        if remember:
            _file(name).rename(_stopped_file(name))
    _file(name).unlink(missing_ok=True)


def stopped() -> list[str]:
    """Names of the processes that were ended with ``remember=True`` and not started since."""
    return sorted(file.name.removesuffix(STOPPED) for file in paths.RUN.glob(f"*{STOPPED}"))


def _members(record: Record) -> list[int]:
    """The pids of the process's session, which outlives its leader if that is killed."""
    if record.boot != _boot():
        return []
    leader = _stat(record.pid)
    if leader and leader.started != record.started:
        return []  # the pid was given away again, which the kernel does only when the session is empty
    return [pid for pid, stat in _all_stats() if stat.session == record.pid and not stat.zombie]


def _gone(record: Record, limit: float) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(record.pid, os.WNOHANG)  # reap it if it is our own child
        if not alive(record) and not _members(record):
            return True
        time.sleep(0.05)
    return False


def _all_stats() -> Iterator[tuple[int, _Stat]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            yield int(entry.name), stat


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command's name may hold blanks and brackets
    return _Stat(zombie=fields[0] in "ZX", session=int(fields[3]), started=int(fields[19]))


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _file(name: str) -> Path:
    return paths.RUN / f"{name}.json"


def _stopped_file(name: str) -> Path:
    return paths.RUN / f"{name}{STOPPED}"


def _read(file: Path) -> Record | None:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return Record(**{**content, "launch": Launch(**content["launch"])})


def _remember(record: Record) -> None:
    """Written in one step: another thread or `lab status` may be reading."""
    new = paths.RUN / f".{record.name}.new"
    new.write_text(json.dumps(asdict(record)))
    new.replace(_file(record.name))
    _stopped_file(record.name).unlink(missing_ok=True)


def as_nobody() -> list[str]:
    """The command that runs the command after it as `nobody` (see ``spawn``); for one that must be root before."""
    uid = str(UNPRIVILEGED_UID)
    return [
        "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
        # Without it access(2) disregards the capability, and Java believes that a file in a closed folder is not there.
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--",
    ]  # fmt: skip
