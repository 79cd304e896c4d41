"""Takes secrets out of texts that come from elsewhere: exceptions, library logs, answers of servers.

Texts of our own never contain any. Libraries' do: an API key with a line break ends up in httpx's
``Illegal header value b'Bearer sk-…\\n'``, botocore's and OpenSearch's errors can quote signed URLs, and an
RDS token *is* a signed URL. What is hidden is recognised by its shape, and by its value where it is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[hidden]"

_VALUE = r"[^\s\"'\\&,;<>)}\]]+"
"""Ends where the surrounding text goes on; `<placeholders>` of remedies are not values."""

_NAMED = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret[_-]?access[_-]?key|client[_-]?secret"
    r"|(?:access|session|security|refresh|id|web[_-]?identity|auth(?:orization)?)[_-]?token|api[_-]?key)"
)

_SHAPES = re.compile(
    "|".join(
        (
            r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_*-]{3,}",  # OpenAI keys, also as their errors mask them
            rf"(?<=Bearer\s){_VALUE}",
            r"(?<=Basic\s)[A-Za-z0-9+/]{8,}={0,2}",
            r"(?:X-Amz-(?:Security-Token|Signature)|(?<![A-Za-z])Signature)(?:=|%3D|:\s?)[A-Za-z0-9%/+=_-]+",
            r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",  # a JWT (service account token)
            r"(?<![A-Za-z0-9_-])aHR0cHM6Ly9rYWZrY[A-Za-z0-9_-]{16,}",  # an MSK token: base64 of https://kafka…
            r"(?<=://)[^\s/:@\"']+:[^\s/@\"']+(?=@)",  # user:password@ in a URL
            rf"{_NAMED}=[\"']?{_VALUE}",
            rf"[\"'][A-Za-z_-]*{_NAMED}[\"']\s*[:,]\s*b?[\"'][^\"']+",
        )
    ),
    re.IGNORECASE,
)


class Redactor:
    """Replaces secrets in a text by ``[hidden]``; the name in front of a secret stays readable."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """``known``: secrets of any shape (passwords); ones too short to be told from words are left out."""
        literals = sorted({secret.strip() for secret in known if len(secret.strip()) >= 6}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, literals))) if literals else None

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub(HIDDEN, text)
        return _SHAPES.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    """The name of the secret (``X-Amz-Signature=``, ``'password': '``) and ``[hidden]`` instead of its value."""
    named = re.match(r"[\"']?[A-Za-z_-]+[\"']?\s*(?:=|%3D|:|,)\s*b?[\"']?", match[0])
    return f"{named[0]}{HIDDEN}" if named and named.end() < len(match[0]) else HIDDEN
