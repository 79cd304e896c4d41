"""Who may act in the lab: ServiceAccounts with their AWS roles, and the files that their Pods would find mounted."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path

from lab import paths, world
from lab.kubernetes import access

LIFETIME = "24h"
RENEW_BEFORE = 3600.0
"""Seconds; kubelet renews projected tokens too, long before they end."""


@dataclass(frozen=True)
class Identity:
    """A ServiceAccount in the operator's namespace and the role that its token is exchanged for."""

    service_account: str
    role_arn: str

    @property
    def folder(self) -> Path:
        return paths.STATE / self.service_account

    @property
    def aws_token(self) -> Path:
        """On EKS: /var/run/secrets/eks.amazonaws.com/serviceaccount/token."""
        return self.folder / "aws-token"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def withheld(self) -> Path:
        """While this file exists, a fault has the AWS token: it is left as it is."""
        return self.folder / "aws-token.withheld"


OPERATOR = Identity(world.OPERATOR_SERVICE_ACCOUNT, world.ROLE_ARN)
LAB_ADMIN = Identity("lab-admin", f"arn:aws:iam::{world.ACCOUNT}:role/lab-admin")
"""What the tests are: may do everything, in the cluster and in the lab's AWS account."""

ALL = {identity.service_account: identity for identity in (OPERATOR, LAB_ADMIN)}


def issue(identity: Identity) -> None:
    """Write new tokens for an identity: one for STS, one (in a kubeconfig) for the API server."""
    aws_token = access.token(identity.service_account, audience=world.TOKEN_AUDIENCE, duration=LIFETIME)
    api_token = access.token(identity.service_account, duration=LIFETIME)
    access.write_kubeconfig(identity.kubeconfig, identity.service_account, api_token)
    access.write_private(identity.aws_token, aws_token)


def ensure(identity: Identity) -> None:
    """Write new tokens if there are none or they end soon."""
    if identity.withheld.exists():
        return
    if not identity.aws_token.exists() or _expiry(identity.aws_token.read_text()) - time.time() < RENEW_BEFORE:
        issue(identity)


def _expiry(token: str) -> float:
    """End of a JWT's life in seconds since 1970; the token is our own, so its signature is not looked at."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return float(claims["exp"])
