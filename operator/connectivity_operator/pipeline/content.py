"""What a message's bytes are: text to embed, nothing, or nothing that can be read. Pure."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from connectivity_operator.pipeline.work import Outcome
from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason

SURELY_FITS = 8191
"""UTF-8 bytes. A token stands for at least one byte, so such a text has at most 8,191 tokens: within the
limit of OpenAI's embedding models (8,192 tokens an input), proven without a tokenizer."""

REQUEST_BYTES = 300_000
"""UTF-8 bytes of one request's texts: by the same argument within the API's 300,000 tokens a request."""

ROW_BYTES = 65_536
"""What ``message_content`` holds at most, in UTF-8 bytes."""

KNOWN_GOOD_TEXT = "connectivity test"
"""A text that every embedding model takes: if this is refused too, it is not the message that is at fault."""


class Content(NamedTuple):
    """A message's value as text, or why there is none."""

    text: str | None
    outcome: Outcome
    reason: Reason | None


_NOTHING = Content(None, Outcome.SKIPPED, None)
_UNDECODABLE = Content(None, Outcome.REJECTED, Reason.UNDECODABLE)
_Decoder = codecs.getincrementaldecoder("utf-8")


def read(value: bytes | None) -> Content:
    """Tombstones and empty values have nothing to embed; other values must be UTF-8."""
    if not value:
        return _NOTHING
    try:
        return Content(value.decode(), Outcome.ACCEPTED, None)
    except UnicodeDecodeError:
        return _UNDECODABLE


def message_id(uid: str, record: Record) -> str:
    """Unique over resources made again under the same name and topics made again under the same name."""
    return f"{uid[:8]}-{record.topic}-{record.partition}-{record.offset}-{record.timestamp}"


def row_text(value: bytes | None) -> str | None:
    """``message_content``: invalid bytes escaped as ``\\xff``, NUL replaced (PostgreSQL has no NUL), cut."""
    if value is None:
        return None
    # Not final when cut: a character that the cut falls into is left out instead of being escaped byte by byte.
    decoder = _Decoder("backslashreplace")
    return _fit(decoder.decode(value[:ROW_BYTES], final=len(value) <= ROW_BYTES))


def row_ascii(value: bytes | None) -> str | None:
    """The same for a database that refuses `row_text` (another encoding): ASCII only, the rest escaped."""
    text = row_text(value)
    return None if text is None else _fit(text.encode("ascii", "backslashreplace").decode("ascii"))


def _fit(text: str) -> str:
    text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
    if len(text) * 4 > ROW_BYTES:
        text = text.encode()[:ROW_BYTES].decode("utf-8", "ignore")
    return text
