"""The body of a request to `/v1/embeddings`, validated in OpenAI's order. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.openai import errors
from lab.openai.errors import ApiError
from lab.openai.models import MAX_INPUTS, MAX_TOKENS_PER_INPUT, MAX_TOKENS_PER_REQUEST, MODELS, Model

Input = str | tuple[int, ...]
"""A text, or the ids of its tokens."""


@dataclass(frozen=True)
class EmbeddingRequest:
    """A request that will be answered, if its inputs are not too long."""

    model: Model
    inputs: tuple[Input, ...]
    dimensions: int
    base64: bool


def read(body: Any) -> EmbeddingRequest:
    """The parsed JSON body -> the request. Raises `ApiError`."""
    if not isinstance(body, dict):
        raise errors.not_json()
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise ApiError(400, "you must provide a model parameter")
    model = MODELS.get(name)
    if model is None:
        raise errors.model_not_found(name)
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise ApiError(400, f"'{encoding}' is not one of ['float', 'base64'] - 'encoding_format'")
    return EmbeddingRequest(
        model=model,
        inputs=_inputs(body.get("input")),
        dimensions=_dimensions(body.get("dimensions"), model),
        base64=encoding == "base64",
    )


def check_lengths(tokens: list[int]) -> None:
    """The number of tokens of each input against the model's and the request's limit. Raises `ApiError`."""
    longest = max(tokens)
    if longest > MAX_TOKENS_PER_INPUT:
        raise errors.input_too_long(longest, MAX_TOKENS_PER_INPUT)
    if sum(tokens) > MAX_TOKENS_PER_REQUEST:
        raise errors.too_many_tokens(sum(tokens), MAX_TOKENS_PER_REQUEST)


def _inputs(source: Any) -> tuple[Input, ...]:
    if isinstance(source, str) or _is_tokens(source):
        source = [source]
    if not isinstance(source, list) or not source:
        raise errors.input_invalid()
    if len(source) > MAX_INPUTS:
        raise errors.too_many_inputs(len(source), MAX_INPUTS)
    if not all((isinstance(one, str) and one) or _is_tokens(one) for one in source):
        raise errors.input_invalid()
    return tuple(one if isinstance(one, str) else tuple(one) for one in source)


def _is_tokens(source: Any) -> bool:
    return isinstance(source, list) and bool(source) and all(type(token) is int and token >= 0 for token in source)


def _dimensions(asked: Any, model: Model) -> int:
    if asked is None:
        return model.dimensions
    if not model.shortens:
        raise errors.dimensions_not_supported()
    if type(asked) is not int:
        raise ApiError(400, f"{asked!r} is not of type 'integer' - 'dimensions'", param="dimensions")
    if asked < 1:
        raise ApiError(400, f"{asked} is less than the minimum of 1 - 'dimensions'", param="dimensions")
    if asked > model.dimensions:
        raise errors.too_many_dimensions(asked, model.dimensions)
    return asked
