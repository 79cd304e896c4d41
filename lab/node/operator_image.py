"""The operator's image, built from the `Dockerfile` by buildah, without a registry and without a network."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
from pathlib import Path

from lab import cache, commands, paths
from lab.node import base_images, images
from lab.part import PartError

NAME = "localhost/aws-connectivity-test"
CONTEXT = ("Dockerfile", ".dockerignore", "image", "operator", "pyproject.toml", "README.md")
REQUIREMENTS = ("requirements.txt", "requirements-build.txt")

PIP_CONFIGURATION = "[global]\nno-index = true\nfind-links = /wheels\n"
"""How pip in the build finds its packages: the locked ones, fetched before, with the machine's own pip."""

KEPT = 3
"""Archives of the image in the cache, besides the one that is being made."""

log = logging.getLogger("lab.node")


def reference() -> str:
    """Name and tag of the image of this checkout; the tag changes with whatever goes into it."""
    return f"{NAME}:{_digest()}"


def archive() -> Path:
    """The archive of the image (`lab.node.images.load` takes it); built if anything in it has changed."""
    return cache.made(f"node/operator-{_digest()}.tar", _build)


def load() -> str:
    """Bring the image of this checkout to the node, and remove those of earlier states; its name and tag."""
    made = archive()
    if reference() not in images.present():
        log.info("loading it into the node")
    images.load(made)
    images.remove(name for name in images.present() if name.startswith(f"{NAME}:") and name != reference())
    return reference()


def _digest() -> str:
    sources = [file for name in (*CONTEXT, *REQUIREMENTS) for file in _files(paths.ROOT / name)]
    return cache.digest(*sources, Path(base_images.__file__))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return [path]


def _build(archive: Path) -> None:
    wheels = _wheels()
    log.info("building the operator's image")
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "pip.conf")
        configuration.write_text(PIP_CONFIGURATION)
        bases = {"BASE": base_images.run(), "BUILD_BASE": base_images.build()}
        names = {argument: f"docker-archive:{file}" for argument, file in bases.items()}
        buildah = _Buildah(Path(folder))
        arguments = {
            "VERSION": version(),
            "REVISION": _revision(),
            **{argument: buildah("pull", name) for argument, name in names.items()},
        }
        buildah(
            "build", "--isolation=chroot", "--pull-never", "--format=docker",
            f"--tag={reference()}",
            f"--volume={wheels}:/wheels:ro", f"--volume={configuration}:/etc/pip.conf:ro",
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            str(paths.ROOT),
        )  # fmt: skip
        buildah("push", reference(), f"docker-archive:{archive}:{reference()}")
    _keep_newest(archive.parent)


def _keep_newest(folder: Path) -> None:
    """Every state of the code has its own archive of several hundred megabytes; the latest few are enough."""
    archives = sorted(folder.glob("operator-*.tar"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in archives[KEPT:]:
        old.unlink(missing_ok=True)


class _Buildah:
    """buildah with a storage of its own, in namespaces of its own: no network, and no mount stays behind."""

    def __init__(self, folder: Path) -> None:
        self._options = [f"--root={folder}/storage", f"--runroot={folder}/run", "--storage-driver=vfs"]
        # Every command would leave a lock in /etc/cni, though no network is made.
        configuration = folder / "containers.conf"
        configuration.write_text(f'[network]\nnetwork_config_dir = "{folder}/cni"\n')
        self._environment = {**os.environ, "CONTAINERS_CONF": str(configuration)}

    def __call__(self, command: str, *arguments: str) -> str:
        """The last word that it prints: `pull` prints the image's id."""
        argv = ["unshare", "--mount", "--net", "buildah", *self._options, command, *arguments]
        output = commands.run(argv, env=self._environment, limit=600)
        return output.split()[-1] if output.split() else ""


def _wheels() -> Path:
    """A folder with every locked package, of the kind that the base image's Python takes."""
    files = [paths.ROOT / name for name in REQUIREMENTS]
    python = base_images.python_version()
    return cache.made(f"node/wheels-{cache.digest(*files, python)}", lambda folder: _download(folder, python))


def _download(folder: Path, python: str) -> None:
    log.info("fetching the operator's packages")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--only-binary=:all:"]
    pip += [f"--python-version={python}"]
    for name in REQUIREMENTS:
        commands.run([*pip, f"--requirement={paths.ROOT / name}", f"--dest={folder}"])


def version() -> str:
    """The operator's version, which is also the image's."""
    text = (paths.ROOT / "operator/connectivity_operator/__init__.py").read_text()
    found = re.search(r'__version__ = "(.+)"', text)
    return found[1] if found else "unknown"


def _revision() -> str:
    """The commit that last changed what goes into the image, so that equal images have equal labels."""
    inputs = ["--", *CONTEXT, *REQUIREMENTS]
    try:
        commit = commands.run(["git", "log", "-1", "--format=%H", *inputs], cwd=paths.ROOT).strip()
        changed = commands.run(["git", "status", "--porcelain", *inputs], cwd=paths.ROOT).strip()
    except PartError:  # not a checkout of git
        return "unknown"
    return f"{commit or 'unknown'}{'-dirty' if changed else ''}"
