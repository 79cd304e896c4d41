"""Which requests OpenSearch Serverless serves, and the data access permission that each needs.

Source: OpenSearch Service developer guide, "Supported operations and plugins in Amazon OpenSearch Serverless".
What is not in the table does not exist there: `GET /`, `_refresh`, `_cluster/*`, scripts, k-NN's own APIs.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

CREATE_INDEX = "aoss:CreateIndex"
DELETE_INDEX = "aoss:DeleteIndex"
UPDATE_INDEX = "aoss:UpdateIndex"
DESCRIBE_INDEX = "aoss:DescribeIndex"
READ_DOCUMENT = "aoss:ReadDocument"
WRITE_DOCUMENT = "aoss:WriteDocument"


@dataclass(frozen=True)
class Operation:
    """What a request is."""

    name: str
    """For counters and injected answers."""
    permission: str
    indices: tuple[str, ...]
    """The indices in its path; a bulk request may name others in its body."""
    own_id: bool = False
    """The client chooses the document's id."""

    @property
    def writes_documents(self) -> bool:
        """Whether it would bring a missing index into being."""
        return self.name in ("bulk", "index")

    @property
    def defines_index(self) -> bool:
        """Whether its body may hold field mappings."""
        return self.name in ("create-index", "update-mapping")


@dataclass(frozen=True)
class _Route:
    methods: tuple[str, ...]
    path: str
    """``{index}`` and ``{id}`` stand for one segment."""
    name: str
    permission: str
    own_id: bool = False


_ROUTES = (
    _Route(("POST", "PUT"), "_bulk", "bulk", WRITE_DOCUMENT),
    _Route(("POST", "PUT"), "{index}/_bulk", "bulk", WRITE_DOCUMENT),
    _Route(("POST",), "{index}/_doc", "index", WRITE_DOCUMENT),
    _Route(("POST", "PUT"), "{index}/_doc/{id}", "index", WRITE_DOCUMENT, own_id=True),
    _Route(("POST", "PUT"), "{index}/_create/{id}", "index", WRITE_DOCUMENT, own_id=True),
    _Route(("POST",), "{index}/_update/{id}", "index", WRITE_DOCUMENT, own_id=True),
    _Route(("DELETE",), "{index}/_doc/{id}", "delete", WRITE_DOCUMENT),
    _Route(("GET", "HEAD"), "{index}/_doc/{id}", "get", READ_DOCUMENT),
    _Route(("GET", "HEAD"), "{index}/_source/{id}", "get", READ_DOCUMENT),
    _Route(("GET", "POST"), "{index}/_mget", "get", READ_DOCUMENT),
    _Route(("GET", "POST"), "_search", "search", READ_DOCUMENT),
    _Route(("GET", "POST"), "_msearch", "search", READ_DOCUMENT),
    _Route(("GET", "POST"), "{index}/_search", "search", READ_DOCUMENT),
    _Route(("GET", "POST"), "{index}/_msearch", "search", READ_DOCUMENT),
    _Route(("GET", "POST"), "{index}/_count", "search", READ_DOCUMENT),
    _Route(("GET", "POST"), "{index}/_explain/{id}", "search", READ_DOCUMENT),
    _Route(("PUT",), "{index}", "create-index", CREATE_INDEX),
    _Route(("DELETE",), "{index}", "delete-index", DELETE_INDEX),
    _Route(("GET", "HEAD"), "{index}", "describe-index", DESCRIBE_INDEX),
    _Route(("GET",), "{index}/_mapping", "describe-index", DESCRIBE_INDEX),
    _Route(("GET",), "{index}/_settings", "describe-index", DESCRIBE_INDEX),
    _Route(("GET",), "_cat/indices", "describe-index", DESCRIBE_INDEX),
    _Route(("GET",), "_cat/indices/{index}", "describe-index", DESCRIBE_INDEX),
    _Route(("GET",), "_resolve/index/{index}", "describe-index", DESCRIBE_INDEX),
    _Route(("PUT", "POST"), "{index}/_mapping", "update-mapping", UPDATE_INDEX),
    _Route(("PUT",), "{index}/_settings", "update-settings", UPDATE_INDEX),
)

NAMES = frozenset(route.name for route in _ROUTES)

EVERY_INDEX = "*"


def find(method: str, path: str) -> Operation | None:
    """What a request for a path (as sent, without its query) is; None if Serverless does not serve it."""
    segments = tuple(unquote(segment) for segment in path.split("/") if segment)
    for route in _ROUTES:
        if method in route.methods:
            found = _match(route.path, segments)
            if found is not None:
                indices = tuple(found.get("{index}", EVERY_INDEX).split(","))
                return Operation(route.name, route.permission, indices, route.own_id)
    return None


def _match(pattern: str, segments: tuple[str, ...]) -> dict[str, str] | None:
    """The segments that stand in the pattern's places; None if the path is not of this pattern."""
    expected = pattern.split("/")
    if len(expected) != len(segments):
        return None
    found = dict(zip(expected, segments, strict=True))
    for place, segment in found.items():
        if place == "{index}" and segment.startswith("_"):  # an API, not an index
            return None
        if not place.startswith("{") and place != segment:
            return None
    return found
