"""The account as `lab up` makes it: the operator's role with exactly what the operator needs, and one for tests."""

from __future__ import annotations

from typing import Any

from lab import openai, world
from lab.iam.web_identity import provider_id

ADMIN_ROLE = "lab-admin"
"""May do everything; for tests. Trusts the service account of the same name."""

_KAFKA = f"arn:aws:kafka:{world.REGION}:{world.ACCOUNT}"
_TOPICS = [
    f"{_KAFKA}:topic/demo/{world.CLUSTER_UUID}/{pattern}" for pattern in ("orders", "payments", "connectivity-test*")
]
_GROUPS = f"{_KAFKA}:group/demo/{world.CLUSTER_UUID}/connectivity-test.*"

DB_CONNECT_RESOURCE = f"arn:aws:rds-db:{world.REGION}:{world.ACCOUNT}:dbuser:{world.DB_RESOURCE_ID}"
"""Followed by `/<database user>`: the resource of rds-db:connect."""


def document() -> dict[str, Any]:
    """The default state, as JSON."""
    return {
        "roles": {
            world.ROLE_NAME: {
                "trust": trust(world.OPERATOR_SERVICE_ACCOUNT, world.CHART_SERVICE_ACCOUNT),
                "policies": operator_policies(),
            },
            ADMIN_ROLE: {
                "trust": trust(ADMIN_ROLE),
                "policies": {"everything": _policy(_allow("Everything", "*", "*"))},
            },
        },
        "users": {},
        "oidc_providers": {world.KUBERNETES_ISSUER: [world.TOKEN_AUDIENCE]},
        "data_access_policies": {
            "connectivity-test": [
                _grant(
                    world.ROLE_ARN,
                    "connectivity-test*",
                    ["DescribeIndex", "WriteDocument", "CreateIndex"],
                )
            ],
            ADMIN_ROLE: [_grant(f"arn:aws:iam::{world.ACCOUNT}:role/{ADMIN_ROLE}", "*", ["*"])],
        },
        "secrets": {world.OPENAI_SECRET_NAME: openai.API_KEY},
        "pod_identity_associations": {},
        "faults": {},
    }


def operator_policies() -> dict[str, Any]:
    """Least privilege, one policy a service, so that a test can take one away by its name."""
    return {
        "kafka": _policy(
            _allow("Connect", "kafka-cluster:Connect", world.CLUSTER_ARN),
            _allow("ReadTopics", ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"], _TOPICS),
            _allow("JoinGroups", ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"], _GROUPS),
            _allow("SendTestMessages", "kafka-cluster:WriteData", _TOPICS),
        ),
        "postgresql": _policy(_allow("Connect", "rds-db:connect", f"{DB_CONNECT_RESOURCE}/{world.DB_USER}")),
        "opensearch": _policy(_allow("UseCollection", "aoss:APIAccessAll", world.COLLECTION_ARN)),
    }


def trust(*service_accounts: str, namespace: str = world.OPERATOR_NAMESPACE) -> dict[str, Any]:
    """The trust policy that lets service accounts of the lab's cluster assume a role (IRSA)."""
    provider = provider_id(world.KUBERNETES_ISSUER)
    subjects = [f"system:serviceaccount:{namespace}:{name}" for name in service_accounts]
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{world.ACCOUNT}:oidc-provider/{provider}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{provider}:sub": subjects if len(subjects) > 1 else subjects[0],
                    f"{provider}:aud": world.TOKEN_AUDIENCE,
                }
            },
        }
    )


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}


def _grant(role_arn: str, indices: str, permissions: list[str]) -> dict[str, Any]:
    return {
        "Rules": [
            {
                "ResourceType": "index",
                "Resource": [f"index/{world.COLLECTION_NAME}/{indices}"],
                "Permission": [f"aoss:{p}" for p in permissions],
            }
        ],
        "Principal": [role_arn],
    }
