"""What must be said beside the privileges: what is not needed, what must exist, which settings complete them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from connectivity_operator.permissions.demand import Demand
from connectivity_operator.settings import Settings

POLICY_LIMIT = 6144
"""Characters of a managed policy, white space not counted (IAM's quotas)."""

_COMPLETING = (
    ("<cluster uuid>", "KAFKA_CLUSTER_ARN"),
    ("DbiResourceId", "POSTGRES_RESOURCE_ID"),
    ("<resource id>", "POSTGRES_RESOURCE_ID"),
    ("<proxy id", "POSTGRES_RESOURCE_ID"),
    ("<cluster resource id", "POSTGRES_RESOURCE_ID"),
    ("<collection id>", "OPENSEARCH_ENDPOINT"),
    ("<database user>", "POSTGRES_USER"),
    ("<region>", "AWS_REGION"),
)
"""Placeholder of the IAM policy -> the setting that completes it."""


def notes(settings: Settings, demand: Demand, policy: dict[str, Any]) -> tuple[str, ...]:
    """One sentence or two each, the most important first."""
    text = json.dumps(policy, separators=(",", ":"), ensure_ascii=False)
    return (*_missing(settings, demand, text), *_size(text), *_index(settings, demand), *_unneeded(settings))


def _missing(settings: Settings, demand: Demand, policy: str) -> Iterator[str]:
    unnamed = [
        f"{what} ({option})"
        for known, what, option in ((demand.topics, "topics", "--topic"), (demand.indices, "indices", "--index"))
        if not known
    ]
    if unnamed:
        yield f"No {' and no '.join(unnamed)} known: placeholders stand for them."
    variables = dict.fromkeys(variable for placeholder, variable in _COMPLETING if placeholder in policy)
    collection = settings.opensearch_service == "aoss" and settings.opensearch_use_iam_auth
    if collection and settings.opensearch_collection_name is None:
        variables["OPENSEARCH_COLLECTION_NAME"] = None
    if settings.postgres_db is None:
        variables["POSTGRES_DB"] = None
    if variables:
        yield f"Placeholders are completed by these settings: {', '.join(variables)}."


def _size(policy: str) -> Iterator[str]:
    if len(policy) > POLICY_LIMIT:
        yield (
            f"The IAM policy has {len(policy)} characters, a managed policy at most {POLICY_LIMIT}: divide its "
            "statements among several, or name topics by a pattern (--topic 'orders*')."
        )


def _index(settings: Settings, demand: Demand) -> Iterator[str]:
    if not demand.create:
        yield (
            "Index and table must exist. With --create the operator may make them itself; or somebody who may makes "
            "the index: connectivity-operator check --create --index <index>."
        )
    if settings.opensearch_service == "es" and settings.opensearch_use_iam_auth:
        create = ", create_index" if demand.create else ""
        yield (
            "A domain with fine-grained access control also needs the role mapped to a security role that has on "
            f"these indices: indices:admin/mappings/get, indices:data/write/bulk*, index, delete{create}."
        )


def _unneeded(settings: Settings) -> Iterator[str]:
    used = settings.kafka_security_protocol == "SASL_SSL" or (
        settings.postgresql_use_iam_auth or settings.opensearch_use_iam_auth
    )
    if not used:
        yield "No service is used with IAM by these settings: the operator needs no role."
        return
    yield (
        "Nothing of sts and of secretsmanager is needed: GetCallerIdentity needs no permission, and the API key is a "
        "Kubernetes Secret (what fills it, such as External Secrets, has an identity of its own)."
    )
