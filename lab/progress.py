"""Shows what `up` is doing: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

HEARTBEAT = 15.0
"""Seconds after which a part that says nothing new gets another plain line."""


class Phase(StrEnum):
    """Where a part is on its way up."""

    PREPARING = "preparing"
    PREPARED = "prepared"
    WAITING = "waiting"
    STARTING = "starting"
    SEEDING = "seeding"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Progress:
    """The latest word on one part."""

    part: str
    phase: Phase
    detail: str = ""
    """What it does or waits for, in words."""

    @property
    def over(self) -> bool:
        return self.phase in (Phase.PREPARED, Phase.READY, Phase.FAILED)


class Display(Protocol):
    """Takes news from several threads; ``tick`` is called a few times a second by one."""

    def show(self, progress: Progress) -> None: ...
    def tick(self) -> None: ...


class Silent:
    """Shows nothing."""

    def show(self, progress: Progress) -> None: ...

    def tick(self) -> None: ...


@dataclass(frozen=True)
class _Line:
    progress: Progress
    seconds: float
    """Since the beginning, when this was said."""


class Lines:
    """A line for each new phase, and one every `HEARTBEAT` seconds for what takes long."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._latest: dict[str, Progress] = {}
        self._printed: dict[str, _Line] = {}

    def show(self, progress: Progress) -> None:
        with self._lock:
            self._latest[progress.part] = progress
            printed = self._printed.get(progress.part)
            if printed is None or printed.progress.phase != progress.phase:
                self._print(progress)

    def tick(self) -> None:
        now = time.monotonic() - self._began
        with self._lock:
            for progress in self._latest.values():
                if not progress.over and now - self._printed[progress.part].seconds >= HEARTBEAT:
                    self._print(progress)

    def _print(self, progress: Progress) -> None:
        seconds = time.monotonic() - self._began
        self._printed[progress.part] = _Line(progress, seconds)
        line = f"{seconds:6.1f} s  {progress.part:<11} {progress.phase:<10} {progress.detail}"
        print(line.rstrip(), file=self._output, flush=True)


class Board:
    """One row a part, redrawn in place."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._rows: dict[str, _Line] = {}

    def show(self, progress: Progress) -> None:
        with self._lock:
            self._rows[progress.part] = _Line(progress, time.monotonic() - self._began)

    def tick(self) -> None:
        now = time.monotonic() - self._began
        table = Table(box=None, show_header=False, pad_edge=False)
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        with self._lock:
            for row in self._rows.values():
                progress = row.progress
                seconds = row.seconds if progress.over else now
                colour = {Phase.PREPARED: "green", Phase.READY: "green", Phase.FAILED: "red"}.get(
                    progress.phase, "yellow"
                )
                detail = progress.detail.splitlines()[0] if progress.detail else ""
                table.add_row(progress.part, Text(progress.phase, colour), f"{seconds:.1f} s", Text(detail))
        self._live.update(table, refresh=True)


@contextmanager
def display(output: TextIO) -> Iterator[Display]:
    """The display that suits the output, for as long as the block runs."""
    if not output.isatty():
        yield Lines(output)
        return
    with Live(console=Console(file=output), auto_refresh=False, vertical_overflow="visible") as live:
        board = Board(live)
        try:
            yield board
        finally:
            board.tick()


class DetailsFromLogs(logging.Handler):
    """What a part logs at INFO while it works (logger ``lab.<part>…``) becomes the detail of its progress."""

    def __init__(self, display: Display) -> None:
        super().__init__(logging.INFO)
        self._display = display
        self._latest: dict[str, Progress] = {}

    def follow(self, progress: Progress) -> None:
        """Show this progress, and take it as the phase that later log lines belong to."""
        self._latest[progress.part] = progress
        self._display.show(progress)

    def emit(self, record: logging.LogRecord) -> None:
        part = [*record.name.split("."), ""][1]
        if part in self._latest:
            self.follow(replace(self._latest[part], detail=record.getMessage()))
