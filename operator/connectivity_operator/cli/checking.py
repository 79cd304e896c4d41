"""The climb of ``check``: all ladders side by side, watched while it lasts, told also when it is cut short."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console

from connectivity_operator import __version__, reports
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.ladder import limited
from connectivity_operator.diagnosis.listening import listening
from connectivity_operator.diagnosis.sections import Target
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
        return asyncio.run(self._run(tell))

    async def _run(self, tell: Callable[[Report], None]) -> int:
        with _signals() as interruption:
            # The client libraries take most of a second: only those who get here wait for them.
            from connectivity_operator import app

            started, began = datetime.now(UTC), time.monotonic()
            async with app.engine(self.settings) as engine:
                diagnosis = engine.diagnosis
                progress = Progress({service: diagnosis.rungs(service, self.target) for service in self.services})
                await self._climb(diagnosis, progress, interruption)
                report = reports.report(
                    progress.climbs(),
                    engine.describe,
                    version=__version__,
                    started=started,
                    seconds=time.monotonic() - began,
                    options=self.options,
                    interrupted=progress.unfinished if interruption.signal else None,
                )
                tell(report)
                if interruption.signal:
                    _leave(128 + interruption.signal)
        return 0 if report.passed else 1

    async def _climb(self, diagnosis: Diagnosis, progress: Progress, interruption: _Interruption) -> None:
        """Climb to the end, or until a signal."""

        async def one(service: Service) -> None:
            climb = await diagnosis.examine(service, self.target, max_age=0.0)
            progress.done(limited(climb, self.limit) if self.limit else climb)

        with listening(progress), live.shown(progress, Console(stderr=True, highlight=False)):
            work = asyncio.gather(*map(one, self.services))
            work.add_done_callback(lambda _: interruption.over.set())
            await interruption.over.wait()
            if work.done():
                work.result()
            else:
                work.cancel()


@dataclass
class _Interruption:
    """Ctrl-C, or the end of a Pod; ``signal`` 0: none came."""

    signal: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """There is nothing more to wait for: it came, or the work is done."""


@contextmanager
def _signals() -> Iterator[_Interruption]:
    """Hears the first signal; the second one ends the process as usual."""
    loop, interruption = asyncio.get_running_loop(), _Interruption()

    def silence() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def hear(number: int) -> None:
        interruption.signal = number
        interruption.over.set()
        silence()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, hear, number)
    try:
        yield interruption
    finally:
        silence()


def _leave(code: int) -> None:
    """End at once: threads that wait for a silent server would keep the process for as long as they wait."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
