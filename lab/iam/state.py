"""The state of the lab's AWS account: roles, providers, secrets and faults, as one JSON document and as frozen values.

The document is what `/state` shows and takes; the values are what decisions are made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lab import world
from lab.iam import data_access
from lab.iam.credentials import Credentials, unique_id
from lab.iam.policies import MalformedPolicyError, Policy, parse

Document = dict[str, Any]


class MalformedStateError(ValueError):
    """The document cannot be the account's state; the text says why."""


@dataclass(frozen=True)
class Role:
    """An IAM role."""

    trust: Policy
    policies: Mapping[str, Policy]
    max_session_seconds: int = 3600


@dataclass(frozen=True)
class User:
    """An IAM user with one long-term access key."""

    credentials: Credentials
    policies: Mapping[str, Policy]


@dataclass(frozen=True)
class Faults:
    """Switches. The defaults are a healthy AWS."""

    clock_skew_seconds: float = 0
    """AWS's clock is that far ahead of this machine's (what a wrong clock of a node looks like)."""
    credentials_cap_seconds: int = 0
    """Temporary credentials live at most that long, whatever was asked for. 0: no cap."""
    session_cap_seconds: int = 0
    """A Kafka session lives at most that long. 0: as long as the credentials."""
    min_session_seconds: int = 10
    """Credentials that end sooner get `Session too short` from MSK."""
    connect_rate: int = 0
    """New Kafka connections a second; more get `Too many connects`. 0: no limit."""
    identity_provider_unreachable: bool = False
    """STS cannot reach any issuer's keys, nor has it them in its cache."""
    sts_error: Mapping[str, Any] | None = None
    """{"status": 503, "code": …, "message": …}: STS's answer to everything."""


@dataclass(frozen=True)
class State:
    """The account."""

    roles: Mapping[str, Role]
    users: Mapping[str, User]
    oidc_providers: Mapping[str, tuple[str, ...]]
    """Issuer URL -> client ids (audiences) registered for it."""
    data_access_policies: tuple[data_access.Grant, ...]
    secrets: Mapping[str, str]
    """Secrets Manager: name -> SecretString."""
    pod_identity_associations: Mapping[str, str]
    """EKS Pod Identity: `namespace/service account` -> role name."""
    faults: Faults = field(default_factory=Faults)


def merge(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): objects merge, null removes, everything else replaces. Inputs stay as they are."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def read(document: Document) -> State:
    """The document as values. Raises `MalformedStateError`, also for a key that is not known (a misspelt fault)."""
    _known(document, State, "state")
    try:
        return State(
            roles={name: _role(name, role) for name, role in document["roles"].items()},
            users={name: _user(name, user) for name, user in document["users"].items()},
            oidc_providers={issuer: tuple(ids) for issuer, ids in document["oidc_providers"].items()},
            data_access_policies=tuple(
                grant for policy in document["data_access_policies"].values() for grant in data_access.parse(policy)
            ),
            secrets=dict(document["secrets"]),
            pod_identity_associations=dict(document["pod_identity_associations"]),
            faults=_faults(document["faults"]),
        )
    except MalformedPolicyError as error:
        raise MalformedStateError(f"MalformedPolicyDocument: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise MalformedStateError(f"malformed state: {error!r}") from error


def _role(name: str, source: Document) -> Role:
    _known(source, Role, f"role {name}")
    return Role(
        trust=parse(source["trust"]),
        policies={n: parse(p) for n, p in source["policies"].items()},
        max_session_seconds=source.get("max_session_seconds", 3600),
    )


def _user(name: str, source: Document) -> User:
    credentials = Credentials(
        access_key=source["access_key_id"],
        secret=source["secret_access_key"],
        session_token="",
        principal=f"arn:aws:iam::{world.ACCOUNT}:user/{name}",
        user_id=unique_id("AIDA", name),
        role="",
        expires=None,
    )
    return User(credentials, {n: parse(p) for n, p in source["policies"].items()})


def _faults(source: Document) -> Faults:
    _known(source, Faults, "faults")
    return Faults(**source)


def _known(source: Document, cls: type, what: str) -> None:
    names = {f.name for f in fields(cls)}
    if unknown := set(source) - names:
        raise MalformedStateError(f"{what}: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}")
