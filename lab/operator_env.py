"""Runs programs in the place of the operator: its environment, its identity, the lab's resolver.

The environment is the production one, word for word; only what a Pod finds mounted lies elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab import certificates, dns, openai, paths, processes, switched_on, world
from lab.kubernetes import access, identities
from lab.kubernetes.identities import OPERATOR, Identity
from lab.part import PartError

OPENAI_KEY_FILE = OPERATOR.folder / "openai-api-key"
TRUST_FOLDER = OPERATOR.folder / "trust"
"""What the ConfigMap of certificates is in a Pod."""

CA_FILES = {"EXTRA_CA_FILE": ("extra.pem", "ca"), "POSTGRES_CA_FILE": ("rds.pem", "rds-ca")}
"""Variable -> its file in there, and the authority whose certificate it holds."""

OPERATOR_COMMAND = (sys.executable, "-m", "connectivity_operator", "run")
OPERATOR_PROCESS = "operator"

NOT_INHERITED = ("AWS_", "KAFKA_", "POSTGRES", "PG", "OPENSEARCH_", "OPENAI_", "KUBE", "OPERATOR_", "WATCH_")
"""What begins so in the caller's environment would change what a program meets in the lab (keys of a real account!)."""

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
TRUST = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def environment(identity: Identity = OPERATOR) -> dict[str, str]:
    """The operator's variables in the lab, with fresh tokens in the files that they name; faults may change them."""
    identities.ensure(identity)
    if not OPENAI_KEY_FILE.exists() and not OPENAI_KEY_FILE.is_symlink():
        write_openai_key()
    for variable in CA_FILES:
        if not ca_file(variable).is_symlink():
            write_ca_file(variable)
    return switched_on.applied_to({**_identity(identity), **endpoints()})


def write_openai_key() -> None:
    """The API key as the Secret has it, whatever a fault has left in its place."""
    OPENAI_KEY_FILE.unlink(missing_ok=True)
    access.write_private(OPENAI_KEY_FILE, openai.API_KEY)


def ca_file(variable: str) -> Path:
    """The file that a variable names."""
    return TRUST_FOLDER / CA_FILES[variable][0]


def write_ca_file(variable: str) -> None:
    """The certificate as the ConfigMap has it, whatever a fault has left in its place."""
    file = ca_file(variable)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.symlink_to(certificates.authority_file(CA_FILES[variable][1]))


def lose_ca_file(variable: str) -> None:
    """What a ConfigMap's file is after the ConfigMap was deleted: a link to nothing."""
    ca_file(variable).unlink(missing_ok=True)
    ca_file(variable).symlink_to("..data/absent")


def command(
    argv: Sequence[str], *, identity: Identity = OPERATOR, extra: Mapping[str, str] | None = None
) -> tuple[list[str], dict[str, str]]:
    """``argv`` wrapped so that it resolves names by the lab, and its whole environment; both for `subprocess`.

    Every step is an exec: the program has the pid that was started, gets its signals and gives its exit code.
    `PartError` if there is no resolver.
    """
    if not dns.RESOLV_CONF.exists():
        raise PartError("the lab's resolver was never started: python -m lab up")
    over_etc = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    wrapped = ["unshare", "--mount", "sh", "-c", over_etc, str(dns.RESOLV_CONF), *argv]
    return wrapped, {**_inherited(), **environment(identity), **(extra or {})}


def spawn_operator(extra: Mapping[str, str] | None = None, argv: Sequence[str] = OPERATOR_COMMAND) -> processes.Record:
    """Start the operator as a process of the lab: `lab logs operator`, `runner.stop("operator")`."""
    wrapped, env = command(argv, extra=extra)
    return processes.spawn(OPERATOR_PROCESS, wrapped, env=env, inherit=False, cwd=paths.ROOT)


def _identity(identity: Identity) -> dict[str, str]:
    """What EKS's webhook for IAM roles puts into a Pod, and the way to the API server."""
    return {
        "AWS_ROLE_ARN": identity.role_arn,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(identity.aws_token),
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_REGION": world.REGION,
        "KUBECONFIG": str(identity.kubeconfig),
    }


def endpoints() -> dict[str, str]:
    """What the chart's values say in production."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(f"{name}:9098" for name, _ in world.BROKERS.values()),
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_CLUSTER_ARN": world.CLUSTER_ARN,
        "POSTGRES_HOST": world.POSTGRESQL[0],
        "POSTGRES_PORT": "5432",
        "POSTGRES_DB": world.DB_NAME,
        "POSTGRES_USER": world.DB_USER,
        "POSTGRESQL_USE_IAM_AUTH": "true",
        "POSTGRES_CA_FILE": str(ca_file("POSTGRES_CA_FILE")),
        "POSTGRES_RESOURCE_ID": world.DB_RESOURCE_ID,
        "OPENSEARCH_ENDPOINT": f"https://{world.OPENSEARCH[0]}",
        "OPENSEARCH_USE_IAM_AUTH": "true",
        "OPENSEARCH_SERVICE": "aoss",
        "OPENSEARCH_COLLECTION_NAME": world.COLLECTION_NAME,
        "OPENAI_API_KEY_FILE": str(OPENAI_KEY_FILE),
        "OPENAI_EMBEDDING_MODEL": "text-embedding-3-small",
        "EXTRA_CA_FILE": str(ca_file("EXTRA_CA_FILE")),
        "OPERATOR_NAMESPACE": world.OPERATOR_NAMESPACE,
        "LOG_FORMAT": "json",
    }


def _inherited() -> dict[str, str]:
    """The caller's own environment as far as it says nothing about the operator's world.

    `connectivity-operator` is found also where the virtual environment is not on the caller's PATH.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(NOT_INHERITED) and name.lower() not in PROXIES and name not in TRUST
    }
    beside_python = str(Path(sys.executable).parent)
    return {**inherited, "PATH": os.pathsep.join([beside_python, inherited.get("PATH", os.defpath)])}
