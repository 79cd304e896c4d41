"""Runs a benchmark where it disturbs nobody (`lab.apart`), with a state folder that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import apart, paths

MARK = "BENCH_APART"
LOGS = paths.ROOT / "bench" / "results" / "logs"


def inside() -> bool:
    """Whether this process is the one that measures."""
    return MARK in os.environ


def run(arguments: Sequence[str], *, network: bool, limit: float) -> int:
    """``python -m bench ARGUMENTS`` apart; its exit code. Everything is ended after ``limit`` seconds.

    ``network``: in a network of its own, without a way out. Otherwise with an empty cache, to fill it.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        environment = {**os.environ, MARK: "1", "LAB_STATE": f"{folder}/state"}
        if not network:
            environment["LAB_CACHE"] = f"{folder}/cache"
        command = apart.command([sys.executable, "-m", "bench", *arguments], network=network)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        process = subprocess.Popen(command, env=environment, cwd=paths.ROOT)
        code = 1
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            print(f"not done after {limit:.0f} s", file=sys.stderr)
        finally:
            process.kill()
            process.wait()
        if code:
            _keep_logs(Path(folder, "state", "logs"))
        return code


def _keep_logs(folder: Path) -> None:
    if folder.exists():
        shutil.copytree(folder, LOGS, dirs_exist_ok=True)
        print(f"the logs of operator and servers are in {LOGS.relative_to(paths.ROOT)}", file=sys.stderr)
