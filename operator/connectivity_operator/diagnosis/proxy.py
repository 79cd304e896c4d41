"""The way through an HTTP proxy: whether there is one for a server, and the CONNECT that opens a tunnel through it.

Only HTTPS services are reached that way (``HTTPS_PROXY``, ``NO_PROXY``); Kafka and PostgreSQL never are.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. ``authorization`` is the value of Proxy-Authorization, a secret."""

    host: str
    port: int
    context: ssl.SSLContext | None = field(default=None, repr=False)
    """Set when the proxy itself is spoken to over TLS (``https://`` in its URL)."""
    authorization: str | None = field(default=None, repr=False)

    def evidence(self) -> dict[str, str]:
        return {"host": self.host, "port": str(self.port)}


def proxy_for(
    host: str, port: int, *, https_proxy: str | None, no_proxy: str | None, context: ssl.SSLContext
) -> Proxy | None:
    """The proxy that clients use for ``https://host:port``; None when they connect directly.

    ``context`` verifies a proxy that is itself spoken to over TLS.
    """
    if not https_proxy or _bypassed(host.lower(), port, no_proxy or ""):
        return None
    url = urlsplit(https_proxy)
    authorization = None
    if url.username:
        user = f"{unquote(url.username)}:{unquote(url.password or '')}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
    tls = url.scheme == "https"
    return Proxy(url.hostname or "", url.port or (443 if tls else 80), context if tls else None, authorization)


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    """The rule of Python's clients: a name stands for itself and everything below it, a leading dot is no matter."""
    for entry in no_proxy.lower().split(","):
        name = entry.strip().lstrip(".")
        if name and (name in ("*", host, f"{host}:{port}") or host.endswith(f".{name}")):
            return True
    return False


async def tunnel(
    service: Service, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, host: str, port: int
) -> None:
    """Ask the proxy for a tunnel to ``host:port``; afterwards the stream is one to the server itself.

    Raises `DependencyError`: ProxyAuthenticationRequired, ProxyRefused, ProxyUnreachable (it hung up or is none).
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        request.append(f"Proxy-Authorization: {proxy.authorization}")
    writer.write("\r\n".join([*request, "", ""]).encode())
    try:
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
        detail = "it closed the connection instead of answering CONNECT"
        raise DependencyError(
            service, Reason.PROXY_UNREACHABLE, evidence={**proxy.evidence(), "detail": detail}
        ) from error
    status = _status(head)
    if status is None:
        detail = "its answer to CONNECT is not HTTP"
        raise DependencyError(service, Reason.PROXY_UNREACHABLE, evidence={**proxy.evidence(), "detail": detail})
    if not 200 <= status < 300:
        reason = Reason.PROXY_AUTHENTICATION_REQUIRED if status == 407 else Reason.PROXY_REFUSED
        evidence = {**proxy.evidence(), "status": str(status), "target": target}
        if proxy.authorization:
            evidence["cause"] = "refused"
        raise DependencyError(service, reason, evidence=evidence)


def _status(head: bytes) -> int | None:
    protocol, _, rest = head.partition(b" ")
    code = rest[:3]
    return int(code) if protocol.startswith(b"HTTP/") and code.isdigit() else None
