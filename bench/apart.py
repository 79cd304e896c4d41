"""Runs a benchmark where it disturbs nobody: with a state folder of its own and, for a lab, a network of its own.

The lab's addresses are loopback addresses, and every network namespace has its own loopback: a second lab runs
beside the one that a person uses, with the same names, addresses and ports. A pid namespace ends all of it with
the benchmark, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import paths

MARK = "BENCH_APART"
LOGS = paths.ROOT / "bench" / "results" / "logs"

_OWN_PROCESSES = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
_NOT_OUTLIVING_US = ["setpriv", "--pdeathsig", "KILL", "--"]

_SET_INTERFACE_FLAGS = 0x8914
_UP = 0x1
"""SIOCSIFFLAGS and IFF_UP of netdevice(7)."""


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
        separate = [*_OWN_PROCESSES, *(["--net"] if network else []), "--"]
        command = [*_NOT_OUTLIVING_US, *separate, sys.executable, "-m", "bench", *arguments]
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


def loopback() -> None:
    """Switch on the loopback interface, which is down in a new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sH14x", b"lo", _UP))
