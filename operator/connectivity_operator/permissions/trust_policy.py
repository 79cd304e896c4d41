"""Who may have the role: its trust policy, for IRSA or for EKS Pod Identity.

Sources: EKS user guide, "IAM roles for service accounts" and "Create IAM role with trust policy required by EKS
Pod Identity" (the conditions on request tags, which hold only while the association's session tags are on).
"""

from __future__ import annotations

from typing import Any

from connectivity_operator.permissions.principal import Principal

AUDIENCE = "sts.amazonaws.com"


def web_identity(principal: Principal) -> dict[str, Any]:
    """IRSA: exactly this ServiceAccount of the cluster with this issuer."""
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {
                "Federated": f"arn:{principal.partition}:iam::{principal.account}:oidc-provider/{principal.issuer}"
            },
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {
                    f"{principal.issuer}:sub": (
                        f"system:serviceaccount:{principal.namespace}:{principal.service_account}"
                    ),
                    f"{principal.issuer}:aud": AUDIENCE,
                }
            },
        }
    )


def pod_identity(principal: Principal) -> dict[str, Any]:
    """EKS Pod Identity: without the conditions, any association in the account could hand the role out."""
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/kubernetes-namespace": principal.namespace,
                    "aws:RequestTag/kubernetes-service-account": principal.service_account,
                }
            },
        }
    )


def _policy(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}
