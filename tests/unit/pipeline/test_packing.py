"""Requests stay within the limits of those who get them."""

from __future__ import annotations

from connectivity_operator.pipeline.packing import document_bytes, pack, text_bytes
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Message
from connectivity_operator.ports import Record


def message(size: int) -> Message:
    record = Record("orders", 0, 0, 0, b"")
    return Message(record, Watermark(0, committed=None), "id", 0.0, 0, "", size)


def sizes(*messages: int, most: int, alone: int | None = None) -> list[list[int]]:
    parts = pack([message(size) for size in messages], lambda m: m.size, most_bytes=most, alone_above=alone)
    return [[m.size for m in part] for part in parts]


def test_parts_are_filled_in_order() -> None:
    assert sizes(4, 4, 4, 4, 4, most=10) == [[4, 4], [4, 4], [4]]


def test_one_that_is_larger_than_a_part_is_a_part() -> None:
    assert sizes(4, 40, 4, most=10) == [[4], [40], [4]]


def test_those_that_travel_alone_divide_nothing() -> None:
    assert sizes(4, 9, 5, most=10, alone=8) == [[9], [4, 5]]


def test_bytes_are_those_of_utf_8() -> None:
    assert [text_bytes(text) for text in ("abc", "é", "🎈")] == [3, 2, 4]


def test_a_bulk_request_of_long_vectors_stays_below_what_serverless_takes() -> None:
    """256 vectors of 3,072 numbers are twice what fits into one request of 5 MB."""
    assert 256 * document_bytes(500, 3072) > 10_000_000
