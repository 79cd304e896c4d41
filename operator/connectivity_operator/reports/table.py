"""The report for a person at a terminal: ladders with ✓ ! ✗ –, the cause and the remedy under the rung that failed.

Readable at 80 columns and without colour: marks and words carry the meaning, colour only repeats it. Nothing that is
there to be pasted is ever wrapped by us. Where the stream cannot show UTF-8, ASCII stands for everything.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES, Explanation
from connectivity_operator.diagnosis.ladder import RungOutcome
from connectivity_operator.reasons import Result
from connectivity_operator.reports import Report, ServiceReport, explain_commands, remedy

MARKS = {
    Result.PASSED: ("✓", "ok", "green"),
    Result.WARNED: ("!", "!!", "yellow"),
    Result.FAILED: ("✗", "XX", "bold red"),
    Result.SKIPPED: ("–", "--", "dim"),
}
"""The mark, the same in ASCII, and its colour."""
INDENT = " " * 6
NARROWEST, WIDEST = 24, 100
"""Columns of prose; longer lines are hard to read."""
SHOWN = ("principal", "host", "address", "topics", "brokers", "model", "dimensions", "index", "database", "variable")
"""Evidence worth a word beside a passed rung."""
_ASCII = str.maketrans(
    {
        "–": "-",
        "—": "-",
        "…": "...",
        "→": "->",
        "×": "x",
        "“": '"',
        "”": '"',
        "’": "'",
        "\N{REPLACEMENT CHARACTER}": "?",
    }
)


def render(report: Report, console: Console) -> str:
    """The text as ``console`` would show it, with colours only if it has any."""
    page = _Page(console)
    with console.capture() as capture:
        for service in report.services:
            page.ladder(service)
        page.explanations(explain_commands(report))
        page.summary(report)
    text = capture.get()
    return text if page.unicode else text.translate(_ASCII).encode("ascii", "replace").decode()


def mark(result: Result, *, unicode: bool) -> Text:
    """The sign of a result."""
    sign, ascii_sign, style = MARKS[result]
    return Text(sign if unicode else ascii_sign, style=style)


def speaks_unicode(console: Console) -> bool:
    """Whether what the console writes to takes more than ASCII."""
    return console.encoding.lower().replace("-", "").startswith("utf")


class _Page:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = max(NARROWEST, min(console.width, WIDEST))
        self.unicode = speaks_unicode(console)
        self._said: dict[tuple[str, str], str] = {}

    def ladder(self, service: ServiceReport) -> None:
        """One service: its name and verdict, its rungs, and words under those that need them."""
        style = "bold red" if service.failure else "bold yellow" if service.interrupted else "green"
        self._console.print(Text.assemble((SERVICE_NAMES[service.service], "bold"), "  ", (service.reason, style)))
        note = service.note
        for outcome in service.climb.outcomes:
            skipped = outcome.result is Result.SKIPPED
            self._console.print(self._rung(outcome, (note or "") if skipped else ""), overflow="ellipsis", no_wrap=True)
            note = None if skipped else note
            for told in (service.failure, *service.warnings):
                if told and told.rung is outcome.rung:
                    self._words(told, SERVICE_NAMES[service.service])
        self._console.print()

    def explanations(self, commands: Sequence[str]) -> None:
        """Where to read on, once for all."""
        if commands:
            self._paragraph("Step by step, how to confirm and to fix:", "dim", indent="")
            for command in commands:
                self._console.print(Text(f"  {command}", style="dim"), soft_wrap=True)
            self._console.print()

    def summary(self, report: Report) -> None:
        """Who we are, and how many failed."""
        if report.identity:
            self._console.print(Text(f"as {report.identity[0]}", style="dim"), soft_wrap=True)
        style = "bold green" if report.passed else "bold red"
        self._paragraph(summary(report), style, indent="")

    def _rung(self, outcome: RungOutcome, note: str) -> Text:
        dim = "dim" if outcome.result is Result.SKIPPED else ""
        line = Text.assemble("  ", mark(outcome.result, unicode=self.unicode), (f" {outcome.rung.value:<14}", dim))
        line.append(f" {duration(outcome.seconds):>8}  ", style="dim")
        line.append(note or facts(outcome), style="dim")
        line.rstrip()
        return line

    def _words(self, told: Explanation, service: str) -> None:
        # The identity is shared: what is wrong with it is said once.
        before = self._said.setdefault((told.message, told.remedy), service)
        if before != service:
            self._paragraph(f"{told.reason}: the same as for {before} above.")
            return
        self._paragraph(f"{told.reason}: {told.message}")
        label = "Fix: "
        for part in remedy.parts(told.remedy):
            if part.paste:
                if label:
                    self._paragraph(label, "cyan")
                for line in part.text.split("\n"):
                    self._console.print(Text(f"{INDENT}  {line}", style="bold"), soft_wrap=True)
            else:
                self._paragraph(label + part.text, "cyan")
            label = ""
        if told.runbook:
            self._paragraph(f"See: {told.runbook}", "dim")

    def _paragraph(self, text: str, style: str = "", indent: str = INDENT) -> None:
        # An ARN that does not fit is left whole for the terminal to fold: it is there to be copied.
        for line in textwrap.wrap(text, self._width - len(indent), break_long_words=False, break_on_hyphens=False):
            self._console.print(Text(indent + line, style=style), soft_wrap=True)


def facts(outcome: RungOutcome) -> str:
    """What is worth a word beside a rung that was climbed."""
    if outcome.result not in (Result.PASSED, Result.WARNED):
        return ""
    return ", ".join(outcome.evidence[name] for name in SHOWN if outcome.evidence.get(name))


def duration(seconds: float | None) -> str:
    """A rung's time for a person."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 9.9995 else f"{seconds:.1f} s"


def summary(report: Report) -> str:
    """The verdict in one sentence."""
    if report.error:
        return f"The check could not begin: {report.error}"
    total, bad = len(report.services), [SERVICE_NAMES[s.service] for s in report.failed]
    cut = [SERVICE_NAMES[s.service] for s in report.services if s.interrupted]
    said = [f"{len(bad)} of {total} failed: {', '.join(bad)}"] if bad else []
    if report.interrupted:
        said.append(f"interrupted before the end of {', '.join(cut)}" if cut else "interrupted at the end")
    if not said:
        said = ["Every rung passed" if not any(s.note for s in report.services) else "Every climbed rung passed"]
    if warned := sum(len(s.warnings) for s in report.services):
        said.append(f"{warned} warning{'s' if warned > 1 else ''}")
    text = f"{', '.join(said)}, in {report.seconds:.1f} s."
    return text[0].upper() + text[1:]
