"""Connections that a server of the lab ends with RST, as a load balancer does that lost its target."""

from __future__ import annotations

import socket
import struct

from aiohttp import web


def reset(request: web.Request) -> None:
    """End the connection of a request: a socket that lingers for no time does not say goodbye.

    Read the whole request before: a client that is still writing may see an end of TLS instead of a reset.
    """
    if request.transport is None:
        return
    connection: socket.socket | None = request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
