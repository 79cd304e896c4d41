"""What is sent to the index."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from connectivity_operator.adapters.opensearch import documents
from connectivity_operator.adapters.opensearch.documents import bulks, index_body, index_state, tells_version
from connectivity_operator.ports import Document


def document(number: int = 0, *, text: str = "hello", vector: tuple[float, ...] = (0.1, 1.0)) -> Document:
    packed = struct.pack(f"<{len(vector)}f", *vector)
    return Document(f"m{number}", "team", "demo", "orders", 2, 2**40 + number, text, "model", packed, 1795449600000)


def lines(body: bytes) -> list[dict[str, Any]]:
    assert body.endswith(b"\n"), "opensearch-py copies a body that does not end with a line break"
    return [json.loads(line) for line in body.splitlines()]


def test_a_document_carries_all_that_is_known_of_its_message() -> None:
    """Field by field; the vector as numbers that read back as the same float32."""
    (bulk,) = bulks([document()], with_ids=False)
    action, source = lines(bulk.body)
    assert action == {"index": {}}
    vector = source.pop("vector")
    assert np.asarray(vector, "<f4").tobytes() == document().vector
    assert source == {
        "message_id": "m0",
        "namespace": "team",
        "name": "demo",
        "topic": "orders",
        "partition": 2,
        "offset": 2**40,
        "text": "hello",
        "model": "model",
        "timestamp": 1795449600000,
    }


def test_every_field_of_a_document_is_mapped() -> None:
    """`dynamic: false` stores what is not named and lets nobody search it."""
    (bulk,) = bulks([document()], with_ids=False)
    assert lines(bulk.body)[1].keys() == index_body(2)["mappings"]["properties"].keys()


def test_text_cannot_break_out_of_its_line() -> None:
    """A bulk request is separated by line breaks."""
    (bulk,) = bulks([document(text='a\n{"delete":{}}\n\u2028é')], with_ids=False)
    assert len(lines(bulk.body)) == 2
    assert lines(bulk.body)[1]["text"] == 'a\n{"delete":{}}\n\u2028é'


def test_where_ids_are_allowed_the_messages_id_is_the_documents() -> None:
    """A message that is written twice is then one document."""
    (bulk,) = bulks([document(7)], with_ids=True)
    assert lines(bulk.body)[0] == {"index": {"_id": "m7"}}


def test_a_request_is_divided_before_it_becomes_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, nothing lost; a single document that is larger than the limit goes alone."""
    monkeypatch.setattr(documents, "BULK_BYTES", 600)
    sent = [document(0), document(1), document(2, text="x" * 1000), document(3)]
    made = list(bulks(sent, with_ids=False))
    assert [bulk.count for bulk in made] == [2, 1, 1]
    told = [line["message_id"] for bulk in made for line in lines(bulk.body)[1::2]]
    assert told == ["m0", "m1", "m2", "m3"]
    assert all(len(bulk.body) <= 600 for bulk in made if bulk.count > 1)


def test_no_documents_are_no_request() -> None:
    """OpenSearch refuses an empty one."""
    assert list(bulks([], with_ids=False)) == []


@pytest.mark.parametrize(
    ("fields", "dimensions"),
    [
        ([{"vector": {"type": "knn_vector", "dimension": 8}}], 8),
        ([{"vector": {"type": "float"}}], None),
        ([{"vector": {"type": "knn_vector", "model_id": "trained"}}], None),
        ([{}], None),
        ([{"vector": {"type": "knn_vector", "dimension": 8}}] * 2, 8),
        ([{"vector": {"type": "knn_vector", "dimension": 8}}, {"vector": {"type": "float"}}], None),
    ],
)
def test_an_index_is_what_its_vector_field_is(fields: list[dict[str, Any]], dimensions: int | None) -> None:
    """An alias of several indices has a length only if they all have it."""
    answer = {f"i{n}": {"mappings": {"properties": properties}} for n, properties in enumerate(fields)}
    assert index_state(answer).dimensions == dimensions


def test_an_index_without_any_mapping_has_no_vector_field() -> None:
    """OpenSearch answers with an empty object then."""
    assert index_state({"i": {"mappings": {}}}).dimensions is None


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"status": "ok"}, {"status": {}}, {"i": {"mappings": []}}, {"i": {"mappings": {}}, "x": 1}]
)
def test_what_is_no_mapping_tells_no_state(answer: object) -> None:
    """Another API answers 200 as well."""
    assert index_state(answer) is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"name":"n","cluster_name":"c","version":{"distribution":"opensearch","number":"3.6.0"}}', True),
        (b'{"version":{"number":"7.10.2"}}', True),
        (b'{"status":"ok","version":"1.4.2"}', False),
        (b"[1]", False),
        (b"<html></html>", False),
        (b"", False),
    ],
)
def test_opensearch_tells_its_version(content: bytes, told: bool) -> None:
    """What else answers 200 with JSON is another API."""
    assert tells_version(content) is told
