"""Waits for what is being started: by asking it, never by sleeping and hoping."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping

from lab import certificates
from lab.part import NotReady

PAUSE = 0.1


def until_ready(ask: Callable[[], None], *, limit: float) -> None:
    """Call ``ask`` until it no longer raises `NotReady`; raise the last one after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            ask()
        except NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return


def until_listening(address: str, port: int, *, limit: float = 20.0) -> None:
    """Wait for a server that takes connections. Raises `NotReady` after ``limit`` seconds."""

    def connect() -> None:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError as error:
            raise NotReady(f"nothing listens at {address}:{port}: {error}") from error

    until_ready(connect, limit=limit)


def status_over_tls(address: str, path: str, *, headers: Mapping[str, str] | None = None, limit: float = 2.0) -> int:
    """The HTTP status of one GET from the server at an address, its certificate checked. Raises `OSError`."""
    trust = ssl.create_default_context(cafile=certificates.authority_file())
    trust.check_hostname = False  # asked by address: the lab's resolver may not be up yet
    connection = http.client.HTTPSConnection(address, timeout=limit, context=trust)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from error
    finally:
        connection.close()
