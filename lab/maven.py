"""Jars from Maven's repositories, fetched with the machine's own `mvn` and its settings."""

from __future__ import annotations

from pathlib import Path

from lab import cache, commands


def copy_dependencies(pom: Path, output: Path) -> None:
    """Copy what a pom depends on into ``output``; a pom with modules gets one folder a module there."""
    with cache.locked("maven"):  # two runs of Maven 3.8 must not fill one local repository at the same time
        commands.run(["mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-Doutput={output}"])
