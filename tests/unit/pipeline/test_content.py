"""What bytes are: text, nothing, or nothing that can be read; and what the table can hold of them."""

from __future__ import annotations

import pytest

from connectivity_operator.pipeline import content
from connectivity_operator.pipeline.content import ROW_BYTES
from connectivity_operator.pipeline.work import Outcome
from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason


@pytest.mark.parametrize("value", [None, b""])
def test_tombstones_and_empty_values_are_skipped(value: bytes | None) -> None:
    """The API refuses empty input, and there is nothing to find."""
    assert content.read(value) == (None, Outcome.SKIPPED, None)


def test_bytes_that_are_not_utf_8_are_rejected() -> None:
    """Embedding a guess would put something into the index that nobody wrote."""
    assert content.read(b"caf\xe9") == (None, Outcome.REJECTED, Reason.UNDECODABLE)


@pytest.mark.parametrize("text", ["hello", " ", "naïve café 🎈", "nul \x00 inside"])
def test_everything_else_is_text(text: str) -> None:
    """Blank text and NUL are text to the API."""
    assert content.read(text.encode()) == (text, Outcome.ACCEPTED, None)


def test_a_row_shows_invalid_bytes_escaped() -> None:
    """A person can see in the table what came."""
    assert content.row_text(b"caf\xe9 \xff") == r"caf\xe9 \xff"


def test_a_row_has_no_nul() -> None:
    """PostgreSQL's text cannot hold it."""
    assert content.row_text(b"a\x00b") == "a�b"


@pytest.mark.parametrize("length", [ROW_BYTES - 1, ROW_BYTES, ROW_BYTES + 1, 1_000_000])
@pytest.mark.parametrize("letter", ["a", "é", "€", "🎈"])
def test_a_row_is_cut_at_64_kib_between_characters(letter: str, length: int) -> None:
    """In bytes of UTF-8, never inside a character, and as long as it can be."""
    value = (letter * length).encode()[: length - length % len(letter.encode())]
    text = content.row_text(value)
    assert text is not None
    assert set(text) == {letter}
    size = len(text.encode())
    assert size <= ROW_BYTES
    assert size > min(len(value), ROW_BYTES) - len(letter.encode())


@pytest.mark.parametrize("value", [b"\xff" * 70_000, b"\x00" * 70_000])
def test_escapes_count_too(value: bytes) -> None:
    """What is escaped or replaced becomes longer, and is cut all the same."""
    text = content.row_text(value)
    assert text is not None
    assert len(text.encode()) <= ROW_BYTES


def test_a_tombstone_has_no_text_in_its_row() -> None:
    """NULL and the empty text are two things."""
    assert content.row_text(None) is None
    assert content.row_text(b"") == ""


def test_a_row_for_a_database_in_another_encoding_is_ascii() -> None:
    """What such a database refuses is escaped as well."""
    text = content.row_ascii("café 🎈\x00".encode())
    assert text is not None
    assert text.isascii()
    assert r"caf\xe9 \U0001f388" in text


def test_a_message_id_names_resource_topic_partition_offset_and_time() -> None:
    """Two resources, and two topics of one name after each other, never share one."""
    record = Record("orders", 2, 9120, 1_700_000_000_123, b"x")
    assert content.message_id("0a1b2c3d-9999-4000-8000-000000000000", record) == "0a1b2c3d-orders-2-9120-1700000000123"
