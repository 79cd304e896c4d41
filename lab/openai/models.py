"""OpenAI's embedding models: what they are called and what they take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """An embedding model."""

    name: str
    dimensions: int
    """Length of its vectors, and the longest that may be asked for."""
    shortens: bool
    """Whether a request may ask for fewer dimensions."""


MODELS = {
    model.name: model
    for model in (
        Model("text-embedding-3-small", 1536, shortens=True),
        Model("text-embedding-3-large", 3072, shortens=True),
        Model("text-embedding-ada-002", 1536, shortens=False),
    )
}

MAX_INPUTS = 2048
MAX_TOKENS_PER_INPUT = 8192
MAX_TOKENS_PER_REQUEST = 300_000
