"""Runbooks for a terminal: readable at 80 columns and without colour, commands to be copied whole."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES
from connectivity_operator.reasons import Service
from connectivity_operator.runbooks import GROUPS, RESOURCE, Article, Variable, of_groups

INDENT = 2
LABEL = 11


def article(shown: Article, groups: Sequence[str], console: Console) -> None:
    """One article; ``groups`` are those of its groups that were asked for."""
    console.print(Text(f"{', '.join(groups)}: {shown.code}", style="bold"))
    console.print()
    _paragraph(shown.meaning, console)
    console.print()
    facts = {
        "message": shown.message,
        "rung": shown.rung,
        "healed by": shown.healer,
        "shown": shown.noticed,
    }
    for label, text in facts.items():
        if text:
            _paragraph(text, console, label=label)
    for title, commands in (("Confirm", shown.confirm), ("Fix", shown.fix)):
        if commands:
            _heading(title, console)
            _commands(commands, console)
    if needed := shown.variables():
        _heading("Set before (examples)", console)
        _commands("\n".join(map(_assignment, needed)), console)
    for helper in shown.helpers():
        console.print()
        _paragraph(f"{helper.meaning}:", console, indent=0)
        _commands(helper.text, console)


def contents(console: Console, groups: Sequence[str] = GROUPS) -> None:
    """Every code, by service."""
    for group in groups:
        title = "The resource and its messages" if group == RESOURCE else SERVICE_NAMES[Service(group)]
        console.print(Text(f"{group}", style="bold") + Text(f"  {title}", style="dim"))
        codes = " ".join(found.code for found in of_groups([group]))
        _paragraph(codes, console)
        console.print()
    console.print("connectivity-operator explain CODE, or explain SERVICE CODE, explains one.", highlight=False)


def _assignment(variable: Variable) -> str:
    return f"# {variable.meaning}\n{variable.name}={variable.value}"


def _heading(title: str, console: Console) -> None:
    console.print()
    console.print(Text(f"{title}:", style="bold"))


def _paragraph(text: str, console: Console, *, label: str = "", indent: int = INDENT) -> None:
    first = f"{label:<{LABEL}}" if label else ""
    lines = textwrap.wrap(
        text,
        min(console.width, 100) - indent,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(Text(" " * indent + line), soft_wrap=True)


def _commands(text: str, console: Console) -> None:
    # Neither wrapped nor indented: what is copied must be what is meant, and a here-document ends at the margin.
    for line in text.rstrip().splitlines():
        console.print(Text(line, style="cyan"), soft_wrap=True)
