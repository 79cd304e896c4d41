"""A remedy taken apart into what is read and what is pasted.

In a remedy's text these are to be pasted as they are: an SQL statement up to its semicolon, a JSON value, and a
command, which begins the text or follows a colon or two spaces, and ends at two spaces or with the sentence; and lines
that begin with two spaces. What is pasted is never wrapped, and stands on lines of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

INDENT = "  "
_PASTED = re.compile(
    r"(?P<sql>\b(?:GRANT|REVOKE|ALTER|CREATE|TRUNCATE|DROP|UPDATE|DELETE) [^;{}]+;)"
    r'|(?P<json>\[?\{")'
    r"|(?:^|(?<=: )|(?<=  ))(?:aws|connectivity-operator|curl|eksctl|helm|kubectl|openssl|printf) "
    r".+?(?=  |, and |; then |\. [A-Z]|\.?$)"
)


@dataclass(frozen=True, slots=True)
class Part:
    """A paragraph, or a block to be pasted."""

    text: str
    paste: bool


def parts(remedy: str) -> list[Part]:
    """``remedy`` in order; no part is empty, and no block follows another one."""
    found: list[Part] = []
    for line in remedy.split("\n"):
        pieces = [Part(line.removeprefix(INDENT), paste=True)] if line.startswith(INDENT) else _inline(line)
        for part in pieces:
            if found and part.paste and found[-1].paste:
                found[-1] = Part(f"{found[-1].text}\n{part.text}", paste=True)
            elif part.text:
                found.append(part)
    return found


def _inline(line: str) -> Iterator[Part]:
    """The parts of one line."""
    while found := _PASTED.search(line):
        end, block = found.end(), found[0]
        if found["json"]:
            try:
                value, end = json.JSONDecoder().raw_decode(line, found.start())
            except ValueError:
                break
            block = json.dumps(value, indent=2, ensure_ascii=False)
        yield Part(line[: found.start()].strip(), paste=False)
        yield Part(block.strip(), paste=True)
        line = re.sub(r"^[.;,]?\s*", "", line[end:])
    yield Part(line.strip(), paste=False)
