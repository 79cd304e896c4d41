"""What the lab needs of the machine, and how to get it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import commands, java
from lab.part import PartError

SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps servers' programs; not on everybody's PATH."""

GO_VERSION = (1, 26)

CREATE_NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")
"""Debian starts a PostgreSQL of its own on port 5432 when the package is installed, unless this file forbids it."""


@dataclass(frozen=True)
class Need:
    """One thing that the lab needs."""

    name: str
    purpose: str
    look: Callable[[], str | None]
    """What is there, for a person; None if it is missing or too old."""
    packages: tuple[str, ...] = ()
    """Debian packages that bring it."""
    advice: str = ""
    """How to get it where no package does."""

    @property
    def fix(self) -> str:
        return self.advice or f"apt-get install {' '.join(self.packages)}"


@dataclass(frozen=True)
class Finding:
    """What the machine has of a need."""

    need: Need
    found: str | None


def examine(needs: Sequence[Need] | None = None) -> list[Finding]:
    """Look at everything, in the order of the list."""
    return [Finding(need, need.look()) for need in (NEEDS if needs is None else needs)]


def packages(findings: Sequence[Finding]) -> list[str]:
    """The Debian packages that bring what is missing."""
    return [package for finding in findings if finding.found is None for package in finding.need.packages]


def install(wanted: Sequence[str]) -> None:
    """Install Debian packages. `PartError` with the command to give if that is not possible here."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise PartError(f"installing needs root and apt-get; by hand: apt-get install {' '.join(wanted)}")
    if "postgresql" in wanted and not CREATE_NO_CLUSTER.exists():
        CREATE_NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        CREATE_NO_CLUSTER.write_text("create_main_cluster = false\n")
    # No question is asked, and where one would be (ucf: the file just written), the file that is there stays.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"}
    commands.run(["apt-get", "update", "-q"], env=quiet)
    commands.run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *wanted], env=quiet)


def _program(name: str) -> Callable[[], str | None]:
    return lambda: shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")


def _programs(*names: str) -> Callable[[], str | None]:
    def look() -> str | None:
        found = [_program(name)() for name in names]
        return ", ".join(one for one in found if one) if all(found) else None

    return look


def _file(pattern: str) -> Callable[[], str | None]:
    """The last match of a pattern below /."""
    return lambda: next((str(path) for path in sorted(Path("/").glob(pattern), reverse=True)), None)


def _python() -> str | None:
    return platform.python_version() if sys.version_info >= (3, 11) else None


def _platform() -> str | None:
    return f"{platform.system()} {platform.machine()}" if (platform.system(), platform.machine()) == (
        "Linux", "x86_64"
    ) else None  # fmt: skip


def _root() -> str | None:
    return "yes" if os.geteuid() == 0 else None


def _go() -> str | None:
    if not shutil.which("go"):
        return None
    text = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"go(\d+)\.(\d+)", text)
    return text if found and (int(found[1]), int(found[2])) >= GO_VERSION else None


def _jdk() -> str | None:
    found = java.find(17, compiler=True)
    return f"{found.version} in {found.home}" if found else None


def _newer_java() -> str:
    found = java.find(21)
    return f"{found.version} in {found.home}" if found else "none; one comes from the Python package index"


NEEDS = (
    Need("Python", "3.11 or newer, for everything", _python, advice="install Python 3.11 or newer"),
    Need("platform", "the programs that are fetched", _platform, advice="use Linux on x86-64"),
    Need("root", "ports 53 and 443, mount namespaces", _root, advice="run the lab as root"),
    Need("Go", "1.26 or newer, builds Kubernetes", _go, advice="install Go 1.26 or newer"),
    Need("JDK", "17 or newer, runs Kafka, compiles our classes for it", _jdk, packages=("default-jdk-headless",)),
    Need("Java 21", "runs OpenSearch", _newer_java, advice="nothing to do"),
    Need("Maven", "fetches Kafka and OpenSearch", _program("mvn"), packages=("maven",)),
    Need("C compiler", "builds the PAM module", _program("gcc"), packages=("gcc", "libc6-dev")),
    Need("PAM headers", "builds the PAM module", _file("usr/include/security/pam_modules.h"), ("libpam0g-dev",)),
    Need("PostgreSQL", "the server", _file("usr/lib/postgresql/*/bin/postgres"), packages=("postgresql",)),
    Need("dnsmasq", "the resolver", _program("dnsmasq"), packages=("dnsmasq-base",)),
    Need("namespaces", "a private resolver", _programs("unshare", "setpriv"), packages=("util-linux",)),
    Need("buildah", "builds the operator's image", _program("buildah"), packages=("buildah",)),
    Need("iptables", "faults of the network", _program("iptables"), packages=("iptables",)),
    Need("ip", "lets tests run a lab apart", _program("ip"), packages=("iproute2",)),
)
