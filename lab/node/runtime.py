"""The container runtime, in the cache: containerd and runc of Debian, and the sandbox image's only program.

The packages are unpacked, not installed: a container engine that the machine already has is left alone, and nothing
is started or configured on the machine.
"""

from __future__ import annotations

import logging
import platform
import tempfile
from pathlib import Path

from lab import cache, commands
from lab.part import PartError

SOURCE = Path(__file__).parent
PACKAGES = ("containerd", "runc")
PAUSE = SOURCE / "pause.c"

log = logging.getLogger("lab.node")


def folder() -> Path:
    """What the packages hold, as below `/`."""
    release = platform.freedesktop_os_release()
    return cache.made(f"node/runtime-{cache.digest(release['ID'], release.get('VERSION_ID', ''), *PACKAGES)}", _unpack)


def programs() -> Path:
    """The folder with containerd, its shim and `ctr`, which look for each other there."""
    return folder() / "usr" / "bin"


def runc() -> Path:
    return folder() / "usr" / "sbin" / "runc"


def pause() -> Path:
    """A folder with the static program that keeps a Pod's sandbox alive."""
    return cache.made(f"node/pause-{cache.digest(PAUSE)}", _compile)


def _unpack(target: Path) -> None:
    log.info("fetching %s", " and ".join(PACKAGES))
    target.mkdir()
    with tempfile.TemporaryDirectory() as downloads:
        try:
            commands.run(["apt-get", "download", *PACKAGES], cwd=Path(downloads))
        except PartError:  # images of Debian come without package lists
            commands.run(["apt-get", "update", "-q"])
            commands.run(["apt-get", "download", *PACKAGES], cwd=Path(downloads))
        for package in sorted(Path(downloads).glob("*.deb")):
            commands.run(["dpkg-deb", "--extract", str(package), str(target)])


def _compile(target: Path) -> None:
    target.mkdir()
    commands.run(["gcc", "-static", "-Os", "-s", "-o", str(target / "pause"), str(PAUSE)])
