"""A remedy taken apart into what is read and what is pasted.

A line of a remedy that begins with two spaces is to be pasted as it is: a command, a statement, a policy. Inside a
line of prose, a JSON object and an SQL statement up to its semicolon are that too. What is pasted is never wrapped,
and stands on lines of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

INDENT = "  "
_SQL = re.compile(r"\b(?:GRANT|REVOKE|ALTER|CREATE|TRUNCATE|DROP|UPDATE|DELETE) [^;{}]+;")


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, or a block to be pasted."""

    text: str
    paste: bool


def parts(remedy: str) -> list[Part]:
    """``remedy`` in order; no part is empty."""
    found: list[Part] = []
    for block, lines in groupby(remedy.split("\n"), key=lambda line: line.startswith(INDENT)):
        if block:
            found.append(Part(_dedented(list(lines)), paste=True))
        else:
            found += [part for line in lines for part in _inline(line)]
    return _merged([part for part in found if part.text.strip()])


def _merged(found: list[Part]) -> list[Part]:
    """Statements that follow one another are one block."""
    merged: list[Part] = []
    for part in found:
        if part.paste and merged and merged[-1].paste:
            merged[-1] = Part(f"{merged[-1].text}\n{part.text}", paste=True)
        else:
            merged.append(part)
    return merged


def _dedented(lines: list[str]) -> str:
    return "\n".join(line.removeprefix(INDENT).rstrip() for line in lines)


def _inline(line: str) -> Iterator[Part]:
    while line:
        match = re.search(r'\{"', line)
        start, end, block = _json(line, match.start()) if match else (len(line), len(line), "")
        if sql := _SQL.search(line, 0, start):
            start, end, block = *sql.span(), sql.group()
        yield Part(line[:start].strip(), paste=False)
        yield Part(block, paste=True)
        line = re.sub(r"^[.;,]?\s*", "", line[end:])


def _json(line: str, at: int) -> tuple[int, int, str]:
    """(start, end, the object indented) of the JSON object that starts there; placeholders in it are text anyway."""
    try:
        value, end = json.JSONDecoder().raw_decode(line, at)
    except ValueError:
        return len(line), len(line), ""
    return at, end, json.dumps(value, indent=2, ensure_ascii=False)
