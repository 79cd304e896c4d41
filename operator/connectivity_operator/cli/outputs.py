"""Where a report goes, and as what: ``-o FORMAT`` to standard output, ``-o FORMAT=FILE`` into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path

import click
from rich.console import Console

from connectivity_operator.reports import Report, table

DOCUMENTS = ("json", "junit", "html")
"""Formats for programs and browsers, always UTF-8 and written on every way out."""
FORMATS = ("table", *DOCUMENTS)


@dataclass(frozen=True)
class Output:
    """One place that the report is written to. ``file`` None: standard output."""

    format: str
    file: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Output:
        """Raises `ValueError` with what is allowed."""
        name, separator, file = text.partition("=")
        if name not in FORMATS:
            raise ValueError(f"{name!r} is not a format; known are {', '.join(FORMATS)}")
        if separator and not file:
            raise ValueError(f"{text!r} names no file")
        return cls(name, Path(file) if file else None)


class OutputType(click.ParamType[Output]):
    """``FORMAT`` or ``FORMAT=FILE``."""

    name = "format[=file]"

    def convert(self, value: str | Output, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        try:
            return value if isinstance(value, Output) else Output.parse(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def complete(outputs: Iterable[Output]) -> tuple[Output, ...]:
    """With the table on standard output if nothing else goes there; raises `ValueError` if two do."""
    asked = tuple(outputs)
    direct = [output.format for output in asked if output.file is None]
    if len(direct) > 1:
        raise ValueError(f"{' and '.join(direct)} cannot both go to standard output; give a file: -o {direct[1]}=FILE")
    return asked if direct else (Output("table"), *asked)


def asked_for(arguments: Sequence[str]) -> tuple[Output, ...]:
    """The outputs that a command line names, whatever else is wrong with it."""
    found: list[Output] = []
    words = iter(arguments)
    for word in words:
        if word in ("-o", "--output"):
            value = next(words, "")
        elif word.startswith("--output="):
            value = word.removeprefix("--output=")
        elif word.startswith("-o"):
            value = word.removeprefix("-o")
        else:
            continue
        try:
            found.append(Output.parse(value))
        except ValueError:
            continue
    return tuple(found)


def clear(outputs: Iterable[Output]) -> None:
    """Empty the files now: nobody waits for a check that cannot be written, or takes an old report for this one.

    Raises `OSError`.
    """
    for output in outputs:
        if output.file:
            output.file.write_bytes(b"")


def write(report: Report, outputs: Iterable[Output]) -> None:
    """The report to every place. Raises `OSError` for a file; a reader of standard output may go away at any time."""
    for output in outputs:
        if output.file:
            output.file.write_bytes(_rendered(report, output))
        else:
            _print(_rendered(report, output))


def _rendered(report: Report, output: Output) -> bytes:
    if output.format in DOCUMENTS:
        text: str = import_module(f"connectivity_operator.reports.{output.format}").render(report)
        # Words of the command line may hold bytes that are no text.
        return (text if text.endswith("\n") else f"{text}\n").encode("utf-8", "replace")
    if output.file:
        return table.render(report, Console(file=StringIO(), highlight=False, width=80)).encode()
    console = Console(highlight=False)
    return table.render(report, console).encode(console.encoding, "replace")


def _print(document: bytes) -> None:
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The rest is unread (`| head`). At its end Python flushes again, which must not fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
