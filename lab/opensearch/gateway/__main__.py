"""The gateway's process: `python -m lab.opensearch.gateway`."""

from __future__ import annotations

import asyncio
import logging
import signal
from argparse import ArgumentParser, Namespace
from pathlib import Path

import aiohttp
from aiohttp import web

from lab import server_tls, world
from lab.opensearch.gateway import control_api, server
from lab.opensearch.gateway.injection import Injections
from lab.opensearch.gateway.locks import Locks

BACKEND_LIMIT = 60.0
"""Seconds that OpenSearch may take for an answer."""


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m lab.opensearch.gateway", description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True, help="chain (PEM) for the collection's endpoint")
    parser.add_argument("--key", type=Path, required=True)
    return parser.parse_args()


async def serve(args: Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    tls = server_tls.context(args.certificate, args.key)
    injections = Injections()
    backend = "http://{}:{}".format(*world.OPENSEARCH_BACKEND)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=BACKEND_LIMIT)) as session:
        gateway = server.Gateway(session, Locks(session), backend, injections)
        endpoint = web.AppRunner(server.application(gateway), access_log=None, auto_decompress=False)
        control = web.AppRunner(control_api.application(injections), access_log=None)
        for runner, (address, port), context in (
            (endpoint, (world.OPENSEARCH[1], 443), tls),
            (control, world.OPENSEARCH_ADMIN, None),
        ):
            await runner.setup()
            await web.TCPSite(runner, address, port, ssl_context=context).start()
        logging.getLogger(__name__).info("the gateway is up")
        await _signalled()
        for runner in (endpoint, control):
            await runner.cleanup()


async def _signalled() -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await stop.wait()


def main() -> None:
    """Entry of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(serve(_arguments()))


if __name__ == "__main__":
    main()
