"""What tests, faults and demos do to the OpenSearch behind the gateway: no signature, no policy (blocking)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab import administration, world
from lab.opensearch.gateway.mappings import NATIVE_SETTING

TEMPLATE = "lab"
IGNORE_MISSING = "ignore_unavailable=true"

REFRESH_INTERVAL = "1s"
"""After how long a document can be found. Serverless takes up to 60 s with vector search collections."""


def check_health() -> None:
    """Return if the server can serve what it has. Raises `lab.administration.RefusedError` or `OSError` if not."""
    _call("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s")


def put_template(refresh_interval: str = REFRESH_INTERVAL) -> None:
    """What every index gets: no native code (`lab.opensearch.gateway.mappings`), no replicas, this visibility."""
    settings = {
        NATIVE_SETTING: -1,
        "index.number_of_replicas": 0,
        "index.refresh_interval": refresh_interval,
    }
    _call(
        "PUT",
        f"/_index_template/{TEMPLATE}",
        {"index_patterns": ["*"], "priority": 0, "template": {"settings": settings}},
    )


def set_refresh_interval(interval: str) -> None:
    """After how long documents can be found, in all indices, present and future: ``1s``, ``60s``; ``-1`` never."""
    put_template(interval)
    _call("PUT", "/*/_settings?allow_no_indices=true", {"index.refresh_interval": interval})


def refresh(index: str) -> None:
    """Make everything visible to searches that was written so far."""
    _call("POST", f"/{index}/_refresh")


def exists(index: str) -> bool:
    """Whether there is such an index."""
    return mapping(index) is not None


def mapping(index: str) -> dict[str, Any] | None:
    """The index's mapping; None if there is no such index."""
    found = _call("GET", f"/{index}/_mapping?{IGNORE_MISSING}")
    return found[index]["mappings"] if index in found else None


def create_index(index: str, body: Mapping[str, Any]) -> None:
    """Make an index with settings and mappings of the caller's choice."""
    _call("PUT", f"/{index}", body)


def delete_index(index: str) -> None:
    """Remove an index; nothing happens if there is none."""
    _call("DELETE", f"/{index}?{IGNORE_MISSING}")


def close_index(index: str) -> None:
    """Close an index: it is there, but neither read nor written."""
    _call("POST", f"/{index}/_close")


def block(index: str, name: str, *, on: bool) -> None:
    """Set or lift ``index.blocks.<name>``: ``write``, ``read_only``, ``read_only_allow_delete``."""
    _call("PUT", f"/{index}/_settings", {f"index.blocks.{name}": on or None})


def block_creation(*, on: bool) -> None:
    """Let nobody create an index, as a domain does that is short of storage or memory, or let them again."""
    _call("PUT", "/_cluster/settings", {"persistent": {"cluster.blocks.create_index": on or None}})


def open_index(index: str) -> None:
    """Open a closed index again."""
    _call("POST", f"/{index}/_open")


def count(index: str, query: Mapping[str, Any] | None = None) -> int:
    """How many documents there are (that match a query), those just written included. 0 if there is no index."""
    body = {"query": query} if query else None
    if not exists(index):
        return 0
    refresh(index)
    return int(_call("POST", f"/{index}/_count", body)["count"])


def documents(index: str, query: Mapping[str, Any] | None = None, *, size: int = 1000) -> list[dict[str, Any]]:
    """Documents (that match a query), those just written included, each with its ``_id``."""
    refresh(index)
    answer = _call("POST", f"/{index}/_search", {"size": size, "query": query or {"match_all": {}}})
    return [{"_id": hit["_id"], **hit["_source"]} for hit in answer["hits"]["hits"]]


def nearest(index: str, field: str, vector: Sequence[float], *, k: int = 1) -> list[dict[str, Any]]:
    """The documents whose vectors are nearest, nearest first, each with its ``_id`` and ``_score``."""
    refresh(index)
    query = {"knn": {field: {"vector": list(vector), "k": k}}}
    answer = _call("POST", f"/{index}/_search", {"size": k, "query": query})
    return [{"_id": hit["_id"], "_score": hit["_score"], **hit["_source"]} for hit in answer["hits"]["hits"]]


def _call(method: str, path: str, body: Any = None) -> Any:
    """One request to the server. Raises `lab.administration.RefusedError`; `OSError` if nothing listens."""
    return administration.call(world.OPENSEARCH_BACKEND, method, path, body)
