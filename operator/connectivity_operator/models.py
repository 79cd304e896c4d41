"""What is known of embedding models beforehand."""

from __future__ import annotations

NATIVE_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""OpenAI's embedding models and the length of their vectors."""


def dimensions(model: str, asked: int | None) -> int | None:
    """Length of the vectors that ``model`` will give; None when only the API can tell."""
    return asked if asked is not None else NATIVE_DIMENSIONS.get(model)
