"""Base images for the `Dockerfile`, without a registry: Debian packages unpacked into a file system.

They are no Debian systems: no package's script has run, there is no package manager, and the smaller one, which the
operator's image is based on, has not even a shell. What python3 needs is there, and a list of the packages where
scanners look for it in such images.
"""

from __future__ import annotations

import logging
import platform
import re
import subprocess
import tempfile
from pathlib import Path

from lab import cache, commands
from lab.node import images
from lab.part import PartError

RUN = ("base-files", "base-passwd", "ca-certificates", "libstdc++6", "python3")
"""What the image needs to run: wheels take libstdc++ from the system (manylinux, PEP 599)."""

BUILD = (*RUN, "coreutils", "dash", "python3-pip", "python3-venv")

UNNEEDED = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl5", "var/lib/dpkg")

MERGED = ("bin", "sbin", "lib", "lib64")
"""Links to folders of the same name below /usr; the packages still have files under the old names."""

PACKAGE_LIST = "var/lib/dpkg/status.d"
"""One file a package, as in the images called distroless: what is not installed has no place in `dpkg/status`."""

DOWNLOADS = "downloads"
AUTHORITIES = "etc/ssl/certs/ca-certificates.crt"

log = logging.getLogger("lab.node")


def run() -> Path:
    """The archive of `localhost/python-run:1`: python3 and the certificate authorities."""
    return _archive("python-run", RUN)


def build() -> Path:
    """The archive of `localhost/python-build:1`: the same, with a shell, venv and pip."""
    return _archive("python-build", BUILD)


def python_version() -> str:
    """The Python of the base images, such as 3.11."""
    with tempfile.TemporaryDirectory() as folder:
        commands.run(["tar", "--extract", f"--file={run()}", f"--directory={folder}", "layer.tar"])
        names = commands.run(["tar", "--list", f"--file={folder}/layer.tar"])
    found = re.search(r"^\./usr/bin/python(3\.\d+)$", names, re.MULTILINE)
    if found is None:
        raise PartError(f"{run()} has no python3")
    return found[1]


def _archive(name: str, packages: tuple[str, ...]) -> Path:
    release = platform.freedesktop_os_release()
    ingredients: list[Path | str] = [release["ID"], release.get("VERSION_ID", ""), Path(__file__), *packages]

    def make(archive: Path) -> None:
        log.info("unpacking Debian packages for the base image %s", name)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder, "root")
            _unpack(packages, root, Path(folder))
            _configure(root)
            _list_packages(root, Path(folder))
            images.write_archive(archive, f"localhost/{name}:1", root)

    return cache.made(f"node/{name}-{cache.digest(*ingredients)}.tar", make)


def _unpack(packages: tuple[str, ...], root: Path, folder: Path) -> None:
    """These packages and what they depend on, as on a machine that has none."""
    downloads, nothing = folder / DOWNLOADS, folder / "status"
    (downloads / "partial").mkdir(parents=True)
    nothing.touch()
    apt = ["apt-get", "--quiet", "--yes", "--download-only", "--no-install-recommends"]
    options = {
        "Dir::State::status": nothing,
        "Dir::Cache::archives": downloads,
        "Debug::NoLocking": "true",  # the status is ours alone
        "APT::Sandbox::User": "root",
    }
    commands.run([*apt, *(f"--option={key}={value}" for key, value in options.items()), "install", *packages])
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted(downloads.glob("*.deb")):
        _extract(package, root)


def _extract(package: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as reader:
        tar = ["tar", "--extract", "--keep-directory-symlink", f"--directory={root}"]
        written = subprocess.run(tar, stdin=reader.stdout, capture_output=True, text=True, check=False)
    if reader.returncode or written.returncode:
        raise PartError(f"{package.name} cannot be unpacked: {written.stderr[-500:]}")


def _configure(root: Path) -> None:
    """What the packages' scripts would have done, as far as Python needs it."""
    for name in ("passwd", "group"):
        (root / "etc" / name).write_bytes((root / f"usr/share/base-passwd/{name}.master").read_bytes())
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    (root / AUTHORITIES).write_bytes(b"".join(file.read_bytes() for file in certificates))
    commands.run(["rm", "-rf", *(str(root / name) for name in UNNEEDED)])
    # Without them every start compiles the standard library anew: the operator cannot write to its file system.
    library = [f"/{folder.relative_to(root)}" for folder in (root / "usr/lib").glob("python3*")]
    commands.run(["chroot", str(root), "/usr/bin/python3", "-m", "compileall", "-q", *library])


def _list_packages(root: Path, folder: Path) -> None:
    (root / PACKAGE_LIST).mkdir(parents=True)
    for package in sorted((folder / DOWNLOADS).glob("*.deb")):
        name = package.name.partition("_")[0]
        (root / PACKAGE_LIST / name).write_text(commands.run(["dpkg-deb", "--field", str(package)]))
