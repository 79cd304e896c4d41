"""Data access policies of OpenSearch Serverless: the second lock, evaluated beside IAM, never instead of it.

Source: OpenSearch Service guide, "Data access control for Amazon OpenSearch Serverless". There is no Deny; a
policy names principals (a role, or one session of it) and rules (resources and permissions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.iam.policies import MalformedPolicyError, matches


@dataclass(frozen=True)
class Rule:
    """Permissions (``aoss:WriteDocument``) on resources (``index/<collection>/<index pattern>``)."""

    resources: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class Grant:
    """One element of a data access policy."""

    principals: tuple[str, ...]
    rules: tuple[Rule, ...]


def parse(document: Sequence[Mapping[str, Any]]) -> tuple[Grant, ...]:
    """A data access policy as AWS takes it: a list of objects with Rules and Principal.

    Raises `MalformedPolicyError`.
    """
    try:
        return tuple(
            Grant(
                principals=tuple(element["Principal"]),
                rules=tuple(Rule(tuple(r["Resource"]), tuple(r["Permission"])) for r in element["Rules"]),
            )
            for element in document
        )
    except (KeyError, TypeError) as error:
        raise MalformedPolicyError(f"data access policy: {error!r}") from error


def allows(grants: Sequence[Grant], identities: Sequence[str], permission: str, resource: str) -> bool:
    """Whether any grant gives one of the caller's identities (session ARN, role ARN) the permission."""
    return any(
        any(matches(p, identity) for p in grant.principals for identity in identities)
        and any(
            any(matches(p, permission) for p in rule.permissions) and any(matches(r, resource) for r in rule.resources)
            for rule in grant.rules
        )
        for grant in grants
    )
