"""What every command shares with the shell that called it: exit codes, the environment, interruption."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

import click

from connectivity_operator import resource_file
from connectivity_operator.errors import SettingsError
from connectivity_operator.settings import Settings

T = TypeVar("T")


class Refused(click.ClickException):
    """Bad usage or settings."""

    exit_code = 2


class Failed(click.ClickException):
    """A dependency, or the API server, did not do its part."""

    exit_code = 1


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a Pod gets it at its end."""


def end_on_sigterm() -> None:
    """Let SIGTERM end the command as Ctrl-C does, by an exception; process 1 of a container would not hear it else."""

    def end(*_: object) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """What a shell says of a process that such a signal ended."""
    return 128 + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


def settings() -> Settings:
    """The settings in the environment; every problem is named at once."""
    try:
        return Settings.load()
    except SettingsError as error:
        lines = "\n".join(f"  {name}: {problem}" for name, problem in error.problems)
        raise Refused(f"the environment is not usable:\n{lines}") from error


def check_name(option: str, kind: Literal["topic", "index", "model"], name: str) -> None:
    """Refuse what no resource could name: a remedy for it would be nonsense to paste."""
    if problem := resource_file.refusal(kind, name):
        raise Refused(f"{option}: {problem}")


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run what a command does; Ctrl-C ends it with exit code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
