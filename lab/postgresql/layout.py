"""Where the lab's PostgreSQL lies on disk, and where Debian keeps its programs."""

from __future__ import annotations

from pathlib import Path

from lab import paths
from lab.part import PartError

FOLDER = paths.STATE / "postgresql"
DATA = FOLDER / "data"
PAM_FOLDER = FOLDER / "pam.d"
"""Takes the place of /etc/pam.d, for the server alone."""

PAM_SERVICE = "aws-connectivity-test-lab"

SOCKET_FOLDER = FOLDER
"""Of PostgreSQL's own unix socket, for administration only."""

_LONGEST_SOCKET_PATH = 107


def program(name: str) -> Path:
    """A program of the newest PostgreSQL that Debian has installed. Raises `PartError` if there is none.

    Debian keeps the server's programs out of PATH, one folder a version.
    """
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if not versions:
        raise PartError("PostgreSQL is not installed: apt-get install postgresql libpam0g-dev gcc")
    return versions[-1].parent / name


def socket_folder() -> Path:
    """The folder of the unix socket, absolute. Raises `PartError` if the kernel cannot take a path that long."""
    folder = SOCKET_FOLDER.resolve()
    if len(str(folder / ".s.PGSQL.5432")) > _LONGEST_SOCKET_PATH:
        raise PartError(f"{folder} is too long for a unix socket: set LAB_STATE to a shorter folder")
    return folder
