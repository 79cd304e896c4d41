"""One resource's pipeline: consume → embed → index → log, at least once, nothing lost, nothing skipped silently.

`Pipeline` is what the supervisor holds: it lives until it is told to stop and shows its `progress`. Inside it
one `_Life` after the other does the work; a fault of our own ends a life, and the next one starts from what
was committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from connectivity_operator.pipeline.budget import Budget
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.life import Life
from connectivity_operator.pipeline.pace import Pace
from connectivity_operator.pipeline.positions import Notice
from connectivity_operator.pipeline.progress import Progress
from connectivity_operator.pipeline.tally import Tally
from connectivity_operator.pipeline.work import Work
from connectivity_operator.ports import Embedder, MessageSource, RowLog, VectorIndex
from connectivity_operator.status import Counters

LONGEST_AFTER_FAULT = 60.0
"""Seconds between two lives, at most, when a fault of our own repeats itself."""


class Pipeline:
    """Consumes, embeds, indexes and logs for one resource.

    ``source`` makes a new, unstarted group member: one for each life. ``embedder``, ``index`` and ``rows`` are
    the process's shared ones (`sharing`). ``followed`` and ``counters`` continue what the status has.
    ``changed`` is called whenever `progress` has something new to show. ``interval`` is the resource's, in
    seconds: so often the lag is measured and a sign of life is logged.
    """

    def __init__(
        self,
        work: Work,
        *,
        source: Callable[[], MessageSource],
        embedder: Embedder,
        index: VectorIndex,
        rows: RowLog,
        budget: Budget,
        pace: Pace | None = None,
        followed: frozenset[str] = frozenset(),
        counters: Counters | None = None,
        changed: Callable[[], None] = lambda: None,
        interval: float = 60.0,
    ) -> None:
        self._journal = Journal(work)
        self._tally = Tally(counters or Counters(), followed & work.topics, changed)

        def new_life() -> Life:
            return Life(
                work, self._tally, self._journal, source=source(), embedder=embedder, index=index, rows=rows,
                budget=budget, pace=pace, interval=interval,
            )  # fmt: skip

        self._new_life = new_life
        self._life: Life | None = None

    @property
    def progress(self) -> Progress:
        """How things stand now."""
        return self._life.progress() if self._life else self._tally.progress()

    def take_notices(self) -> list[Notice]:
        """What happened once and is to be told once; each is handed over one time."""
        notices, self._tally.notices = self._tally.notices, []
        return notices

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``; then finish or drop what is in flight within a few seconds, commit and leave.

        Never returns before ``stop`` and never raises but on cancellation.
        """
        faults = 0
        while not stop.is_set():
            began = asyncio.get_running_loop().time()
            try:
                self._life = self._new_life()
                await self._life.live(stop)
            except Exception as fault:  # the edge of the task: whatever it is, nothing is lost
                lived = asyncio.get_running_loop().time() - began
                faults = 0 if lived > LONGEST_AFTER_FAULT else faults + 1
                delay = min(LONGEST_AFTER_FAULT, 2.0**faults)
                self._journal.crashed(fault, delay)
                await _wait(stop, delay)
        self._journal.note("pipeline stopped", "stop")


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
