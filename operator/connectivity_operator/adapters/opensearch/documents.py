"""What is sent to the index: its mapping, and documents as the lines of a bulk request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from connectivity_operator.ports import Document, IndexState

VECTOR_FIELD = "vector"
FLOAT_BYTES = 4

BULK_BYTES = 5 * 1024 * 1024
"""Size from which a bulk request is divided: half of what Serverless takes (10 MiB)."""

GUARD = b'{"index":{"require_alias":true}}\n{"vector":"-"}\n'
"""An action that always fails, added to every bulk request so that the request cannot create its index.

OpenSearch creates an absent index that a bulk request names, with a mapping guessed from the first document
(``vector`` becomes ``float``). It does so for all actions on that index or for none, and for none if one of them wants
an alias (`TransportBulkAction`: "we should only auto create if we are not requiring it to be an alias"). This action
wants one, so it is refused because the index is none, and the documents beside it are written or, if the index is
gone, refused with `index_not_found_exception`. Should the name be an alias after all, ``-`` is no vector.
"""


def index_body(dimensions: int) -> dict[str, Any]:
    """Settings and mapping of an index for vectors of ``dimensions``.

    ``innerproduct`` because OpenAI's vectors have length 1, so it ranks as the cosine does, and because faiss on
    Serverless has no ``cosinesimil``. ``dynamic: false``: a field that is not named here is stored, not mapped.
    """
    keyword = {"type": "keyword"}
    return {
        "settings": {"index": {"knn": True}},
        "mappings": {
            "dynamic": False,
            "properties": {
                "message_id": keyword,
                "namespace": keyword,
                "name": keyword,
                "topic": keyword,
                "partition": {"type": "integer"},
                "offset": {"type": "long"},  # Kafka's offsets have 64 bits
                "text": {"type": "text"},
                "model": keyword,
                VECTOR_FIELD: {
                    "type": "knn_vector",
                    "dimension": dimensions,
                    "method": {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"},
                },
                "timestamp": {"type": "date"},
            },
        },
    }


def index_state(answer: object) -> IndexState | None:
    """From the answer to ``GET <index>/_mapping``; an alias may stand for several indices. None: no such answer."""
    indices = list(answer.values()) if isinstance(answer, dict) else []
    mappings = [index.get("mappings") for index in indices if isinstance(index, dict)]
    found = [mapping for mapping in mappings if isinstance(mapping, dict)]
    if not found or len(found) < len(indices):
        return None
    fields = [mapping.get("properties", {}).get(VECTOR_FIELD, {}) for mapping in found]
    dimensions = {field.get("dimension") if field.get("type") == "knn_vector" else None for field in fields}
    return IndexState(dimensions.pop() if len(dimensions) == 1 else None)


def tells_version(content: bytes) -> bool:
    """Whether it is the answer of OpenSearch (or Elasticsearch) to ``GET /``."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return False
    version = body.get("version") if isinstance(body, dict) else None
    return isinstance(version, dict) and "number" in version


@dataclass(frozen=True, slots=True)
class Bulk:
    """The body of one bulk request and how many documents are in it."""

    body: bytes
    count: int


def bulks(documents: Sequence[Document], *, with_ids: bool) -> Iterator[Bulk]:
    """``documents`` in order, divided where a request would become too large. Each body ends with a line break.

    ``with_ids``: the message's id becomes the document's. Serverless vector collections refuse ids of ours.
    """
    lines: list[bytes] = []
    size = count = 0
    for document in documents:
        action = orjson.dumps({"index": {"_id": document.message_id}}) if with_ids else b'{"index":{}}'
        pair = [action, _source(document)]
        added = sum(map(len, pair)) + len(pair)
        if count and size + added > BULK_BYTES:
            yield Bulk(b"\n".join([*lines, b""]), count)
            lines, size, count = [], 0, 0
        lines += pair
        size += added
        count += 1
    if count:
        yield Bulk(b"\n".join([*lines, b""]), count)


def _source(document: Document) -> bytes:
    # orjson writes float32 with the fewest digits that read back as the same number: half the size of float64 text.
    return orjson.dumps(
        {
            "message_id": document.message_id,
            "namespace": document.namespace,
            "name": document.name,
            "topic": document.topic,
            "partition": document.partition,
            "offset": document.offset,
            "text": document.text,
            "model": document.model,
            VECTOR_FIELD: np.frombuffer(document.vector, dtype="<f4"),
            "timestamp": document.timestamp,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
