"""From the API's answer to vectors."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from connectivity_operator.adapters.embeddings import vectors
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Embeddings
from connectivity_operator.reasons import Reason

ONE = [0.1, -2.5, 3.0]


def packed(numbers: list[float]) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def coded(numbers: list[float]) -> str:
    return base64.b64encode(packed(numbers)).decode()


def item(embedding: object, index: int | None = None) -> dict[str, Any]:
    return {"object": "embedding", "embedding": embedding} | ({} if index is None else {"index": index})


def read(*items: dict[str, Any], count: int | None = None, dimensions: int | None = None, **body: Any) -> Embeddings:
    content = json.dumps({"data": list(items), **body}).encode()
    return vectors.read(content, count=len(items) if count is None else count, model="m", dimensions=dimensions)


def refused(*items: dict[str, Any], count: int | None = None, dimensions: int | None = None) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        read(*items, count=count, dimensions=dimensions)
    return caught.value


@pytest.mark.parametrize("form", [coded, list], ids=["base64", "numbers"])
def test_vectors_are_little_endian_float32(form: Any) -> None:
    """Also from a server that does not know base64."""
    made = read(item(form(ONE), 0), item(form([1.0, 2.0, 4.0]), 1), usage={"total_tokens": 5})
    assert made == Embeddings([packed(ONE), packed([1.0, 2.0, 4.0])], dimensions=3, tokens=5)


def test_the_order_is_that_of_the_inputs() -> None:
    """`index` says which input an embedding is of; where it is missing, the place does."""
    assert read(item(coded([2.0]), 1), item(coded([1.0]), 0)).vectors == [packed([1.0]), packed([2.0])]
    assert read(item(coded([1.0])), item(coded([2.0]))).vectors == [packed([1.0]), packed([2.0])]


@pytest.mark.parametrize(
    "items",
    [
        [item(coded(ONE), 0), item(coded(ONE), 0)],
        [item(coded(ONE), 0), item(coded(ONE), 7)],
        [{"embedding": coded(ONE), "index": [0]}],
        [item(coded(ONE), 0), item(coded([1.0]), 1)],
        [item("not base64!", 0)],
        [item(base64.b64encode(b"12345").decode(), 0)],
        [item("", 0)],
        [item([], 0)],
        [item(None, 0)],
        [item([[1.0]], 0)],
        [item(["a"], 0)],
        [item(coded([float("nan")]), 0)],
        [item(coded([float("inf")]), 0)],
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused(items: list[dict[str, Any]]) -> None:
    """Nothing of it reaches the index."""
    assert refused(*items).reason is Reason.INVALID_RESPONSE


def test_as_many_embeddings_as_inputs() -> None:
    """A vector more or less would shift all that follow to the wrong message."""
    assert refused(item(coded(ONE), 0), count=2).reason is Reason.INVALID_RESPONSE
    assert refused(count=1).reason is Reason.INVALID_RESPONSE


def test_a_server_that_ignores_the_dimensions_is_found_out() -> None:
    """The index was made for what was asked for."""
    error = refused(item(coded(ONE), 0), dimensions=4)
    assert error.reason is Reason.DIMENSION_MISMATCH
    assert (error.evidence["dimensions"], error.evidence["expected_dimensions"]) == ("3", "4")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html></html>", Reason.WRONG_BASE_URL),
        (b"", Reason.WRONG_BASE_URL),
        (b"[]", Reason.UNEXPECTED_ANSWER),
        (b'{"status": "ok", "version": "1.4.2"}', Reason.UNEXPECTED_ANSWER),
        (b'{"error": "no such model"}', Reason.INVALID_RESPONSE),
        (b'{"object": "list"}', Reason.INVALID_RESPONSE),
        (b'{"data": ["x"]}', Reason.INVALID_RESPONSE),
    ],
)
def test_a_200_is_no_proof_of_an_embeddings_api(content: bytes, reason: Reason) -> None:
    """The SDK raises AttributeError for a web page."""
    with pytest.raises(DependencyError) as caught:
        vectors.read(content, count=1, model="m", dimensions=None)
    assert caught.value.reason is reason
