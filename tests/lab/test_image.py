"""The operator's image, by its archive: what is in it, what it says of itself, what it is made of. No server needed."""

from __future__ import annotations

import email.parser
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lab import paths, scanners
from lab.node import base_images, bill_of_materials, operator_image

SITE = "opt/operator/lib/python{}/site-packages/"
LEFT_OUT = {"grpcio", "opensearch-protobufs", "protobuf"}
"""Asked for by opensearch-py, which never loads them (`Dockerfile`)."""

LARGEST = 290e6
"""Bytes of the archive, so that it does not grow unnoticed: 263 MB when this was written."""


@dataclass(frozen=True)
class Image:
    """What the archive holds."""

    archive: Path
    config: dict[str, Any]
    files: dict[str, tarfile.TarInfo]
    texts: dict[str, str]
    """Of the files that say which packages there are."""


@pytest.fixture(scope="module")
def image() -> Image:
    """Read layer by layer, as a node unpacks it."""
    archive = operator_image.archive()
    files: dict[str, tarfile.TarInfo] = {}
    texts: dict[str, str] = {}
    with tarfile.open(archive) as tar:
        [manifest] = json.load(_opened(tar, "manifest.json"))
        config = json.load(_opened(tar, manifest["Config"]))["config"]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=_opened(tar, layer)) as content:
                for entry in content:
                    name = entry.name.removeprefix("./")
                    files[name] = entry
                    if name.endswith(".dist-info/METADATA") or (base_images.PACKAGE_LIST in name and entry.isfile()):
                        texts[name] = _opened(content, entry).read().decode()
    return Image(archive, config, files, texts)


@pytest.fixture(scope="module")
def bill(image: Image) -> Any:
    return scanners.syft(image.archive, "aws-connectivity-test", operator_image.version())


def _opened(tar: tarfile.TarFile, name: str | tarfile.TarInfo) -> Any:
    found = tar.extractfile(name)
    assert found is not None
    return found


def _locked() -> Iterator[tuple[str, str]]:
    """The packages of the lock that the image's Python wants."""
    python = base_images.python_version()
    environment = {"python_version": python, "python_full_version": f"{python}.2", "sys_platform": "linux"}
    for line in (paths.ROOT / "requirements.txt").read_text().splitlines():
        if re.match(r"[a-z]", line):
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield canonicalize_name(requirement.name), str(requirement.specifier).removeprefix("==")


def _described(image: Image, place: str) -> dict[str, tuple[str, str]]:
    parsed = [email.parser.Parser().parsestr(text) for name, text in image.texts.items() if place in name]
    return {one["Name"] or one["Package"]: (one["Version"], one["Name"] or "") for one in parsed}


def test_the_bill_lists_exactly_the_python_packages_that_are_installed(image: Image, bill: Any) -> None:
    """And these are the locked ones, but for what is left out on purpose, and the operator itself."""
    installed = {canonicalize_name(name): version for name, (version, _) in _described(image, "site-packages").items()}
    listed = {canonicalize_name(n): v for n, v in bill_of_materials.packages(bill, "pypi").items()}
    assert listed == installed
    locked = {name: version for name, version in _locked() if name not in LEFT_OUT}
    assert installed == {**locked, "aws-connectivity-test": operator_image.version()}


def test_the_bill_lists_exactly_the_packages_of_the_system(image: Image, bill: Any) -> None:
    installed = {name: version for name, (version, _) in _described(image, base_images.PACKAGE_LIST).items()}
    assert bill_of_materials.packages(bill, "deb") == installed
    assert {"libc6", "libssl3", "python3"} <= installed.keys()


def test_it_runs_the_operator_and_not_as_root(image: Image) -> None:
    """Without a shell between, so that the operator is process 1 and gets SIGTERM."""
    assert image.config["Entrypoint"] == ["connectivity-operator"]
    assert image.config["Cmd"] == ["run"]
    assert image.config["User"] == "65532:65532"
    assert dict(entry.split("=", 1) for entry in image.config["Env"]).keys() == {
        "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "USER"
    }  # fmt: skip


def test_it_says_what_it_is(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in image.config["Labels"].items()}
    assert labels["title"] == "aws-connectivity-test"
    assert labels["version"] == operator_image.version()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels["revision"])


def test_nothing_in_it_builds_installs_or_gains_rights(image: Image) -> None:
    programs = {Path(name).name for name in image.files if re.match(r"(usr/|opt/operator/)?s?bin/", name)}
    assert not programs & {
        "sh",
        "bash",
        "dash",
        "busybox",
        "pip",
        "pip3",
        "apt",
        "apt-get",
        "gcc",
        "cc",
        "make",
        "curl",
    }
    assert not [name for name in image.files if re.search(r"/site-packages/(pip|setuptools|hatchling)/", name)]
    assert not [name for name, file in image.files.items() if file.isfile() and file.mode & 0o6000]
    others_may_write = [n for n, f in image.files.items() if not f.issym() and f.mode & 0o002 and not f.mode & 0o1000]
    assert not others_may_write
    assert {(file.uid, file.gid) for name, file in image.files.items() if name.startswith("opt/")} == {(0, 0)}


def test_what_the_start_loads_is_compiled(image: Image) -> None:
    """Nothing can be written in the cluster: what is not compiled is compiled anew by every start."""
    python = base_images.python_version()
    site = SITE.format(python)
    tag = f"cpython-{python.replace('.', '')}"
    own = [name for name in image.files if name.startswith(f"{site}connectivity_operator/") and name.endswith(".py")]
    assert own
    clients = [f"{site}{name}" for name in ("kopf/__init__.py", "botocore/session.py", "kubernetes/aio/client/rest.py")]
    generated = f"{site}kubernetes/aio/client/models/__pycache__/"
    assert sum(name.startswith(generated) for name in image.files) < 400, "of generated modules only those in use"
    for name in own + clients:
        path = Path(name)
        assert str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc") in image.files, name


def test_it_stays_small(image: Image) -> None:
    assert image.archive.stat().st_size < LARGEST


def test_nothing_but_what_is_named_reaches_the_build() -> None:
    """`.dockerignore` lets in by name, so that no key, state or clone of a work tree can slip in."""
    lines = (paths.ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word
        for line in (paths.ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert copied == allowed
