"""The operator as a Pod of the lab's node, installed by Helm as a user does it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import certificates, commands, openai, parts, paths, processes, runner, world
from lab.kubernetes import access, programs
from lab.node import operator_image
from lab.operating import kubectl, until
from lab.part import PartError
from lab.progress import Display, Silent

RELEASE = "operator"
NAMESPACE = world.OPERATOR_NAMESPACE
CHART = "helm/aws-connectivity-test"
VALUES = (f"{CHART}/values-nonprod.yaml", "lab/node/values.yaml")

DEPLOYMENT = "connectivity-operator"
"""Name of the Deployment, and of the ServiceAccount that the operator runs under."""

PODS = f"app.kubernetes.io/name={DEPLOYMENT},app.kubernetes.io/instance={RELEASE}"
"""Selects the operator's Pods."""

OPENAI_SECRET = f"{DEPLOYMENT}-openai"
HELM_LIMIT = 300.0

log = logging.getLogger("lab.node")


def helm(*arguments: str, check: bool = True, program: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm as the cluster's administrator, in the root of the checkout; `PartError` if it fails."""
    result = subprocess.run(
        [str(program or programs.helm()), *arguments],
        env={**os.environ, "KUBECONFIG": str(access.ADMIN)},
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=HELM_LIMIT + 30,
        check=False,
    )
    if check and result.returncode:
        raise PartError(f"helm {arguments[0]}: {result.stderr.strip()}")
    return result


def state() -> str:
    """What Helm says of the release: `deployed`, `failed`, `pending-upgrade` …; empty: there is none."""
    result = helm("status", RELEASE, f"--namespace={NAMESPACE}", "--output=json", check=False)
    return str(json.loads(result.stdout)["info"]["status"]) if result.returncode == 0 else ""


def prepare(display: Display | None = None) -> str:
    """A node that has the image of this checkout, built if anything in it has changed; the image's name and tag."""
    runner.up(parts.with_needs(["node"]), display or Silent())
    return operator_image.load()


def make_secret(key: str = openai.API_KEY) -> None:
    """The OpenAI key, as `helm/README.md` says it is made where no External Secrets Operator is."""
    manifest = kubectl(
        "create", "secret", "generic", OPENAI_SECRET, f"--namespace={NAMESPACE}", f"--from-literal=api-key={key}",
        "--dry-run=client", "--output=json",
    )  # fmt: skip
    kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifest)


def arguments(image: str, values: Sequence[Path | str] = VALUES) -> list[str]:
    """What follows `helm install operator <chart>` in the lab."""
    return [
        f"--namespace={NAMESPACE}", "--create-namespace", "--wait", f"--timeout={HELM_LIMIT:.0f}s",
        *(f"--values={file}" for file in values),
        f"--set=ho-microservice.image.tag={image.rpartition(':')[2]}",
        f"--set-file=trust.rdsBundle={certificates.authority_file('rds-ca')}",
        f"--set-file=trust.extraBundle={certificates.authority_file()}",
    ]  # fmt: skip


def make_way() -> None:
    """Nothing is left that a release would collide with: an operator that runs as a process, an interrupted command."""
    processes.end("operator", grace=20)  # it has the ports that the Pod needs
    if state() not in ("", "deployed"):
        remove()


def install(image: str, *options: str) -> None:
    """Install or upgrade the release and wait until its Pod is ready."""
    make_way()
    make_secret()
    helm("upgrade", "--install", RELEASE, CHART, "--dependency-update", *arguments(image), *options)


def remove() -> None:
    """Uninstall the release, if there is one, and wait until its Pods are gone; then delete what Helm leaves."""
    if state():
        runner.up(parts.with_needs(["node"]))  # the hook of the chart runs in a Pod
        helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait", f"--timeout={HELM_LIMIT:.0f}s")
        until(lambda: not pods(), limit=90, what="the end of the operator's Pod")
    kubectl("-n", NAMESPACE, "delete", f"pod/{DEPLOYMENT}-check", f"secret/{OPENAI_SECRET}", "--ignore-not-found")


def pods() -> list[dict[str, Any]]:
    """The operator's Pods, ending ones included."""
    return list(json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-l", PODS, "-o", "json"))["items"])


def execute(*argv: str) -> str:
    """What a program in the operator's container prints."""
    return commands.run(
        [str(programs.kubectl()), "-n", NAMESPACE, "exec", f"deployment/{DEPLOYMENT}", "--", *argv],
        env={**os.environ, "KUBECONFIG": str(access.ADMIN)},
        limit=60,
    )
