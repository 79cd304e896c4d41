"""The proxy's process: `python -m lab.proxy --manner=forbid`."""

from __future__ import annotations

import asyncio
import ssl
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from pathlib import Path

from lab import world
from lab.proxy import PORTS, Manner

_ANSWERS = {
    Manner.FORBID: "403 Forbidden",
    Manner.ASK_PASSWORD: '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"',
    Manner.LOSE: "503 Service Unavailable",
}
_PAGE = b"<html><body>The proxy of the lab.</body></html>"


class Proxy:
    """One manner of proxying. ``context``: whose certificate an intercepting one shows."""

    def __init__(self, manner: Manner, context: ssl.SSLContext | None) -> None:
        self._manner = manner
        self._context = context

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            await self._answer(head.split()[1].decode(), reader, writer)
        writer.close()

    async def _answer(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer := _ANSWERS.get(self._manner):
            writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: {len(_PAGE)}\r\n\r\n".encode() + _PAGE)
            await writer.drain()
        elif self._manner is Manner.SAY_NOTHING:
            await reader.read()
        elif self._manner is not Manner.HANG_UP:
            await self._tunnel(target, reader, writer)

    async def _tunnel(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = target.rpartition(":")
        to_server = await asyncio.open_connection(world.names().get(host, host), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        if self._context:
            await writer.start_tls(self._context)
        await asyncio.gather(_pump(reader, to_server[1]), _pump(to_server[0], writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m lab.proxy", description=__doc__)
    parser.add_argument("--manner", type=Manner, choices=list(Manner), required=True)
    parser.add_argument("--certificate", type=Path, help="chain (PEM) that an intercepting proxy shows")
    parser.add_argument("--key", type=Path)
    return parser.parse_args()


async def main(args: Namespace) -> None:
    """Serve until the process is ended."""
    context = None
    if args.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.certificate, args.key)
    server = await asyncio.start_server(Proxy(args.manner, context).serve, world.PROXY[1], PORTS[args.manner])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(_arguments()))
