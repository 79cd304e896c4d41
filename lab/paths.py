"""Where the lab keeps things: a cache outside the checkout, its state in one ignored folder inside it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout."""

STATE = Path(os.environ.get("LAB_STATE", ROOT / ".lab"))
"""Run-time state of this checkout's lab: keys, data folders, logs, pids. Removed by `lab down --purge`."""

CERTIFICATES = STATE / "certificates"
LOGS = STATE / "logs"
RUN = STATE / "run"
"""One JSON file a process: pid, start time, command (see `lab.processes`)."""


def _default_cache() -> Path:
    # Root's home is usually closed to other users, but PostgreSQL and OpenSearch refuse to run as root
    # and must be able to read their program files.
    if os.geteuid() == 0:
        return Path("/var/cache/aws-connectivity-test")
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "aws-connectivity-test"


CACHE = Path(os.environ.get("LAB_CACHE") or _default_cache())
"""What is expensive to get and the same for every checkout: built binaries, jars, tools."""
