"""Images for the node, without a registry: archives as `docker save` writes them, loaded into its containerd."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab import cache, commands, processes
from lab.node import configuration, layout, runtime
from lab.part import PartError

NAMESPACE = "k8s.io"
LOAD_LIMIT = 120.0


def load(archive: Path) -> list[str]:
    """Load an archive (`docker save`, `podman save`, `buildah push docker-archive:`); the names of its images.

    What the node has already is not unpacked again. Pods use it by name with `imagePullPolicy: IfNotPresent`.
    """
    names = _names(archive)
    loaded = layout.LOADED / hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    content = _digest(archive)
    if loaded.exists() and loaded.read_text() == content and set(names) <= present():
        return names
    _ctr("images", "import", "--snapshotter", configuration.snapshotter(), str(archive))
    loaded.parent.mkdir(parents=True, exist_ok=True)
    loaded.write_text(content)
    return names


def tag(name: str, other: str) -> None:
    """Give an image another name."""
    _ctr("images", "tag", "--force", name, other)


def remove(names: Iterable[str]) -> None:
    """Forget images; containers that were made from them run on."""
    for name in names:
        _ctr("images", "remove", name)


def present() -> set[str]:
    """Names of the images that the node has."""
    return set(_ctr("images", "list", "--quiet").split())


def pause() -> Path:
    """The archive of the sandbox image, `localhost/pause:1`."""
    program = runtime.pause()
    return cache.made(
        f"node/{program.name}.tar",
        lambda archive: write_archive(archive, configuration.PAUSE_IMAGE, program, entrypoint=["/pause"]),
    )


def write_archive(archive: Path, name: str, root: Path, *, entrypoint: Sequence[str] = ()) -> None:
    """An image of one layer, the files below ``root``, all owned by root (docker-archive, as `docker save`)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(root, arcname=".", filter=_owned_by_root)
    content = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(entrypoint), "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive, "w") as tar:
        for file, data in (("layer.tar", content), (config_name, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(file)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        manifest = tar.extractfile("manifest.json")
        if manifest is None:
            raise PartError(f"{archive} is no image archive: manifest.json is no file")
        return sorted(name for image in json.load(manifest) for name in image.get("RepoTags") or [])


def _digest(archive: Path) -> str:
    with archive.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _ctr(*arguments: str) -> str:
    # Without a server it would try for 10 s before it says so.
    if processes.find("node") is None or not layout.SOCKET.exists():
        raise PartError("the lab's node is not up: python -m lab up --only node")
    ctr = [str(runtime.programs() / "ctr"), f"--address={layout.SOCKET}", f"--namespace={NAMESPACE}"]
    return commands.run([*ctr, *arguments], limit=LOAD_LIMIT)
