"""Brings the lab's parts up side by side, stops them, and says how they are."""

from __future__ import annotations

import fcntl
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from lab import certificates, listeners, parts, paths, processes, switched_on
from lab.part import NotReady, Part, PartError
from lab.progress import DetailsFromLogs, Display, Phase, Progress, Silent

READY_LIMIT = 120.0
"""Seconds from a part's start to its readiness; a tenth of it is normal."""

LISTENER_LIMIT = 3.0
"""Seconds that the kernel may take to close the sockets of ended processes."""

POLL = 0.1


class State(StrEnum):
    """How a part is."""

    DOWN = "down"
    READY = "ready"
    NOT_READY = "not ready"
    DIED = "died"


@dataclass(frozen=True)
class Status:
    """How a part is, and why."""

    part: str
    state: State
    detail: str
    processes: tuple[processes.Record, ...]


def up(wanted: Sequence[Part], display: Display | None = None) -> None:
    """Prepare, start and seed these parts side by side; what runs already is left alone.

    Raises `PartError` that names every part that did not come up and why. What did come up stays up.
    """
    with _exclusive():
        _faults_off()  # a server with packets dropped before it never gets ready
        certificates.ensure()
        _together(_Bringing(wanted, display or Silent()))
        if stuck := _faults_off():
            raise PartError(f"faults: cannot be switched off: {', '.join(stuck)}")


def prepare(wanted: Sequence[Part], display: Display | None = None) -> None:
    """Fetch and build what these parts need, side by side; nothing is started. `PartError` as for `up`."""
    _together(_Bringing(wanted, display or Silent(), start=False))


def down(*, purge: bool = False) -> None:
    """End every process of the lab, whatever became of it; ``purge``: remove its data, keys and logs too.

    Raises `PartError` if something still listens on an address of the lab afterwards.
    """
    with _exclusive():
        _faults_off()
        for record in processes.records():
            if parts.owner(record.name) is None:
                processes.end(record.name)
        with ThreadPoolExecutor(len(parts.NAMES)) as pool:
            list(pool.map(_stop_part, parts.NAMES))
        left = _listeners_after(LISTENER_LIMIT)
        shutil.rmtree(paths.STATE if purge else paths.RUN, ignore_errors=True)
    if left:
        raise PartError("still listening, not started by this lab: " + ", ".join(map(str, left)))


def start(name: str, *, limit: float = READY_LIMIT) -> None:
    """Start a part, or one process such as ``kafka-1`` that was stopped or killed, on the data it has.

    Returns when the part is ready; if another of its processes is stopped on purpose, without waiting.
    """
    part = parts.load(parts.owner(name) or name)
    with _exclusive():
        if name in parts.NAMES:
            part.start()
        else:
            processes.spawn_again(name)
        if not any(parts.owner(other) == part.name for other in processes.stopped()):
            until_ready(part, limit=limit)


def stop(name: str) -> None:
    """Stop a part or one process in peace, keeping its data."""
    with _exclusive():
        if name in parts.NAMES:
            _stop_part(name)
        else:
            _end_process(name, force=False)


def kill(name: str) -> None:
    """SIGKILL for a part or one process, as the kernel does when memory is short."""
    with _exclusive():
        if name in parts.NAMES:
            for record in processes.of_part(name):
                processes.end(record.name, force=True)
        else:
            _end_process(name, force=True)


def status() -> list[Status]:
    """How each part is, asked side by side."""
    with ThreadPoolExecutor(len(parts.NAMES)) as pool:
        return list(pool.map(_status, parts.NAMES))


def until_ready(part: Part, *, limit: float = READY_LIMIT) -> None:
    """Wait until a started part is ready. `PartError` if one of its processes dies or it takes too long."""
    for _ in _waiting(part, limit, threading.Event()):
        pass


def _together(bringing: _Bringing) -> None:
    if failures := bringing.run():
        raise PartError("\n".join(f"{part}: {reason}" for part, reason in failures.items()))


class _Bringing:
    """One run of `up`: a thread for each part, which goes its way as far as the parts that it needs allow.

    ``start``: False to stop where everything is prepared.
    """

    def __init__(self, wanted: Sequence[Part], display: Display, *, start: bool = True) -> None:
        self._wanted = wanted
        self._start = start
        self._display = display
        self._details = DetailsFromLogs(display)
        self._ready = {part.name: threading.Event() for part in wanted}
        self._failures: dict[str, str] = {}
        self._cancelled = threading.Event()

    def run(self) -> dict[str, str]:
        """Part -> why it is not up, for those that are not."""
        with self._listening_to_logs(), ThreadPoolExecutor(max(len(self._wanted), 1)) as pool:
            work = [pool.submit(self._bring_up, part) for part in self._wanted]
            try:
                while wait(work, timeout=0.25).not_done:
                    self._display.tick()
            except BaseException:
                self._cancelled.set()
                raise
        for outcome in work:
            outcome.result()  # anything but a PartError is a defect of the lab: show its trace
        return self._failures

    def _bring_up(self, part: Part) -> None:
        try:
            self._steps(part)
        except (NotReady, PartError) as error:
            self._failures[part.name] = str(error)
            self._tell(part, Phase.FAILED, str(error))
        except BaseException:
            self._failures[part.name] = "a defect of the lab"
            self._cancelled.set()
            raise

    def _steps(self, part: Part) -> None:
        self._tell(part, Phase.PREPARING)
        part.prepare()
        if not self._start:
            self._tell(part, Phase.PREPARED)
            return
        for need in part.needs:
            self._await(part, need)
        self._tell(part, Phase.STARTING)
        part.start()
        for reason in _waiting(part, READY_LIMIT, self._cancelled):
            self._tell(part, Phase.STARTING, reason)
        self._tell(part, Phase.SEEDING)
        part.seed()
        self._tell(part, Phase.READY)
        self._ready[part.name].set()

    def _await(self, part: Part, need: str) -> None:
        self._tell(part, Phase.WAITING, f"for {need}")
        while not self._ready[need].wait(POLL):
            if need in self._failures or self._cancelled.is_set():
                raise PartError(f"needs {need}, which is not up")

    def _tell(self, part: Part, phase: Phase, detail: str = "") -> None:
        self._details.follow(Progress(part.name, phase, detail))

    @contextmanager
    def _listening_to_logs(self) -> Iterator[None]:
        logger = logging.getLogger("lab")
        level = logger.level
        logger.addHandler(self._details)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(self._details)
            logger.setLevel(level)


def _waiting(part: Part, limit: float, cancelled: threading.Event) -> Iterator[str]:
    """Poll a started part until it is ready, yielding what it waits for."""
    deadline = time.monotonic() + limit
    while True:
        try:
            part.ready()
        except NotReady as reason:
            for record in processes.of_part(part.name):
                processes.check(record.name)
            if time.monotonic() > deadline:
                message = f"not ready after {limit:.0f} s: {reason}; see `python -m lab logs {part.name}`"
                raise PartError(message) from reason
            if cancelled.wait(POLL):
                raise PartError("cancelled") from reason
            yield str(reason)
        else:
            return


def _status(name: str) -> Status:
    records = tuple(processes.of_part(name))
    dead = [record.name for record in records if not processes.alive(record)]
    if not records:
        return Status(name, State.DOWN, "", records)
    if dead:
        return Status(
            name, State.DIED, f"{', '.join(dead)} ended by itself; see `python -m lab logs {dead[0]}`", records
        )
    try:
        parts.load(name).ready()
    except (NotReady, PartError) as reason:
        return Status(name, State.NOT_READY, str(reason), records)
    return Status(name, State.READY, "", records)


def _stop_part(name: str) -> None:
    if processes.of_part(name):
        with suppress(PartError):  # it may be half dead; what is left of it is ended below
            parts.load(name).stop()
    for record in processes.of_part(name):
        processes.end(record.name)


def _end_process(name: str, *, force: bool) -> None:
    if name not in {record.name for record in processes.records()}:
        known = ", ".join(record.name for record in processes.records())
        raise PartError(f"no process {name} runs here; there are {known or 'none'}")
    processes.end(name, force=force, remember=True)


def _faults_off() -> list[str]:
    """Switch off the faults that are on; the names of those that need a server which is not up yet."""
    if not switched_on.read():
        return []
    from lab.faults import switches  # knows every server and loads their client libraries

    return switches.off_all()


def _listeners_after(limit: float) -> list[listeners.Listener]:
    deadline = time.monotonic() + limit
    while (found := listeners.in_lab()) and time.monotonic() < deadline:
        time.sleep(POLL)
    return found


@contextmanager
def _exclusive() -> Iterator[None]:
    """One command at a time changes what runs; a second one waits."""
    paths.STATE.mkdir(parents=True, exist_ok=True)
    with (paths.STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
