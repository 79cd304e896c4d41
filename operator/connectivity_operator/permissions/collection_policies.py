"""The locks that a collection of OpenSearch Serverless has of its own, beside IAM."""

from __future__ import annotations

from typing import Any

from connectivity_operator.permissions.demand import Demand
from connectivity_operator.permissions.principal import Principal
from connectivity_operator.settings import Settings

WHY = {
    "aoss:DescribeIndex": "look at the index and its mapping",
    "aoss:WriteDocument": "write documents",
    "aoss:CreateIndex": "create an absent index",
}
"""Each permission in a few words."""


def permissions(demand: Demand) -> tuple[str, ...]:
    """Of a data access policy, on each index."""
    return tuple(name for name in WHY if demand.create or name != "aoss:CreateIndex")


def data_access(settings: Settings, demand: Demand, principal: Principal) -> list[dict[str, Any]]:
    """The data access policy."""
    collection = settings.opensearch_collection_name or "<collection>"
    return [
        {
            "Rules": [
                {
                    "ResourceType": "index",
                    "Resource": [f"index/{collection}/{index}" for index in demand.named_indices],
                    "Permission": list(permissions(demand)),
                }
            ],
            "Principal": [principal.role_arn],
        }
    ]


def network(settings: Settings) -> list[dict[str, Any]]:
    """The network policy that lets in one VPC endpoint and nobody else."""
    collection = settings.opensearch_collection_name or "<collection>"
    return [
        {
            "Rules": [{"ResourceType": "collection", "Resource": [f"collection/{collection}"]}],
            "AllowFromPublic": False,
            "SourceVPCEs": ["<VPC endpoint of OpenSearch Serverless, vpce-…>"],
        }
    ]
