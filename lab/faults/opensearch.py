"""Faults of OpenSearch Serverless: its two locks and its network policy, the index, bad days of the collection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lab import parts, processes, runner, world
from lab.faults.fault import Fault
from lab.faults.permissions import denial
from lab.iam import control as iam
from lab.iam.defaults import document, operator_policies
from lab.opensearch import admin, control

INDEX = "connectivity-test-faults"
"""The index that the faults of an index spoil; the fault matrix's resource and `check` name it."""

_HOST = world.OPENSEARCH[0]


# ── the two locks ────────────────────────────────────────────────────────────────────────────────────
_POLICIES = document()["data_access_policies"]
_NAME = "connectivity-test"


def _data_policy(policy: list[dict[str, Any]] | None) -> None:
    iam.patch_state({"data_access_policies": {_NAME: policy}})


def _role_policy(policy: dict[str, Any] | None) -> None:
    iam.patch_state({"roles": {world.ROLE_NAME: {"policies": {"opensearch": policy}}}})


def _data_access(name: str, summary: str, policy: list[dict[str, Any]] | None) -> Fault:
    return Fault(f"opensearch-{name}", summary, partial(_data_policy, policy), partial(_data_policy, _POLICIES[_NAME]))


def _without(*permissions: str) -> list[dict[str, Any]]:
    [grant] = _POLICIES[_NAME]
    [rule] = grant["Rules"]
    left = [permission for permission in rule["Permission"] if permission not in permissions]
    return [{**grant, "Rules": [{**rule, "Permission": left}]}]


def _changed(**elements: Any) -> list[dict[str, Any]]:
    [grant] = _POLICIES[_NAME]
    return [{**grant, **elements}]


_LOCKS = (
    Fault(
        "opensearch-api-access-missing",
        "take the policy with aoss:APIAccessAll off the role",
        partial(_role_policy, None),
        partial(_role_policy, operator_policies()["opensearch"]),
    ),
    denial("opensearch-api-access-denied", "deny aoss:APIAccessAll in the role's policy", "aoss:APIAccessAll"),
    _data_access("data-policy-missing", "delete the collection's data access policy", None),
    _data_access(
        "data-policy-other-role",
        "let the data access policy name another role",
        _changed(Principal=[f"arn:aws:iam::{world.ACCOUNT}:role/another"]),
    ),
    _data_access(
        "data-policy-other-index",
        "let the data access policy name other indices",
        _changed(Rules=[{**_POLICIES[_NAME][0]["Rules"][0], "Resource": [f"index/{world.COLLECTION_NAME}/logs-*"]}]),
    ),
    _data_access(
        "describe-denied", "take aoss:DescribeIndex out of the data access policy", _without("aoss:DescribeIndex")
    ),
    _data_access(
        "write-denied", "take aoss:WriteDocument out of the data access policy", _without("aoss:WriteDocument")
    ),
)


# ── the index ────────────────────────────────────────────────────────────────────────────────────────
_METHOD = {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"}


def _vector(dimension: int) -> dict[str, Any]:
    return {"vector": {"type": "knn_vector", "dimension": dimension, "method": _METHOD}}


def _make(properties: dict[str, Any]) -> None:
    """The index anew, empty, with these fields."""
    admin.delete_index(INDEX)
    mappings = {"dynamic": False, "properties": properties}
    admin.create_index(INDEX, {"settings": {"index.knn": True}, "mappings": mappings})


def _mend() -> None:
    """An index that is not as the operator makes it is made anew."""
    found = (admin.mapping(INDEX) or {}).get("properties", {}).get("vector", {})
    if found.get("dimension") != 1536:
        _make(_vector(1536))


def _existing(change: Callable[[str], None]) -> Callable[[], None]:
    """A change of the index, which is made if there is none."""

    def run() -> None:
        _mend()
        change(INDEX)

    return run


def _blocked(name: str, summary: str, block: str) -> Fault:
    """A block, which a domain also sets by itself."""
    on, off = (_existing(partial(admin.block, name=block, on=state)) for state in (True, False))
    return Fault(f"opensearch-{name}", f"{summary} (index.blocks.{block})", on, off)


def _other_index(name: str, summary: str, properties: dict[str, Any]) -> Fault:
    return Fault(f"opensearch-{name}", summary, partial(_make, properties), _mend)


def _forbid_creating() -> None:
    _data_policy(_without("aoss:CreateIndex"))
    admin.delete_index(INDEX)


def _allow_creating() -> None:
    _data_policy(_POLICIES[_NAME])
    _mend()


_INDEX = (
    Fault(
        "opensearch-create-denied",
        "take aoss:CreateIndex out of the data access policy and delete the index",
        _forbid_creating,
        _allow_creating,
    ),
    Fault("opensearch-index-absent", "delete the index", partial(admin.delete_index, INDEX), _mend),
    Fault("opensearch-index-closed", "close the index", _existing(admin.close_index), partial(admin.open_index, INDEX)),
    _blocked("index-read-only", "block writes to the index", "write"),
    _blocked("index-disk-full", "block the index as a node does whose disk is full", "read_only_allow_delete"),
    _other_index("vector-absent", "make the index without a field vector", {"text": {"type": "text"}}),
    _other_index(
        "vector-is-float", "let the field vector be a float, as dynamic mapping makes it", {"vector": {"type": "float"}}
    ),
    _other_index("vector-other-length", "make the index for vectors of 3072 dimensions", _vector(3072)),
)


# ── bad days ─────────────────────────────────────────────────────────────────────────────────────────
def _injected(name: str, summary: str, **injection: Any) -> Fault:
    name = f"opensearch-{name}"
    return Fault(name, summary, partial(control.inject, **injection, name=name), partial(control.clear, name))


def _bring_node_back() -> None:
    processes.spawn_again("opensearch")
    runner.until_ready(parts.load("opensearch"))


_WRITES = ["delete", "bulk"]

_DAYS = (
    _injected("network-policy-denied", "answer as a network policy that lacks the VPC endpoint (401)", status=401),
    _injected("throttled", "answer 429 to every request", status=429),
    _injected("writes-throttled", "answer 429 to writes", status=429, operations=_WRITES),
    _injected("capacity-reached", "answer 402, the maximum OCU capacity, to writes", status=402, operations=_WRITES),
    _injected("unavailable", "answer 503 to every request", status=503),
    _injected("slow", "answer after a minute", delay_seconds=60),
    _injected("requests-reset", "reset the connection instead of answering", connection="reset"),
    _injected("web-page", "answer with a web page (200)", status=200, page="Sign in"),
    _injected("web-filter", "answer with a web filter's page (403)", status=403, page="Blocked by your company."),
    _injected(
        "other-json",
        "answer with another API's JSON (200)",
        status=200,
        document={"name": "portal", "version": "1.4.2"},
    ),
    Fault(
        "opensearch-node-lost",
        "kill the OpenSearch behind the collection's front",
        partial(processes.end, "opensearch", force=True, remember=True),
        _bring_node_back,
    ),
)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
def _setting(name: str, summary: str, **environment: str | None) -> Fault:
    return Fault(f"opensearch-{name}", summary, environment=environment)


_SETTINGS = (
    _setting("not-configured", "unset OPENSEARCH_ENDPOINT", OPENSEARCH_ENDPOINT=None),
    _setting("service-es", "set OPENSEARCH_SERVICE=es for a Serverless endpoint", OPENSEARCH_SERVICE="es"),
    _setting(
        "unsigned", "set OPENSEARCH_USE_IAM_AUTH=false for a Serverless endpoint", OPENSEARCH_USE_IAM_AUTH="false"
    ),
    _setting(
        "other-region",
        "name an endpoint of another region",
        OPENSEARCH_ENDPOINT=f"https://{_HOST.replace(world.REGION, 'eu-west-1')}",
    ),
    _setting("other-collection", "name a collection that is gone", OPENSEARCH_ENDPOINT=f"https://0000{_HOST[4:]}"),
    _setting("other-api", "name another API's endpoint", OPENSEARCH_ENDPOINT=f"https://{world.OPENAI[0]}"),
)

FAULTS: tuple[Fault, ...] = (*_LOCKS, *_INDEX, *_DAYS, *_SETTINGS)
