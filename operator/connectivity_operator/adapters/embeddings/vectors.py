"""From the API's answer to vectors: float32 bytes, without a Python float for any of their numbers.

With ``encoding_format=base64`` each embedding is the base64 text of little-endian float32 numbers, a quarter of the
size of decimal text and the form in which vectors are kept here. Compatible servers may ignore the parameter and
send lists of numbers.
"""

from __future__ import annotations

import binascii
from typing import Any, NoReturn

import numpy as np
import orjson

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Embeddings
from connectivity_operator.reasons import Reason, Service

FLOAT_BYTES = 4

_FIELDS = {"object", "data", "model", "usage", "error"}
"""Of an embeddings answer (and of an error that comes with status 200). What has none of them is another API's."""


def read(content: bytes, *, count: int, model: str, dimensions: int | None) -> Embeddings:
    """The ``count`` vectors in the order of their inputs, checked: complete, of one length, all numbers finite.

    Raises `WrongBaseURL` for an answer that is no JSON, `UnexpectedAnswer` for another API's, `InvalidResponse` for
    one that is not what was asked for, and `DimensionMismatch` when ``dimensions`` were asked for and others came.
    """
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        detail = "the answer is a web page" if content.lstrip()[:1] == b"<" else "the answer is not JSON"
        raise DependencyError(
            Service.OPENAI, Reason.WRONG_BASE_URL, evidence={"model": model, "detail": detail}
        ) from None
    if not isinstance(body, dict) or not _FIELDS & body.keys():
        evidence = {"model": model, "status": "200"}
        raise DependencyError(Service.OPENAI, Reason.UNEXPECTED_ANSWER, evidence=evidence)
    items = body.get("data")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        _invalid(model, "the answer has no list of embeddings")
    if len(items) != count:
        _invalid(model, f"{len(items)} embeddings came for {count} inputs")
    vectors = [_vector(item.get("embedding"), model) for item in _ordered(items, model)]
    return Embeddings(vectors, _dimensions(vectors, model, dimensions), _tokens(body))


def _ordered(items: list[dict[str, Any]], model: str) -> list[dict[str, Any]]:
    indices = [item.get("index", position) for position, item in enumerate(items)]
    if indices == list(range(len(items))):
        return items
    by_index = {index: item for index, item in zip(indices, items, strict=True) if isinstance(index, int)}
    if set(by_index) != set(range(len(items))):
        _invalid(model, "the embeddings are numbered wrongly")
    return [by_index[index] for index in range(len(items))]


def _vector(embedding: object, model: str) -> bytes:
    try:
        if isinstance(embedding, str):
            vector = binascii.a2b_base64(embedding, strict_mode=True)
            numbers = np.frombuffer(vector, dtype="<f4")
        else:
            numbers = np.asarray(embedding, dtype="<f4")
            vector = numbers.tobytes()
    except (ValueError, TypeError):  # binascii.Error and a broken length are ValueErrors
        _invalid(model, "an embedding is neither base64 of 32-bit floats nor a list of numbers")
    if numbers.ndim != 1 or not numbers.size:
        _invalid(model, "an embedding is empty")
    if not np.isfinite(numbers).all():
        _invalid(model, "an embedding contains NaN or infinity")
    return vector


def _dimensions(vectors: list[bytes], model: str, asked: int | None) -> int:
    lengths = {len(vector) // FLOAT_BYTES for vector in vectors}
    if len(lengths) > 1:
        _invalid(model, "the embeddings are of different lengths")
    given = lengths.pop() if lengths else 0
    if vectors and asked is not None and given != asked:
        raise DependencyError(
            Service.OPENAI,
            Reason.DIMENSION_MISMATCH,
            evidence={"model": model, "dimensions": str(given), "expected_dimensions": str(asked)},
        )
    return given


def _tokens(body: dict[str, Any]) -> int:
    usage = body.get("usage")
    tokens = usage.get("total_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else 0


def _invalid(model: str, detail: str) -> NoReturn:
    raise DependencyError(Service.OPENAI, Reason.INVALID_RESPONSE, evidence={"model": model, "detail": detail})
