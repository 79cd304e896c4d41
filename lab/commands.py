"""Runs a program to its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.part import PartError


def run(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, limit: float | None = None
) -> str:
    """What the program prints. `PartError` with the end of its error output if it fails or takes over ``limit`` s."""
    try:
        result = subprocess.run(
            argv, env=env, cwd=cwd, timeout=limit, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise PartError(f"{argv[0]} is not installed; `python -m lab doctor` says how to get it") from error
    except subprocess.TimeoutExpired as error:
        raise PartError(f"`{' '.join(argv)}` did not end within {limit:.0f} s") from error
    if result.returncode != 0:
        raise PartError(f"`{' '.join(argv)}` failed:\n{(result.stderr or result.stdout)[-2000:].strip()}")
    return result.stdout
