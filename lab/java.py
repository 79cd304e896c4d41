"""Finds the Java installations of this machine, without starting one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USUAL_FOLDERS = ("/usr/lib/jvm", "/usr/java", "/opt/java", "/opt", "~/.sdkman/candidates/java", "~/.jdks")
"""Where packages and version managers put JDKs, one folder each."""


@dataclass(frozen=True)
class Java:
    """One installation, as its `release` file describes it."""

    home: Path
    release: str
    """The text of the `release` file; changes whenever the installation does."""

    @property
    def version(self) -> int:
        """Feature release: 17, 21, 25."""
        found = re.search(r'^JAVA_VERSION="(\d+)', self.release, re.MULTILINE)
        return int(found.group(1)) if found else 0

    @property
    def java(self) -> Path:
        return self.home / "bin" / "java"

    @property
    def javac(self) -> Path:
        return self.home / "bin" / "javac"

    @property
    def jar(self) -> Path:
        return self.home / "bin" / "jar"


def at(home: Path) -> Java | None:
    """The installation in a folder, if there is one."""
    try:
        return Java(home, (home / "release").read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None


def find(at_least: int, *, compiler: bool = False) -> Java | None:
    """The first installation that is new enough: JAVA_HOME, the one on PATH, then the usual folders, oldest first."""
    for home in _homes():
        found = at(home)
        if found and found.version >= at_least and (found.javac if compiler else found.java).exists():
            return found
    return None


def _homes() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    for folder in USUAL_FOLDERS:
        installed = [found for child in _children(Path(folder).expanduser()) if (found := at(child))]
        yield from (found.home for found in sorted(installed, key=lambda found: found.version))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
