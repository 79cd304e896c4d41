"""The image for people: an archive, what it is made of, and how large each layer is."""

from __future__ import annotations

import gzip
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import scanners
from lab.node import operator_image


@dataclass(frozen=True)
class Layer:
    """One layer; sizes in bytes."""

    size: int
    compressed: int
    """As a registry keeps it and a node fetches it (gzip)."""


def write(folder: Path) -> tuple[Path, Path]:
    """Image and bill of materials as files of this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    name, version = operator_image.NAME.rpartition("/")[2], operator_image.version()
    archive = folder / f"{name}-{version}.tar"
    shutil.copyfile(operator_image.archive(), archive)
    bill = archive.with_suffix(".cdx.json")
    bill.write_text(json.dumps(scanners.syft(archive, name, version), indent=2, sort_keys=True) + "\n")
    return archive, bill


def packages(bill: Any, kind: str) -> dict[str, str]:
    """Name and version of its packages of a kind (`pypi`, `deb`), by their package URL."""
    prefix = f"pkg:{kind}/"
    return {one["name"]: one["version"] for one in bill["components"] if one.get("purl", "").startswith(prefix)}


def layers(archive: Path) -> list[Layer]:
    """Its layers, lowest first."""
    with tarfile.open(archive) as tar:
        [image] = _json(tar, "manifest.json")
        return [_measured(tar, name) for name in image["Layers"]]


def _measured(tar: tarfile.TarFile, name: str) -> Layer:
    counted = _Counter()
    size = 0
    with gzip.GzipFile(fileobj=counted, mode="wb", compresslevel=6) as packed:
        content = _file(tar, name)
        while block := content.read(1 << 20):
            size += packed.write(block)
    return Layer(size, counted.size)


class _Counter:
    """A file that only counts."""

    size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        pass


def _json(tar: tarfile.TarFile, name: str) -> Any:
    return json.load(_file(tar, name))


def _file(tar: tarfile.TarFile, name: str) -> Any:
    found = tar.extractfile(name)
    assert found is not None, f"{name} is no file of the archive"
    return found
