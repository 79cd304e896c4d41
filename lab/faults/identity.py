"""Faults of the AWS identity on AWS's side and in the operator's settings: roles, trust, providers, STS, keys."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lab import paths, processes, world
from lab.faults import metadata_service, names, server_certificates
from lab.faults.fault import Fault
from lab.faults.permissions import behaviour
from lab.iam import control, defaults, pod_identity
from lab.iam.defaults import trust
from lab.kubernetes import access
from lab.waiting import until_listening

FOLDER = paths.STATE / "faults"
NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}
"""A node that lets no Pod have its role, as it should be."""

_NO_WEB_IDENTITY: dict[str, str | None] = {"AWS_ROLE_ARN": None, "AWS_WEB_IDENTITY_TOKEN_FILE": None}
_DEFAULT = defaults.document()


def _state(name: str, summary: str, on: dict[str, Any], off: dict[str, Any]) -> Fault:
    """The account's state, patched."""
    return Fault(name, summary, partial(control.patch_state, on), partial(control.patch_state, off))


def _settings(name: str, summary: str, **variables: str | None) -> Fault:
    return Fault(name, summary, environment=variables)


_ROLE = _DEFAULT["roles"][world.ROLE_NAME]
_PROVIDERS = _DEFAULT["oidc_providers"]

ACCOUNT = (
    _state(
        "identity-role-deleted",
        "delete the role",
        {"roles": {world.ROLE_NAME: None}},
        {"roles": {world.ROLE_NAME: _ROLE}},
    ),
    _state(
        "identity-trust-subject",
        "let the role's trust policy name another ServiceAccount",
        {"roles": {world.ROLE_NAME: {"trust": trust("default")}}},
        {"roles": {world.ROLE_NAME: {"trust": _ROLE["trust"]}}},
    ),
    _state(
        "identity-trust-namespace",
        "let the role's trust policy name another namespace",
        {"roles": {world.ROLE_NAME: {"trust": trust(world.OPERATOR_SERVICE_ACCOUNT, namespace="default")}}},
        {"roles": {world.ROLE_NAME: {"trust": _ROLE["trust"]}}},
    ),
    _state(
        "identity-provider-missing",
        "remove the account's OpenID Connect provider",
        {"oidc_providers": {world.KUBERNETES_ISSUER: None}},
        {"oidc_providers": _PROVIDERS},
    ),
    _state(
        "identity-provider-audience",
        "take sts.amazonaws.com from the provider's audiences",
        {"oidc_providers": {world.KUBERNETES_ISSUER: ["vault"]}},
        {"oidc_providers": _PROVIDERS},
    ),
    behaviour(
        "identity-provider-unreachable",
        "let STS fail to read the issuer's keys",
        identity_provider_unreachable=True,
    ),
    behaviour("identity-clock-behind", "set AWS's clock ten minutes ahead of ours", clock_skew_seconds=600),
    behaviour("identity-clock-ahead", "set AWS's clock ten minutes behind ours", clock_skew_seconds=-600),
    behaviour(
        "identity-sts-unavailable",
        "let STS answer 503 ServiceUnavailable",
        sts_error={"status": 503, "code": "ServiceUnavailable", "message": "Service is unable to handle request."},
    ),
    behaviour(
        "identity-sts-throttled",
        "let STS answer 400 Throttling",
        sts_error={"status": 400, "code": "Throttling", "message": "Rate exceeded"},
    ),
    behaviour(
        "identity-sts-region-disabled",
        "let STS answer 403 RegionDisabledException",
        sts_error={
            "status": 403,
            "code": "RegionDisabledException",
            "message": "STS is not activated in this region for account:111122223333.",
        },
    ),
    behaviour(
        "identity-sts-endpoint-policy",
        "let STS answer as behind a VPC endpoint whose policy allows other actions (403 AccessDenied)",
        sts_error={
            "status": 403,
            "code": "AccessDenied",
            "message": "Not authorized: no VPC endpoint policy allows the action",
        },
    ),
    behaviour(
        "identity-sts-organization-policy",
        "let STS answer as where a policy of the organization denies (403 AccessDenied)",
        sts_error={
            "status": 403,
            "code": "AccessDenied",
            "message": "Not authorized to perform sts:AssumeRoleWithWebIdentity with an explicit deny in a resource "
            "control policy",
        },
    ),
)

# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
SETTINGS = (
    _settings("identity-none", "give the pod no token and no role", **_NO_WEB_IDENTITY, **NO_METADATA),
    _settings("identity-role-not-configured", "take AWS_ROLE_ARN away", AWS_ROLE_ARN=None),
    _settings("identity-role-malformed", "set AWS_ROLE_ARN to a role's name", AWS_ROLE_ARN=world.ROLE_NAME),
    _settings(
        "identity-role-unknown",
        "set AWS_ROLE_ARN to a role that does not exist",
        AWS_ROLE_ARN=f"arn:aws:iam::{world.ACCOUNT}:role/nobody",
    ),
    _settings(
        "identity-token-path-wrong",
        "set AWS_WEB_IDENTITY_TOKEN_FILE to a path where nothing is",
        AWS_WEB_IDENTITY_TOKEN_FILE="/var/run/secrets/nothing/token",
    ),
    _settings("identity-region-not-configured", "take AWS_REGION away", AWS_REGION=None),
)


# ── static keys ──────────────────────────────────────────────────────────────────────────────────────
def _keys_file(name: str) -> Path:
    return FOLDER / f"{name}.credentials"


def _static(name: str, summary: str, *, seconds: float = 3600, secret: str | None = None, token: bool = True) -> Fault:
    """Keys in a shared credentials file, which botocore takes when there is no web identity."""
    file = _keys_file(name)

    def on() -> None:
        issued = control.issue(session="static", seconds=seconds)
        lines = [
            "[default]",
            f"aws_access_key_id = {issued.access_key_id}",
            f"aws_secret_access_key = {secret or issued.secret_access_key}",
            *([f"aws_session_token = {issued.session_token}"] if token else []),
        ]
        access.write_private(file, "\n".join(lines) + "\n")

    environment = {**_NO_WEB_IDENTITY, **NO_METADATA, "AWS_SHARED_CREDENTIALS_FILE": str(file.resolve())}
    return Fault(name, summary, on, partial(file.unlink, missing_ok=True), environment)


STATIC = (
    _static("identity-keys-static", "give the operator keys in a file instead of a role"),
    _static("identity-keys-expired", "give the operator temporary keys that ended", seconds=-60),
    _static("identity-keys-wrong", "give the operator keys with a wrong secret", secret="x" * 40),
    _static("identity-keys-without-token", "give the operator temporary keys without session token", token=False),
)


# ── Pod Identity and the node's role ─────────────────────────────────────────────────────────────────
POD_TOKEN = FOLDER / "pod-identity-token"


def _project_pod_token() -> None:
    token = access.token(world.OPERATOR_SERVICE_ACCOUNT, audience=pod_identity.AUDIENCE, duration="1h")
    access.write_private(POD_TOKEN, token)


def _pod_identity(name: str, summary: str, *, uri: str, on: Callable[[], None] = _project_pod_token) -> Fault:
    environment = {
        **_NO_WEB_IDENTITY,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri,
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(POD_TOKEN.resolve()),
    }
    return Fault(name, summary, on, partial(POD_TOKEN.unlink, missing_ok=True), environment)


_IMDS = "metadata-service"
_PATIENT = {"AWS_METADATA_SERVICE_TIMEOUT": "10", "AWS_METADATA_SERVICE_NUM_ATTEMPTS": "3"}
"""The SDK gives the service one second, which a busy machine needs to start answering."""


def _serve_metadata() -> None:
    processes.spawn(_IMDS, [sys.executable, "-m", "lab.faults.metadata_service"], cwd=paths.ROOT)
    until_listening(*metadata_service.ADDRESS)


INSTEAD = (
    _pod_identity("identity-pod-association-missing", "use Pod Identity without an association", uri=pod_identity.URI),
    _pod_identity(
        "identity-pod-agent-away",
        "use Pod Identity on a node without its agent",
        uri="http://127.77.0.99/v1/credentials",
    ),
    _pod_identity(
        "identity-pod-token-missing",
        "use Pod Identity without its token's file",
        uri=pod_identity.URI,
        on=partial(POD_TOKEN.unlink, missing_ok=True),
    ),
    Fault(
        "identity-node-role",
        "leave the pod the node's role (an emulated metadata service)",
        _serve_metadata,
        partial(processes.end, _IMDS),
        {**_NO_WEB_IDENTITY, **_PATIENT, "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_service.URL},
    ),
)


# ── regions ──────────────────────────────────────────────────────────────────────────────────────────
def _sts_also_as(host: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """STS has another name as well, with a certificate for it."""
    server = server_certificates.SERVERS["sts"]
    key = f"sts-as-{host}"

    def on() -> None:
        names.override(key, {host: world.STS[1]})
        server_certificates.spoil("sts", server_certificates.Flaw(hosts=(*server.hosts, host)))

    def off() -> None:
        names.restore(key)
        server_certificates.restore("sts")

    return on, off


REGIONS = (
    Fault(
        "identity-region-wrong",
        "set AWS_REGION to another region than the servers'",
        *_sts_also_as("sts.eu-west-1.amazonaws.com"),
        {"AWS_REGION": "eu-west-1"},
    ),
    Fault(
        "identity-sts-global",
        "ask STS at its global endpoint (AWS_STS_REGIONAL_ENDPOINTS=legacy)",
        *_sts_also_as("sts.amazonaws.com"),
        {"AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
    ),
)

FAULTS = (*ACCOUNT, *SETTINGS, *STATIC, *INSTEAD, *REGIONS)
