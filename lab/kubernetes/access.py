"""Ways into the cluster: kubeconfigs, kubectl, tokens of ServiceAccounts, plain requests."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import certificates, commands, paths, world
from lab.kubernetes import programs
from lab.part import NotReady

FOLDER = paths.STATE / "kubernetes"
ADMIN = FOLDER / "admin.kubeconfig"
"""Access to everything (group system:masters)."""


def kubectl(*arguments: str, limit: float = 60) -> str:
    """What kubectl prints, run as the cluster's administrator; `PartError` if it fails."""
    return commands.run(
        [str(programs.kubectl()), *arguments], env={**os.environ, "KUBECONFIG": str(ADMIN)}, limit=limit
    )


def token(service_account: str, *, audience: str | None = None, duration: str = "24h") -> str:
    """A JWT of a ServiceAccount in the operator's namespace (TokenRequest API), as kubelet projects it into Pods.

    Without ``audience`` it is one for the API server itself.
    """
    audiences = ["--audience", audience] if audience else []
    namespace = ["--namespace", world.OPERATOR_NAMESPACE]
    return kubectl("create", "token", service_account, *namespace, *audiences, "--duration", duration).strip()


def write_kubeconfig(file: Path, user: str, bearer_token: str) -> None:
    """A kubeconfig (JSON, which is YAML) for the lab's API server, readable by its owner only."""
    _write_kubeconfig(file, user, {"token": bearer_token})


def write_component_kubeconfig(file: Path, user: str, groups: Sequence[str] = ()) -> None:
    """The same for a component of Kubernetes, which logs in with a certificate."""
    chain, key = certificates.issue_client(f"{file.stem}-client", ca="kubernetes-ca", user=user, groups=groups)
    _write_kubeconfig(file, user, {"client-certificate": str(chain), "client-key": str(key)})


def _write_kubeconfig(file: Path, user: str, login: Mapping[str, str]) -> None:
    cluster = {
        "server": f"https://{world.KUBERNETES_API[0]}:{world.KUBERNETES_API[1]}",
        "certificate-authority": str(certificates.authority_file("kubernetes-ca")),
    }
    context = {"cluster": "lab", "user": user, "namespace": world.OPERATOR_NAMESPACE}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": cluster}],
        "users": [{"name": user, "user": dict(login)}],
        "contexts": [{"name": "lab", "context": context}],
        "current-context": "lab",
    }
    write_private(file, json.dumps(config, indent=1))


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
    new.replace(file)


def answer(port: int, path: str) -> str:
    """The body of an anonymous GET on one of the control plane's servers; `NotReady` unless it is a 200."""
    context = ssl.create_default_context(cafile=str(certificates.authority_file("kubernetes-ca")))
    connection = http.client.HTTPSConnection(world.KUBERNETES_API[0], port, timeout=5, context=context)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
    except OSError as error:
        raise NotReady(f"{path} on port {port}: {error}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        failing = [line.split()[0].removeprefix("[-]") for line in body.splitlines() if line.startswith("[-]")]
        reason = f"{failing[-1]} and {len(failing) - 1} more are missing" if failing else body[:200]
        raise NotReady(f"{path} on port {port} answers {response.status}: {reason}")
    return body
