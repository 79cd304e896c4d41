"""The agent of EKS Pod Identity: a Pod's own token in, credentials of the associated role out.

On a node it answers at http://169.254.170.23/v1/credentials; here at an address of the loopback, which the AWS
SDKs accept as well (`AWS_CONTAINER_CREDENTIALS_FULL_URI`). Source: EKS user guide, "How EKS Pod Identity works".
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from lab import world
from lab.iam import credentials, web_identity
from lab.iam.errors import ServiceError
from lab.iam.identity_tokens import IdentityTokens
from lab.iam.policies import evaluate_trust
from lab.iam.store import Store

AGENT = ("127.77.0.23", 80)
"""Where the agent answers."""

URI = f"http://{AGENT[0]}/v1/credentials"
AUDIENCE = "pods.eks.amazonaws.com"
SERVICE = "pods.eks.amazonaws.com"
"""The principal that the role's trust policy must admit, for sts:AssumeRole and sts:TagSession."""

LIFETIME_SECONDS = 6 * 3600

_TAG = "aws:RequestTag/kubernetes-"
"""Of the session tags that EKS sends along; a trust policy may have conditions on them."""

_SUBJECT_PREFIX = "system:serviceaccount:"


def trust() -> dict[str, object]:
    """The trust policy of a role that Pods may have."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": SERVICE}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
        ],
    }


class PodIdentity:
    """Answers what `AssumeRoleForPodIdentity` answers, through the agent."""

    def __init__(self, store: Store, tokens: IdentityTokens) -> None:
        self._store = store
        self._tokens = tokens

    async def credentials(self, token: str) -> dict[str, str]:
        """Credentials for the Pod that the token (its whole `Authorization` header) belongs to.

        Raises `ServiceError`.
        """
        claims = await self._tokens.verify(token)
        web_identity.check_audience_and_expiry(claims, [AUDIENCE], now=self._store.now())
        namespace, _, account = claims.subject.removeprefix(_SUBJECT_PREFIX).partition(":")
        who = f"{namespace}/{account}"
        tags = {f"{_TAG}namespace": namespace, f"{_TAG}service-account": account}
        name = self._store.state.pod_identity_associations.get(who)
        if name is None:
            text = f"No pod identity association found for service account {who}"
            raise ServiceError(404, "ResourceNotFoundException", text)
        role = self._store.state.roles.get(name)
        for action in ("sts:AssumeRole", "sts:TagSession"):
            if role is None or not evaluate_trust(role.trust, "Service", SERVICE, action, tags).allowed:
                text = f"Unable to assume the role {name} for service account {who}"
                raise ServiceError(400, "AccessDeniedException", text, f"{name} does not trust {SERVICE} to {action}")
        session = f"eks-lab-{account}-{uuid.uuid4()}"[:64]
        cap = self._store.state.faults.credentials_cap_seconds or LIFETIME_SECONDS
        issued = credentials.assume_role(name, session, expires=self._store.now() + min(cap, LIFETIME_SECONDS))
        self._store.remember(issued)
        expires = datetime.fromtimestamp(issued.expires or 0, UTC)
        return {
            "AccessKeyId": issued.access_key,
            "SecretAccessKey": issued.secret,
            "Token": issued.session_token,
            "AccountId": world.ACCOUNT,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
