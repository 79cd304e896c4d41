"""Bulk requests: a vector search collection refuses items with an id of their own and indexes the others.

Source of the refusal's form: langchain-ai/langchainjs issue 4346, aws/aws-sdk-pandas issue 2784.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.opensearch.gateway.answers import OWN_ID

_WITH_DOCUMENT = ("index", "create", "update")


class MalformedBulkError(ValueError):
    """The body is not a bulk request; the text says what is wrong."""


@dataclass(frozen=True)
class Item:
    """One action of a bulk request, with the lines that it takes."""

    action: str
    index: str
    document_id: str | None
    lines: tuple[bytes, ...]

    def refused(self, status: int, reason: Mapping[str, str]) -> dict[str, Any]:
        """The item's part of the answer when it is refused."""
        return {self.action: {"_index": self.index, "_id": self.document_id, "status": status, "error": reason}}


@dataclass(frozen=True)
class Bulk:
    """A bulk request, item by item."""

    items: tuple[Item, ...]

    @property
    def indices(self) -> frozenset[str]:
        return frozenset(item.index for item in self.items)

    def own_ids(self) -> dict[int, dict[str, Any]]:
        """Position -> refusal of the items whose document has an id of its own."""
        return {
            position: item.refused(400, OWN_ID)
            for position, item in enumerate(self.items)
            if item.action in _WITH_DOCUMENT and item.document_id is not None
        }

    def without(self, refused: Mapping[int, Any]) -> bytes:
        """The body that is left."""
        kept = [line for position, item in enumerate(self.items) if position not in refused for line in item.lines]
        return b"".join(line + b"\n" for line in kept)


def parse(body: bytes, default_index: str | None) -> Bulk:
    """Take a bulk request apart; ``default_index`` is the one in its path. Raises `MalformedBulkError`."""
    return Bulk(tuple(_items(body.split(b"\n"), default_index)))


def merged(answer: Mapping[str, Any], refused: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    """The server's answer to what was left, with the refusals in their places."""
    rest = iter(answer["items"])
    total = len(answer["items"]) + len(refused)
    items = [refused[position] if position in refused else next(rest) for position in range(total)]
    return {**answer, "errors": bool(answer["errors"] or refused), "items": items}


NOTHING_LEFT: dict[str, Any] = {"took": 0, "errors": False, "items": []}
"""The answer to a body of which nothing is left."""


def _items(lines: list[bytes], default_index: str | None) -> Iterator[Item]:
    remaining = iter(line for line in lines if line.strip())
    for line in remaining:
        action, target = _action(line)
        index = target.get("_index", default_index)
        if not isinstance(index, str):
            raise MalformedBulkError("an action names no index")
        taken = (line, next(remaining, b"")) if action in _WITH_DOCUMENT else (line,)
        yield Item(action, index, target.get("_id"), taken)


def _action(line: bytes) -> tuple[str, dict[str, Any]]:
    try:
        ((action, target),) = json.loads(line).items()
    except (ValueError, AttributeError) as error:
        raise MalformedBulkError("Malformed action/metadata line") from error
    if action not in (*_WITH_DOCUMENT, "delete") or not isinstance(target, dict):
        raise MalformedBulkError(f"Malformed action/metadata line: unknown action {action}")
    return action, target
