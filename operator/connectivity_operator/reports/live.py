"""The live display of ``check``: one line a service while its ladder is climbed. Only for terminals; leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES
from connectivity_operator.reasons import Result
from connectivity_operator.reports import table
from connectivity_operator.reports.progress import Progress, Row

PER_SECOND = 8
ROOMY = 64
"""Columns from which on there is a gap between the rungs."""


@contextmanager
def shown(progress: Progress, console: Console) -> Iterator[None]:
    """Show ``progress`` on ``console`` while the block runs, then take it away; nothing where that is no terminal."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    display = _Display(progress, unicode=table.speaks_unicode(console), gap=" " if console.width >= ROOMY else "")
    with Live(get_renderable=display.table, console=console, refresh_per_second=PER_SECOND, transient=True):
        yield


class _Display:
    def __init__(self, progress: Progress, *, unicode: bool, gap: str) -> None:
        self._progress, self._unicode, self._gap = progress, unicode, gap
        # One for all lines: a new one would start to turn anew at each refresh.
        self._spinner = Spinner("dots" if unicode else "line", style="cyan")

    def table(self) -> Table:
        grid = Table.grid(padding=(0, 2 if self._gap else 1))
        for _ in range(5):
            grid.add_column(no_wrap=True)
        for row in self._progress.rows():
            grid.add_row(*self._cells(row))
        return grid

    def _cells(self, row: Row) -> tuple[Spinner | Text, Text, Text, Text, Text]:
        sign: Spinner | Text = self._spinner
        said = Text(row.current.value if row.current else "", style="cyan")
        if row.climb:
            result = Result.FAILED if row.climb.failure else Result.PASSED
            sign = table.mark(result, unicode=self._unicode)
            said = Text(row.climb.failure.reason if row.climb.failure else "Connected", style=sign.style)
        return (
            sign,
            Text(SERVICE_NAMES[row.service], style="bold"),
            self._ladder(row),
            Text(f"{row.seconds:5.1f} s", style="dim"),
            said,
        )

    def _ladder(self, row: Row) -> Text:
        line = Text()
        for rung, result in row.marks:
            if result is None:
                here = rung is row.current
                line.append(
                    "•" if self._unicode and here else "." if not here else "o", style="cyan" if here else "dim"
                )
            else:
                line.append(table.mark(result, unicode=self._unicode))
            line.append(self._gap)
        return line
