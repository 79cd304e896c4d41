"""Parts come up side by side, in the order of their needs; one that fails is named, the others are not held up."""

from __future__ import annotations

import io
import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from lab import listeners, parts, paths, processes, runner
from lab.part import NotReady, PartError
from lab.progress import Board, Lines, Phase, Progress

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Recorder:
    """A display that remembers."""

    news: list[Progress] = field(default_factory=list)

    def show(self, progress: Progress) -> None:
        self.news.append(progress)

    def tick(self) -> None: ...

    def phases(self, part: str) -> list[Phase]:
        """Without repetitions."""
        found = [progress.phase for progress in self.news if progress.part == part]
        return [phase for i, phase in enumerate(found) if i == 0 or found[i - 1] != phase]


@dataclass
class FakePart:
    """A part whose server is `sleep`."""

    name: str
    needs: tuple[str, ...] = ()
    not_ready: int = 0
    """How often it says that it is not ready."""
    fails: str = ""
    program: str = "exec sleep 60"
    calls: list[str] = field(default_factory=list)
    before_ready: threading.Event | None = None

    def prepare(self) -> None:
        self.calls.append("prepare")
        if self.fails:
            raise PartError(self.fails)

    def start(self) -> None:
        self.calls.append("start")
        processes.spawn(self.name, ["sh", "-c", self.program])

    def ready(self) -> None:
        if self.before_ready and not self.before_ready.is_set():
            raise NotReady("the other one")
        if self.calls.count("ready") < self.not_ready:
            self.calls.append("ready")
            raise NotReady("an answer")

    def seed(self) -> None:
        self.calls.append("seed")

    def stop(self) -> None: ...


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, folder in (("STATE", ""), ("RUN", "run"), ("LOGS", "logs"), ("CERTIFICATES", "certificates")):
        monkeypatch.setattr(paths, name, tmp_path / folder)
    monkeypatch.setattr(listeners, "in_lab", list)  # a real lab may be up beside this test
    yield
    for record in processes.records():
        processes.end(record.name, force=True)


def test_a_part_is_prepared_started_awaited_and_seeded() -> None:
    part, display = FakePart("a", not_ready=1), Recorder()
    runner.up([part], display)
    assert part.calls == ["prepare", "start", "ready", "seed"]
    assert display.phases("a") == [Phase.PREPARING, Phase.STARTING, Phase.SEEDING, Phase.READY]
    assert Progress("a", Phase.STARTING, "an answer") in display.news


def test_a_part_starts_only_when_what_it_needs_is_ready() -> None:
    iam, kafka, display = FakePart("iam", not_ready=2), FakePart("kafka", needs=("iam",)), Recorder()
    runner.up([kafka, iam], display)
    ready = display.news.index(Progress("iam", Phase.READY))
    started = display.news.index(Progress("kafka", Phase.STARTING))
    assert ready < started
    assert Progress("kafka", Phase.WAITING, "for iam") in display.news


def test_parts_without_needs_come_up_side_by_side() -> None:
    """Each is ready only once the other is started: one after the other they would wait for ever."""

    class Announcing(FakePart):
        def __init__(self, name: str, mine: threading.Event, other: threading.Event) -> None:
            super().__init__(name, before_ready=other)
            self.mine = mine

        def start(self) -> None:
            self.mine.set()

    one, two = threading.Event(), threading.Event()
    runner.up([Announcing("a", one, two), Announcing("b", two, one)])
    assert one.is_set()
    assert two.is_set()


def test_a_failure_names_the_part_and_the_reason_and_what_it_takes_along() -> None:
    iam, kafka, dns = FakePart("iam", fails="no port"), FakePart("kafka", needs=("iam",)), FakePart("dns")
    with pytest.raises(PartError) as failure:
        runner.up([iam, kafka, dns])
    assert str(failure.value).splitlines() == ["iam: no port", "kafka: needs iam, which is not up"]
    assert dns.calls[-1] == "seed"


def test_a_process_that_dies_fails_its_part_at_once() -> None:
    with pytest.raises(PartError, match="address already in use"):
        runner.up([FakePart("a", not_ready=100, program="echo address already in use; exit 1")])


def test_a_part_that_never_gets_ready_fails_with_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "READY_LIMIT", 0.2)
    with pytest.raises(PartError, match="a: not ready after 0 s: an answer; see `python -m lab logs a`"):
        runner.up([FakePart("a", not_ready=1000)])


def test_a_defect_of_the_lab_shows_its_trace_and_ends_the_run() -> None:
    class Broken(FakePart):
        def prepare(self) -> None:
            raise KeyError("typing error")

    with pytest.raises(KeyError, match="typing error"):
        runner.up([Broken("a"), FakePart("b", needs=("a",)), FakePart("c", not_ready=10**6)])


def test_a_second_up_leaves_what_runs_alone() -> None:
    runner.up([FakePart("a")])
    first = processes.find("a")
    runner.up([FakePart("a")])
    assert processes.find("a") == first


def test_up_starts_again_what_was_killed() -> None:
    runner.up([FakePart("a")])
    runner_killed = processes.find("a")
    runner.kill("a")
    runner.up([FakePart("a")])
    assert runner_killed
    assert processes.find("a") not in (None, runner_killed)


def test_down_ends_everything_and_keeps_the_data() -> None:
    runner.up([FakePart("a"), FakePart("b")])
    (paths.STATE / "data").write_text("kept")
    started = processes.records()
    runner.down()
    assert not any(processes.alive(record) for record in started)
    assert processes.records() == []
    assert (paths.STATE / "data").exists()


def test_purge_removes_everything() -> None:
    runner.up([FakePart("a")])
    runner.down(purge=True)
    assert not paths.STATE.exists()


def test_down_names_whoever_still_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = listeners.Listener("127.77.0.53", 53, inode="0")
    monkeypatch.setattr(listeners, "in_lab", lambda: [stranger])
    monkeypatch.setattr(runner, "LISTENER_LIMIT", 0.0)
    with pytest.raises(PartError, match=r"127\.77\.0\.53:53"):
        runner.down()


def test_only_what_runs_can_be_stopped() -> None:
    with pytest.raises(PartError, match="no process kafka-9"):
        runner.stop("kafka-9")


def test_commands_wait_for_each_other() -> None:
    """Two `up` at the same time start each server once."""
    part = FakePart("a", not_ready=3)
    both = [threading.Thread(target=runner.up, args=([part],)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert part.calls == ["prepare", "start", "ready", "ready", "ready", "seed", "prepare", "start", "seed"]


def test_needs_are_brought_up_without_being_named() -> None:
    assert [part.name for part in parts.with_needs(["kafka"])] == ["iam", "kafka"]


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(PartError, match="there is no part kafak; the parts are dns, "):
        parts.with_needs(["kafak"])


def test_plain_progress_is_a_line_a_phase() -> None:
    output = io.StringIO()
    runner.up([FakePart("a", not_ready=5)], Lines(output))
    assert [line.split()[3:] for line in output.getvalue().splitlines()] == [
        ["preparing"], ["starting"], ["seeding"], ["ready"],
    ]  # fmt: skip


def test_plain_progress_repeats_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 14.0, 15.0, 15.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    output = io.StringIO()
    lines = Lines(output)
    lines.show(Progress("kubernetes", Phase.PREPARING, "building"))
    lines.tick()
    assert len(output.getvalue().splitlines()) == 1
    lines.tick()
    assert output.getvalue().splitlines()[1] == "  15.0 s  kubernetes  preparing  building"


def test_the_board_shows_one_row_a_part_and_takes_any_text() -> None:
    output = io.StringIO()
    with Live(console=Console(file=output, force_terminal=True, width=60), auto_refresh=False) as live:
        board = Board(live)
        board.show(Progress("iam", Phase.READY))
        board.show(Progress("kafka", Phase.STARTING, "[/tmp] is no markup\nsecond line"))
        board.tick()
        rows = [ANSI.sub("", line).split() for line in output.getvalue().splitlines()]
    assert [row[:2] + row[4:] for row in rows] == [
        ["iam", "ready"],
        ["kafka", "starting", "[/tmp]", "is", "no", "markup"],
    ]


def test_what_a_part_logs_is_its_progress() -> None:
    class Building(FakePart):
        def prepare(self) -> None:
            logging.getLogger("lab.a.build").info("compiling %d files", 3)

    display = Recorder()
    runner.up([Building("a")], display)
    assert Progress("a", Phase.PREPARING, "compiling 3 files") in display.news
