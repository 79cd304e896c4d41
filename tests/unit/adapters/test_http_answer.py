"""How long a server asks us to wait."""

from __future__ import annotations

import pytest

from connectivity_operator.adapters.http_answer import Answer, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 16:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 15:00:00 GMT"}, 0.0),
    ],
)
def test_seconds_milliseconds_and_dates_are_understood(headers: dict[str, str], seconds: float | None) -> None:
    """RFC 9110 allows a number or a date; OpenAI adds milliseconds, which are more exact."""
    sixteen_o_clock = 1795449600.0
    assert retry_after(headers, now=sixteen_o_clock) == seconds


def test_headers_are_found_whatever_their_case() -> None:
    """HTTP/2 sends lower case, HTTP/1.1 mostly not."""
    assert retry_after(Answer.of(429, {"Retry-After": "2"}, b"").headers) == 2.0
