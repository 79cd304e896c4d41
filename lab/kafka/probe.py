"""Asks a listener whether it speaks Kafka, with the one request that needs no login: ApiVersions."""

from __future__ import annotations

import socket
import ssl
import struct

API_VERSIONS = 18


def answers(address: str, port: int, *, tls: tuple[ssl.SSLContext, str] | None = None, limit: float = 2.0) -> None:
    """Return when the listener answers; else raise `OSError` (TLS errors included).

    ``tls`` is the context to trust and the name to verify; ``limit`` in seconds holds for each step.
    """
    with socket.create_connection((address, port), timeout=limit) as connection:
        if tls is None:
            _ask(connection)
        else:
            context, name = tls
            with context.wrap_socket(connection, server_hostname=name) as secured:
                _ask(secured)


def _ask(connection: socket.socket) -> None:
    """Request header v1 with version 0 of the request, whose body is empty; the answer begins with an error code."""
    correlation_id = 7
    header = struct.pack(">hhih", API_VERSIONS, 0, correlation_id, -1)
    connection.sendall(struct.pack(">i", len(header)) + header)
    answer = _receive(connection, 10)
    _, answered, error = struct.unpack(">iih", answer)
    if (answered, error) != (correlation_id, 0):
        raise ConnectionError(f"not an answer of a Kafka broker: {answer!r}")


def _receive(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        more = connection.recv(length - len(received))
        if not more:
            raise ConnectionResetError("closed without an answer")
        received += more
    return received
