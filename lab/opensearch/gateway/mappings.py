"""Vector fields: what Serverless takes, and what the server behind the gateway can serve.

The k-NN plugin on Maven Central comes without its native library. Building a faiss graph would end the whole server
with an UnsatisfiedLinkError, at the next refresh and again after every restart. With
``index.knn.advanced.approximate_threshold: -1`` no graph is built and queries are answered by an exact scan in Java:
the same mapping, the same neighbours. An index template sets it (`lab.opensearch.admin`); here it is kept from being
undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NATIVE_FIELD_PARAMETERS = ("mode", "compression_level")
"""`mode: on_disk` needs the native library even without a graph. Serverless has it; the lab keeps vectors in memory."""

NATIVE_SETTING = "index.knn.advanced.approximate_threshold"


class UnsupportedMethodError(ValueError):
    """A vector search collection has no such engine or method; the text is for the client."""


def served(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a create-index or put-mapping request as the server shall get it. Raises `UnsupportedMethodError`."""
    result = dict(definition)
    if "settings" in result:
        settings = dict(_flat(result["settings"]))
        result["settings"] = {name: value for name, value in settings.items() if name != NATIVE_SETTING}
    if "mappings" in result:
        result["mappings"] = _with_fields(result["mappings"])
    return _with_fields(result)  # a put-mapping request has its fields at the top


def _with_fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(mapping.get("properties"), dict):
        return dict(mapping)
    return {**mapping, "properties": {name: _field(field) for name, field in mapping["properties"].items()}}


def _field(field: Any) -> Any:
    if not isinstance(field, dict):
        return field
    if field.get("type") != "knn_vector":
        return _with_fields(field)
    _check_method(field.get("method", {}))
    return {name: value for name, value in field.items() if name not in NATIVE_FIELD_PARAMETERS}


def _check_method(method: Mapping[str, Any]) -> None:
    """HNSW by faiss is all there is. Source: "Amazon OpenSearch Serverless NextGen considerations"; text *assumed*."""
    engine, name = method.get("engine", "faiss"), method.get("name", "hnsw")
    if (engine, name) != ("faiss", "hnsw"):
        raise UnsupportedMethodError(f"engine [{engine}] with method [{name}] is not supported in this collection")


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their full dotted names, however they were nested, with or without the leading ``index``."""
    for name, value in settings.items():
        full = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flat(value, f"{full}.")
        else:
            yield (full if full.startswith("index.") else f"index.{full}"), value
