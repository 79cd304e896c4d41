"""How much goes into one request. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from connectivity_operator.pipeline.work import Message

MOST_ITEMS = 256
"""Inputs, documents or rows of one request: more only costs memory and stalls of the event loop."""

BULK_BYTES = 5_000_000
"""Body of one bulk request, about. Serverless refuses more than 10 MiB; OpenSearch advises 5 to 15 MB."""


def text_bytes(text: str) -> int:
    """Length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def document_bytes(text: int, dimensions: int) -> int:
    """About what a document of that many bytes of text takes in a bulk body: 13 for each number of its vector."""
    return text + 13 * dimensions + 400


def pack(
    messages: Sequence[Message], size: Callable[[Message], int], *, most_bytes: int, alone_above: int | None = None
) -> Iterator[Sequence[Message]]:
    """Parts, in order, of at most ``most_bytes`` each (one message may exceed it).

    A message larger than ``alone_above`` gets a part of its own.
    """
    part: list[Message] = []
    total = 0
    for message in messages:
        bytes_ = size(message)
        if alone_above is not None and bytes_ > alone_above:
            yield [message]
            continue
        if part and total + bytes_ > most_bytes:
            yield part
            part, total = [], 0
        part.append(message)
        total += bytes_
    if part:
        yield part
