"""The OpenAI API key as it is now: from the environment, or from a file that may change while we run.

A key goes into an HTTP header. One with a line break at its end (the classic mistake of
``kubectl create secret --from-file``) makes HTTP libraries raise "Illegal header value b'Bearer sk-…'",
which openai shows as "Connection error." and which has the key in its text. So a key is looked at before it is used.
"""

from __future__ import annotations

import os
from pathlib import Path

from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service

_VALUE, _FILE = "OPENAI_API_KEY", "OPENAI_API_KEY_FILE"
_LARGEST = 4096
"""Bytes; what is longer is no key but some other file."""


class ApiKey:
    """Called, it gives the key, or raises `NotConfigured`, `APIKeyMissing` or `APIKeyMalformed`.

    ``path`` wins over ``value`` and is read again when it has changed (a Secret's file changes by a swapped link).
    """

    def __init__(self, *, value: str | None = None, path: Path | None = None) -> None:
        self._value = value
        self._path = path
        self._seen: tuple[int, ...] | None = None
        self._text = ""

    def __call__(self) -> str:
        if self._path is not None:
            evidence = {"variable": _FILE, "path": str(self._path)}
            return _checked(self._read(self._path, evidence), evidence)
        if self._value is None:
            raise DependencyError(Service.OPENAI, Reason.NOT_CONFIGURED, evidence={"variable": _VALUE})
        return _checked(self._value, {"variable": _VALUE})

    def _read(self, path: Path, evidence: dict[str, str]) -> str:
        try:
            now = os.stat(path)  # noqa: PTH116 (follows the link, once)
            seen = (now.st_ino, now.st_mtime_ns, now.st_size)
            if seen != self._seen:
                with path.open("rb") as file:
                    self._text = file.read(_LARGEST).decode("utf-8", errors="replace")
                self._seen = seen
        except OSError as error:
            raise _missing(evidence, f"the file cannot be read ({error.strerror})") from error
        return self._text


def _checked(key: str, evidence: dict[str, str]) -> str:
    if not key.strip():
        raise _missing(evidence, "it is empty")
    if problem := _problem(key):
        raise DependencyError(Service.OPENAI, Reason.API_KEY_MALFORMED, evidence={**evidence, "detail": problem})
    return key


def _problem(key: str) -> str | None:
    """What keeps ``key`` from being sent, in words that do not show it."""
    if key != key.rstrip("\r\n"):
        return "it ends with a line break"
    if key != key.strip():
        return "it begins or ends with a blank"
    if len(key) >= 2 and key[0] == key[-1] and key[0] in "\"'":
        return "it has quotes around it"
    if not all("!" <= c <= "~" for c in key):  # what a bearer token may consist of and a header may carry
        return "it contains blanks, line breaks or characters outside ASCII"
    return None


def _missing(evidence: dict[str, str], detail: str) -> DependencyError:
    return DependencyError(Service.OPENAI, Reason.API_KEY_MISSING, evidence={**evidence, "detail": detail})
