"""TLS of the lab's own servers, whose certificate can be changed while they run, as a load balancer's can."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context. At SIGHUP the files are read again; connections that stand are not touched.

    Call it in the running event loop.
    """
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certificate, key)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, made.load_cert_chain, certificate, key)
    return made
