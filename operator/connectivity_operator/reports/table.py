"""The report for a person: ladders with ✓ ! ✗ –, the cause and the remedy under the rung that failed.

Readable at 80 columns and without colour: marks and words carry the meaning, colour only repeats it.
"""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.text import Text

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES, Explanation
from connectivity_operator.diagnosis.ladder import RungOutcome
from connectivity_operator.reasons import Result
from connectivity_operator.reports import Report, ServiceReport

MARKS = {
    Result.PASSED: ("✓", "green"),
    Result.WARNED: ("!", "yellow"),
    Result.FAILED: ("✗", "bold red"),
    Result.SKIPPED: ("–", "dim"),
}
INDENT = 6
SHOWN = ("principal", "host", "address", "topics", "brokers", "model", "dimensions", "index", "database", "variable")
"""Evidence worth a word beside a passed rung."""


def render(report: Report, console: Console) -> None:
    """Print the report."""
    for service in report.services:
        _service(service, console)
    _summary(report, console)


def _service(service: ServiceReport, console: Console) -> None:
    failure = service.failure
    title = Text(SERVICE_NAMES[service.service], style="bold")
    title.append("  ")
    title.append(failure.reason if failure else "Connected", style="bold red" if failure else "green")
    console.print(title)
    for outcome in service.climb.outcomes:
        console.print(_rung(outcome), overflow="ellipsis", no_wrap=True)
        if failure and outcome.rung is failure.rung:
            _words(failure, console)
        for warning in service.warnings:
            if warning.rung is outcome.rung:
                _words(warning, console)
    console.print()


def _rung(outcome: RungOutcome) -> Text:
    mark, style = MARKS[outcome.result]
    line = Text("  ")
    line.append(mark, style=style)
    line.append(f" {outcome.rung.value:<15}", style="dim" if outcome.result is Result.SKIPPED else "")
    line.append(f"{_milliseconds(outcome.seconds):>9}  ", style="dim")
    if outcome.result in (Result.PASSED, Result.WARNED):
        line.append(", ".join(outcome.evidence[k] for k in SHOWN if k in outcome.evidence), style="dim")
    return line


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _words(words: Explanation, console: Console) -> None:
    _paragraph(f"{words.reason}: {words.message}", "", console)
    _paragraph(f"Fix: {words.remedy}", "cyan", console)
    if words.runbook:
        _paragraph(f"See: {words.runbook}", "dim", console)


def _paragraph(text: str, style: str, console: Console) -> None:
    # An ARN that does not fit is left whole for the terminal to fold: it is there to be copied.
    lines = textwrap.wrap(text, console.width - INDENT, break_long_words=False, break_on_hyphens=False)
    for line in lines:
        console.print(Text(" " * INDENT + line, style=style), soft_wrap=True)


def _summary(report: Report, console: Console) -> None:
    bad = [SERVICE_NAMES[s.service] for s in report.services if s.failure]
    warned = sum(len(s.warnings) for s in report.services)
    if report.identity:
        console.print(Text(f"as {report.identity[0]}", style="dim"), soft_wrap=True)
    text = f"{len(bad)} of {len(report.services)} failed: {', '.join(bad)}" if bad else "Every rung passed"
    text += f", {warned} warning{'s' if warned > 1 else ''}" if warned else ""
    console.print(Text(f"{text}, in {report.seconds:.1f} s.", style="bold red" if bad else "bold green"))
