"""Servers of a few lines that misbehave in one way each, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(behaviour: Behaviour, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that treats every connection by ``behaviour``, then closes it; yields its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, which is its right
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def wait_for_client(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Accept, and say nothing until the client goes."""
    while await reader.read(4096):
        pass


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Close on the client's first bytes, as Kafka does on a TLS greeting."""
    await reader.read(1)


def say(answer: bytes) -> Behaviour:
    """Answer the client's first bytes with ``answer``."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()
        await reader.read(4096)

    return behave


HANDSHAKE_FAILURE_ALERT = bytes.fromhex("15030300020228")
"""A TLS 1.2 record: fatal alert 40."""


def http_proxy(answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Behaviour:
    """A proxy that answers CONNECT with ``answer`` and, if that is 200, tunnels to whatever was asked for."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if b" 200 " not in answer.partition(b"\r\n")[0] + b" ":
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, far_writer))
                pumps.create_task(_pump(far_reader, writer))
        finally:
            far_writer.transport.abort()

    return behave


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.transport.abort()
