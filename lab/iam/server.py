"""lab-iam, the process: STS and Secrets Manager over TLS, the administration endpoint, the socket of the PAM module."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import ssl
from argparse import ArgumentParser, Namespace
from pathlib import Path

from aiohttp import web

from lab import server_tls, world
from lab.iam import admin, http_front, pod_identity
from lab.iam.identity_tokens import IdentityTokens
from lab.iam.issuer_keys import IssuerKeys
from lab.iam.pod_identity import PodIdentity
from lab.iam.rds_socket import RdsSocket
from lab.iam.refusals import Refusals
from lab.iam.store import Store
from lab.iam.sts import Sts

_log = logging.getLogger(__name__)


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m lab.iam.server", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="file that keeps the state over a restart")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket for PostgreSQL's PAM module")
    parser.add_argument("--certificate", type=Path, required=True, help="chain (PEM) for both AWS endpoints")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument(
        "--issuer-ca", type=Path, action="append", default=[], help="CA trusted for OIDC issuers; may come later"
    )
    return parser.parse_args()


async def _site(app: web.Application, address: str, port: int, tls: ssl.SSLContext | None) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port, ssl_context=tls, backlog=512).start()
    return runner


def _enter_folder_of(socket: Path) -> None:
    """The path of a unix socket is limited to 107 bytes, the checkout's is not: bind by the name alone."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    os.chdir(socket.parent)
    os.umask(0o077)
    socket.unlink(missing_ok=True)


async def serve(args: Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    store, refusals = Store(args.state), Refusals()
    tokens = IdentityTokens(store, IssuerKeys(args.issuer_ca))
    sts, agent = Sts(store, tokens), PodIdentity(store, tokens)
    tls = server_tls.context(args.certificate, args.key)
    runners = [
        await _site(http_front.sts_application(store, sts, refusals), world.STS[1], 443, tls),
        await _site(http_front.secrets_manager_application(store, refusals), world.SECRETS_MANAGER[1], 443, tls),
        await _site(http_front.pod_identity_application(agent, refusals), *pod_identity.AGENT, None),
        await _site(admin.application(store, refusals), *world.LAB_IAM_ADMIN, None),
    ]
    socket = await asyncio.start_unix_server(RdsSocket(store, refusals).serve, args.socket.name)
    _log.info("lab-iam is up")
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await stop.wait()
    socket.close()
    for runner in runners:
        await runner.cleanup()


def main() -> None:
    """Entry of the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    args = _arguments()
    _enter_folder_of(args.socket)
    asyncio.run(serve(args))
    args.socket.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
