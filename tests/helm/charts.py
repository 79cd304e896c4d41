"""Copies of the charts to render, with our stand-in as the base chart and with one of another shape."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import paths
from lab.kubernetes import programs

HELMS: dict[str, Callable[[], Path]] = {"helm 3.17": programs.helm_3, "helm 4": programs.helm}
BASES = ("stand-in", "other base")
ENVIRONMENTS = ("default", "nonprod", "prod")

RELEASE, NAMESPACE = "operator", "connectivity"

Object = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A copy of the chart whose dependency is resolved."""

    path: Path

    def helm(self, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one Helm with the copy as its working directory and nothing of the caller's configuration."""
        home = self.path.parent.parent / "home"
        env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "KUBECONFIG": str(home / "none")}
        command = [str(HELMS[version]()), *arguments]
        return subprocess.run(command, cwd=self.path, env=env, capture_output=True, text=True, timeout=60, check=False)

    def template(self, version: str, environment: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`helm template` of the release for an environment."""
        files = [] if environment == "default" else ["-f", f"values-{environment}.yaml"]
        where = [RELEASE, ".", "--namespace", NAMESPACE] if "--namespace" not in options else [RELEASE, "."]
        return self.helm(version, "template", *where, *files, *options)


@dataclass(frozen=True)
class Rendered:
    """The objects of a release."""

    objects: tuple[Object, ...]

    def all(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of a kind (with a name)."""
        [found] = [o for o in self.all(kind) if name is None or o["metadata"]["name"] == name]
        return found

    @property
    def pod(self) -> Object:
        """The operator's Pod template."""
        template: Object = self.one("Deployment")["spec"]["template"]
        return template

    @property
    def container(self) -> Object:
        [container] = self.pod["spec"]["containers"]
        return dict(container)

    def pod_specs(self) -> dict[str, Object]:
        """Every Pod that the chart can start: the operator, the test, the hook."""
        return {
            "operator": self.pod["spec"],
            "check": self.one("Pod")["spec"],
            "release-finalizers": self.one("Job")["spec"]["template"]["spec"],
        }

    def environment(self) -> dict[str, str]:
        """The operator's environment as the kubelet would make it."""
        env: dict[str, str] = {}
        for source in self.container["envFrom"]:
            env |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return env | {variable["name"]: variable["value"] for variable in self.container["env"]}


class Workshop:
    """Makes and renders the copies, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.chart = functools.cache(self._chart)
        self.rendered = functools.cache(self._rendered)

    def _chart(self, base: str) -> Chart:
        root = self._folder / base.replace(" ", "-")
        for name in ("helm", "crds"):
            ignore = shutil.ignore_patterns("charts", "__pycache__")
            shutil.copytree(paths.ROOT / name, root / name, symlinks=True, ignore=ignore)
        chart = Chart(root / "helm" / "aws-connectivity-test")
        if base == "other base":
            _swap(chart.path, Path(__file__).parent / "other_base")
        updated = chart.helm("helm 4", "dependency", "update", ".")
        assert updated.returncode == 0, updated.stderr
        return chart

    def _rendered(self, base: str, version: str, environment: str, *options: str) -> Rendered:
        result = self.chart(base).template(version, environment, *options)
        assert result.returncode == 0, result.stderr
        return Rendered(tuple(found for found in yaml.safe_load_all(result.stdout) if found))


def _swap(chart: Path, other: Path) -> None:
    """What `helm/README.md` says about a base chart of another shape: repository, one block, one file."""
    definition = chart / "Chart.yaml"
    definition.write_text(definition.read_text().replace("file://../ho-microservice", f"file://{other}"))
    shutil.copy(other / "_base.tpl", chart / "templates" / "_base.tpl")
    for file in chart.glob("values*.yaml"):
        values = yaml.safe_load(file.read_text())
        default = yaml.safe_load((paths.ROOT / "helm/aws-connectivity-test/values.yaml").read_text())
        block = _merged(default["ho-microservice"], values["ho-microservice"])
        file.write_text(yaml.safe_dump(values | {"ho-microservice": _translated(block)}))


def _merged(below: Any, above: Any) -> Any:
    """As Helm merges values: maps by key, everything else whole."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
    return above


def _translated(block: Object) -> Object:
    """Our block of values in the words of the other base chart."""
    image, secrets = block["image"], block["externalSecrets"]
    kept = ("command", "args", "envFrom", "ports", "livenessProbe", "readinessProbe", "startupProbe", "resources")
    return {
        "applicationName": block["fullnameOverride"],
        "replicas": block["replicaCount"],
        "updateStrategy": block["strategy"],
        "account": {
            "serviceAccountName": block["serviceAccount"]["name"],
            "annotations": block["serviceAccount"]["annotations"],
        },
        "exposed": {"type": block["service"]["type"], "ports": block["service"]["ports"]},
        "pod": {
            "securityContext": block["podSecurityContext"],
            "volumes": block["extraVolumes"],
            **{k: block[k] for k in ("automountServiceAccountToken", "enableServiceLinks")},
            "terminationGracePeriodSeconds": block["terminationGracePeriodSeconds"],
        },
        "container": {
            "image": f"{image['repository']}:{image['tag']}",
            "imagePullPolicy": image["pullPolicy"],
            "env": [{"name": name, "value": value} for name, value in block["env"].items()],
            "volumeMounts": block["extraVolumeMounts"],
            "securityContext": block["securityContext"],
            **{key: block[key] for key in kept},
        },
        "secretsFromStore": {"spec": _external_secret(secrets)} if secrets["enabled"] else {},
    }


def _external_secret(secrets: Object) -> Object:
    kept = {key: secrets[key] for key in ("refreshInterval", "secretStoreRef", "data")}
    return {**kept, "target": {"name": secrets["targetName"]}}
