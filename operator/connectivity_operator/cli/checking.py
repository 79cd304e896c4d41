"""The climb of ``check``: all ladders side by side, watched while it lasts, told also when it is cut short."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console

from connectivity_operator import __version__, reports
from connectivity_operator.cli import shell
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.ladder import limited
from connectivity_operator.diagnosis.listening import listening
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import SettingsError
from connectivity_operator.reasons import Service
from connectivity_operator.reports import Options, Report, live
from connectivity_operator.reports.progress import Progress
from connectivity_operator.settings import Settings


@dataclass
class Checking:
    """One check. ``limit``: seconds that a rung may take, where a resource says so."""

    settings: Settings
    options: Options
    target: Target
    services: tuple[Service, ...]
    limit: int | None = None

    def run(self, tell: Callable[[Report], None]) -> int:
        """Climb, ``tell`` the report; the exit code."""
        try:
            return asyncio.run(self._run(tell))
        except SettingsError as error:  # a file of certificates that cannot be used
            raise shell.unusable(error) from error

    async def _run(self, tell: Callable[[Report], None]) -> int:
        # The client libraries take most of a second: only those who get here wait for them.
        from connectivity_operator import app

        started, began = datetime.now(UTC), time.monotonic()
        async with app.engine(self.settings) as engine:
            diagnosis = engine.diagnosis
            progress = Progress({service: diagnosis.rungs(service, self.target) for service in self.services})
            code = await self._climbed(diagnosis, progress)
            report = reports.report(
                progress.climbs(),
                engine.describe,
                version=__version__,
                started=started,
                seconds=time.monotonic() - began,
                options=self.options,
                interrupted=progress.unfinished if code else None,
            )
            tell(report)
            if code:
                _leave(code)
        return 0 if report.passed else 1

    async def _climbed(self, diagnosis: Diagnosis, progress: Progress) -> int:
        """Climb to the end, or until a signal; 0, or the exit code of that signal."""

        async def one(service: Service) -> None:
            climb = await diagnosis.examine(service, self.target, max_age=0.0)
            progress.done(limited(climb, self.limit) if self.limit else climb)

        with listening(progress), live.shown(progress, Console(stderr=True, highlight=False)):
            work = asyncio.gather(*map(one, self.services))
            with _signals(work.cancel) as caught:
                try:
                    await work
                except asyncio.CancelledError:
                    if not caught:
                        raise
        return 128 + caught[0] if caught else 0


@contextmanager
def _signals(heard: Callable[[], object]) -> Iterator[list[signal.Signals]]:
    """Ctrl-C and a Pod's end call ``heard``; the second one ends the process as usual."""
    loop, caught = asyncio.get_running_loop(), list[signal.Signals]()

    def hear(number: signal.Signals) -> None:
        caught.append(number)
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
        heard()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    try:
        yield caught
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _leave(code: int) -> None:
    """End at once: threads that wait for a silent server would keep the process for as long as they wait."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
