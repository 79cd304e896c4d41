"""The administration endpoints of the lab's own servers: JSON over plain HTTP on loopback (blocking)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

LIMIT_SECONDS = 10.0


class RefusedError(Exception):
    """The server did not take the request; the text is its answer."""


def call(address: tuple[str, int], method: str, path: str, body: Any = None) -> Any:
    """One request -> the JSON answer. Raises `RefusedError`, `OSError` if nothing listens."""
    host, port = address
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://{host}:{port}{path}", data, {"Content-Type": "application/json"}, method=method
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # HTTP_PROXY is not for loopback
    try:
        with opener.open(request, timeout=LIMIT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise RefusedError(error.read().decode()) from error
