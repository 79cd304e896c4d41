"""What the gateway decides before and after it asks anyone: operations, bulk bodies, mappings, injected answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.opensearch.gateway import bulk, injection, mappings, operations
from lab.opensearch.gateway.injection import NOTHING, Injection, Injections, InvalidInjectionError
from lab.opensearch.gateway.mappings import UnsupportedMethodError


# ── operations ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("method", "path", "name", "permission", "indices"),
    [
        ("POST", "/_bulk", "bulk", "aoss:WriteDocument", ("*",)),
        ("POST", "/docs/_bulk", "bulk", "aoss:WriteDocument", ("docs",)),
        ("POST", "/docs/_doc", "index", "aoss:WriteDocument", ("docs",)),
        ("DELETE", "/docs/_doc/a%2Fb", "delete", "aoss:WriteDocument", ("docs",)),
        ("GET", "/docs/_doc/1", "get", "aoss:ReadDocument", ("docs",)),
        ("POST", "/docs,more/_search", "search", "aoss:ReadDocument", ("docs", "more")),
        ("GET", "/_search", "search", "aoss:ReadDocument", ("*",)),
        ("PUT", "/docs", "create-index", "aoss:CreateIndex", ("docs",)),
        ("DELETE", "/docs", "delete-index", "aoss:DeleteIndex", ("docs",)),
        ("HEAD", "/docs", "describe-index", "aoss:DescribeIndex", ("docs",)),
        ("GET", "/docs/_mapping", "describe-index", "aoss:DescribeIndex", ("docs",)),
        ("GET", "/_cat/indices", "describe-index", "aoss:DescribeIndex", ("*",)),
        ("PUT", "/docs/_mapping", "update-mapping", "aoss:UpdateIndex", ("docs",)),
    ],
)
def test_each_operation_has_its_permission(
    method: str, path: str, name: str, permission: str, indices: tuple[str, ...]
) -> None:
    """The permission is for the indices in the path, or for every index where there is none."""
    found = operations.find(method, path)
    assert found is not None
    assert (found.name, found.permission, found.indices, found.own_id) == (name, permission, indices, False)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/docs/_doc/1"), ("PUT", "/docs/_create/1"), ("POST", "/docs/_update/1")]
)
def test_an_id_in_the_path_is_the_clients_own(method: str, path: str) -> None:
    """They are operations, to be refused only after the locks were asked."""
    found = operations.find(method, path)
    assert found is not None
    assert found.own_id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("POST", "/docs/_refresh"),
        ("POST", "/_refresh"),
        ("GET", "/_cluster/health"),
        ("DELETE", "/_all"),
        ("POST", "/docs/_delete_by_query"),
        ("GET", "/_plugins/_knn/stats"),
        ("GET", "/docs/_doc/1/more"),
    ],
)
def test_what_is_not_in_the_table_is_not_served(method: str, path: str) -> None:
    """Serverless has fewer APIs than OpenSearch, and `_…` is never an index."""
    assert operations.find(method, path) is None


# ── bulk ─────────────────────────────────────────────────────────────────────────────────────────────
def body(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_only_documents_with_an_own_id_are_taken_out() -> None:
    """A delete has an id by nature; the positions are those of the items, not of the lines."""
    parsed = bulk.parse(
        body(
            {"index": {}}, {"n": 0},
            {"delete": {"_id": "x"}},
            {"create": {"_id": "mine", "_index": "other"}}, {"n": 2},
            {"index": {}}, {"n": 3},
        ),
        "docs",
    )  # fmt: skip
    refused = parsed.own_ids()
    assert list(refused) == [2]
    assert refused[2]["create"]["_index"] == "other"
    assert refused[2]["create"]["status"] == 400
    assert parsed.indices == {"docs", "other"}
    assert parsed.without(refused) == body({"index": {}}, {"n": 0}, {"delete": {"_id": "x"}}, {"index": {}}, {"n": 3})


def test_refusals_come_back_in_their_places() -> None:
    """The client matches answers to items by position alone."""
    ok = [{"index": {"status": 201, "n": number}} for number in range(2)]
    refused = {0: {"index": {"status": 400, "n": "first"}}, 2: {"index": {"status": 400, "n": "third"}}}
    merged = bulk.merged({"took": 1, "errors": False, "items": ok}, refused)
    assert [item["index"]["n"] for item in merged["items"]] == ["first", 0, "third", 1]
    assert merged["errors"] is True


@pytest.mark.parametrize(
    "malformed",
    [b"no json\n", body({"index": {}, "create": {}}), body({"upsert": {}}), body({"index": "docs"}), b"[1]\n"],
)
def test_a_malformed_action_line_is_refused(malformed: bytes) -> None:
    """Whatever OpenSearch would not take as one either."""
    with pytest.raises(bulk.MalformedBulkError):
        bulk.parse(malformed, "docs")


def test_an_action_needs_an_index_from_somewhere() -> None:
    """From its own line or from the path."""
    with pytest.raises(bulk.MalformedBulkError, match="names no index"):
        bulk.parse(body({"index": {}}, {}), None)


# ── mappings ─────────────────────────────────────────────────────────────────────────────────────────
VECTOR = {"type": "knn_vector", "dimension": 3, "method": {"name": "hnsw", "engine": "faiss"}}


def test_what_needs_the_native_library_is_taken_out() -> None:
    """However deep, and however the settings are nested; all else is kept."""
    on_disk = {**VECTOR, "mode": "on_disk", "compression_level": "32x"}
    served = mappings.served(
        {
            "settings": {"index": {"knn": True, "knn.advanced": {"approximate_threshold": 0}}, "number_of_shards": 1},
            "mappings": {"dynamic": False, "properties": {"outer": {"properties": {"vector": on_disk}}}},
        }
    )
    assert served["settings"] == {"index.knn": True, "index.number_of_shards": 1}
    assert served["mappings"] == {"dynamic": False, "properties": {"outer": {"properties": {"vector": VECTOR}}}}


def test_a_put_mapping_body_has_its_fields_at_the_top() -> None:
    """Not below `mappings`."""
    assert mappings.served({"properties": {"v": {**VECTOR, "mode": "on_disk"}}}) == {"properties": {"v": VECTOR}}


@pytest.mark.parametrize("method", [{"engine": "lucene"}, {"engine": "nmslib"}, {"name": "ivf", "engine": "faiss"}])
def test_other_engines_and_methods_are_refused(method: dict[str, str]) -> None:
    """Wherever the field stands."""
    with pytest.raises(UnsupportedMethodError):
        mappings.served({"mappings": {"properties": {"o": {"properties": {"v": {**VECTOR, "method": method}}}}}})


# ── injected answers ─────────────────────────────────────────────────────────────────────────────────
def test_an_injection_is_used_up() -> None:
    """So many requests of its operations, and no others."""
    injections = Injections([Injection(status=503, operations=("bulk",), times=2)])
    assert injections.of("search") is NOTHING
    assert [injections.of("bulk").status for _ in range(3)] == [503, 503, None]
    assert injections.active == []


def test_an_injection_without_a_number_stays() -> None:
    """Until it is cleared."""
    injections = Injections([Injection(delay_seconds=1)])
    assert [injections.of("bulk").delay_seconds for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize(
    "wrong",
    [{"status": 99}, {"connection": "cut"}, {"operations": ["bulks"]}, {"items": 1}, {"stauts": 429}],
)
def test_a_wrong_injection_is_refused(wrong: dict[str, Any]) -> None:
    """It would inject nothing, or something else than was meant."""
    with pytest.raises(InvalidInjectionError):
        injection.parse(wrong)


def test_a_refused_item_does_not_refuse_the_request() -> None:
    """With `items` the request itself is handled."""
    refusing = injection.parse({"status": 402, "items": 1})
    assert refusing.answer() is None
    assert refusing.item_error()["reason"] == "maximum OCU capacity reached"


def test_a_named_injection_is_replaced_and_ended_alone() -> None:
    """Faults compose: one that ends takes no other with it, and one that is switched on twice is there once."""
    injections = Injections()
    for name in ("a", "b", "a"):
        injections.add(Injection(status=503, name=name))
    injections.clear("a")
    assert [one.name for one in injections.active] == ["b"]


def test_a_web_page_is_answered_as_such() -> None:
    """What stands between a client and its collection does not speak JSON."""
    answer = Injection(status=403, page="Blocked").answer()
    assert answer is not None
    assert (answer.status, answer.content_type) == (403, "text/html")
    assert b"Blocked" in answer.content()
