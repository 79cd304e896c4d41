"""What every command shares with the shell that called it: exit codes, the environment, interruption."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

from connectivity_operator.errors import SettingsError
from connectivity_operator.settings import Settings

T = TypeVar("T")


class Refused(click.ClickException):
    """Bad usage or settings."""

    exit_code = 2


class Failed(click.ClickException):
    """A dependency, or the API server, did not do its part."""

    exit_code = 1


def settings() -> Settings:
    """The settings in the environment; every problem is named at once."""
    try:
        return Settings.load()
    except SettingsError as error:
        lines = "\n".join(f"  {name}: {problem}" for name, problem in error.problems)
        raise Refused(f"the environment is not usable:\n{lines}") from error


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run what a command does; Ctrl-C ends it with exit code 130."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        sys.exit(130)
