"""``explain``: the runbook of a code, without settings and without a cluster."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console

from connectivity_operator.cli.shell import Refused
from connectivity_operator.runbooks import GROUPS, Article, articles, terminal

Found = list[tuple[Article, tuple[str, ...]]]
"""Articles with those of their groups that were asked for."""


@click.command(short_help="Explain a reason code: meaning, how to confirm, how to fix.")
@click.argument("what", nargs=-1, metavar="[SERVICE] [CODE]")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(what: tuple[str, ...], output: str) -> None:
    """Explain a reason code: what it means, how to confirm it and how to fix it. Without CODE, list all codes.

    \b
    connectivity-operator explain ReadDataDenied
    connectivity-operator explain kafka ConnectionTimeout
    connectivity-operator explain kafka/ConnectionTimeout
    """
    service, code = _asked(what)
    found = _find(service, code)
    console = Console(highlight=False)
    if output == "json":
        click.echo(json.dumps([{**asdict(article), "groups": groups} for article, groups in found], indent=2))
    elif code is None:
        terminal.contents(console, (service,) if service else GROUPS)
    else:
        for number, (article, groups) in enumerate(found):
            if number:
                console.print("\n" + "─" * min(console.width, 80) + "\n")
            terminal.article(article, groups, console)


def _asked(what: Sequence[str]) -> tuple[str | None, str | None]:
    """(service, code) as they were written, either may be missing; the id of a runbook's section will do too."""
    words = [word.lower() for one in what for word in re.split(r"[/\s]+|(?<=[a-z])-", one) if word]
    if not words:
        return None, None
    if words[0] in GROUPS:
        service, words = words[0], words[1:]
    else:
        service = None
    if len(words) > 1:
        raise Refused(f"one code at a time: {' '.join(what)}; write SERVICE CODE with a service of {', '.join(GROUPS)}")
    return service, words[0] if words else None


def _find(service: str | None, code: str | None) -> Found:
    known = [article for article in articles() if service is None or service in article.groups]
    found: Found = [
        (article, (service,) if service else article.groups)
        for article in known
        if code is None or article.code.lower() == code
    ]
    if not found and code:
        of = f" of {service}" if service else ""
        near = _nearest(code, known) or [f"{a.groups[0]}/{a.code}" for a in articles() if a.code.lower() == code]
        hint = f"did you mean {' or '.join(near)}?" if near else "`connectivity-operator explain` lists all."
        raise Refused(f"no code {code!r}{of}; {hint}")
    return found


def _nearest(code: str, known: Sequence[Article]) -> list[str]:
    names = {article.code.lower(): article.code for article in known}
    return [names[name] for name in difflib.get_close_matches(code, names, n=3, cutoff=0.6)]
