"""Processes of the lab are ended whatever became of them, and no other process ever is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import paths, processes
from lab.part import PartError


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(paths, "RUN", tmp_path / "run")
    monkeypatch.setattr(paths, "LOGS", tmp_path / "logs")
    yield tmp_path / "run"
    for record in processes.records():
        processes.end(record.name, force=True)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def killed(record: processes.Record) -> None:
    """SIGKILL to the process alone, as by the kernel's memory killer."""
    os.kill(record.pid, signal.SIGKILL)
    until_ended(record)


def until_ended(record: processes.Record) -> None:
    deadline = time.monotonic() + 5
    while running(record.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shell(name: str, script: str) -> processes.Record:
    return processes.spawn(name, ["sh", "-c", script])


def logged(name: str, lines: int) -> list[str]:
    """The log of a process, once it has that many lines."""
    deadline = time.monotonic() + 5
    while len(found := (paths.LOGS / f"{name}.log").read_text().splitlines()) < lines:
        assert time.monotonic() < deadline, f"{name} logged only {found}"
        time.sleep(0.01)
    return found


def test_a_second_spawn_leaves_the_running_process_alone() -> None:
    first = shell("a", "exec sleep 60")
    assert shell("a", "exec sleep 60") == first


def test_a_dead_process_is_spawned_anew() -> None:
    first = shell("a", "exec sleep 60")
    killed(first)
    assert shell("a", "exec sleep 60").pid != first.pid


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    record = shell("a", "trap '' TERM; echo armed; while :; do sleep 60; done")
    logged("a", 1)
    processes.end("a", grace=0.2)
    assert not running(record.pid)
    assert processes.records() == []


def test_children_of_a_killed_process_are_ended_too() -> None:
    """A supervisor that died of `kill -9` has not told its children."""
    record = shell("a", "sleep 60 & echo $!; wait")
    child = int(logged("a", 1)[0])
    killed(record)
    assert running(child)
    processes.end("a")
    assert not running(child)


def test_a_peaceful_end_is_left_to_the_process_itself() -> None:
    """SIGTERM goes to the process, not to its children: it knows in which order they must stop."""
    script = "trap 'echo parent; exit 0' TERM; (trap 'echo child' TERM; echo armed; sleep 1) & echo armed; wait"
    shell("a", script)
    logged("a", 2)
    processes.end("a", grace=3)
    assert logged("a", 3)[2:] == ["parent"]


@pytest.mark.parametrize("field", ["started", "boot"])
def test_a_recycled_pid_is_never_signalled(run_folder: Path, field: str) -> None:
    """The record says another start time or another boot: what has the pid now is somebody else's."""
    record = shell("a", "exec sleep 60")
    file = run_folder / "a.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, field: 1 if field == "started" else "another"}))
    processes.end("a", force=True)
    assert running(record.pid)
    file.write_text(json.dumps(content))


def test_what_was_stopped_starts_again_as_it_was() -> None:
    processes.spawn("a-1", ["sh", "-c", 'echo "$COLOUR"; exec sleep 60'], env={"COLOUR": "blue"})
    logged("a-1", 1)
    processes.end("a-1", remember=True)
    assert processes.stopped() == ["a-1"]
    processes.spawn_again("a-1")
    assert logged("a-1", 2) == ["blue", "blue"]
    assert processes.stopped() == []


def test_only_what_was_started_can_start_again() -> None:
    with pytest.raises(PartError, match="never"):
        processes.spawn_again("never")


def test_a_process_may_have_an_environment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    processes.spawn("a", ["/usr/bin/env"], env={"A": "1"}, inherit=False)
    assert logged("a", 1) == ["A=1"]


def test_a_death_is_reported_with_the_end_of_the_log() -> None:
    record = shell("a", "echo port taken; exit 1")
    until_ended(record)
    with pytest.raises(PartError, match="port taken"):
        processes.check("a")


def test_processes_belong_to_the_part_that_their_name_begins_with() -> None:
    for name in ("kafka-1", "kafka-2", "kafkaesque", "iam"):
        shell(name, "exec sleep 60")
    assert [record.name for record in processes.of_part("kafka")] == ["kafka-1", "kafka-2"]
    assert [record.name for record in processes.of_part("iam")] == ["iam"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its rights up")
def test_an_unprivileged_process_is_nobody_but_passes_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").write_text("read\n")
    program = f"""
import os
print(os.getuid(), os.access("{closed}/file", os.R_OK), open("{closed}/file").read().strip())
try:
    os.kill({os.getpid()}, 0)
except PermissionError:
    print("refused")
"""
    processes.spawn("a", [sys.executable, "-c", program], unprivileged=True)
    assert logged("a", 2) == ["65534 True read", "refused"]


def test_the_child_is_no_longer_a_child_of_the_terminal() -> None:
    """Ctrl-C at the terminal of `lab up` must not reach the servers."""
    record = shell("a", "exec sleep 60")
    session = subprocess.run(["ps", "-o", "sid=", "-p", str(record.pid)], capture_output=True, text=True, check=True)
    assert int(session.stdout) == record.pid
