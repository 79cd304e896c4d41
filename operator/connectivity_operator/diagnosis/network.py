"""The rungs below every protocol: name, connection, TLS. One code for all services, on the clients' own path.

Each rung stands alone and uses a fresh connection, as the client will. What it learns goes into the notes:
``host``, ``port``, ``addresses`` (all that the name has), ``address`` (the one in use), ``issuer``, ``names``,
``expires``.

With a proxy, the dns and tcp rungs and their evidence are the proxy's, CONNECT included; TLS is spoken to the
server through it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectivity_operator import trust
from connectivity_operator.diagnosis import certificate
from connectivity_operator.diagnosis.ladder import Notes, Step
from connectivity_operator.diagnosis.proxy import Proxy, tunnel
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Rung, Service

LIMIT = 5.0
"""Seconds for each of these rungs."""

EXPIRES_SOON = timedelta(days=14)
"""A server's certificate that ends sooner than this is the warning CertificateExpiresSoon."""

CERTIFICATE_FACTS_LIMIT = 2.0
"""Seconds for fetching a refused certificate again, only to be able to describe it."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Route:
    """How a client reaches a server."""

    service: Service
    host: str
    port: int
    proxy: Proxy | None = None

    @property
    def first_hop(self) -> tuple[str, int]:
        """Host and port that are connected to: the proxy's, if there is one."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    def evidence(self) -> dict[str, str]:
        """Of the server itself: what the tls rung and those above it are about."""
        return {"host": self.host, "port": str(self.port)}

    def hop_evidence(self) -> dict[str, str]:
        """Of the first hop: what the dns and tcp rungs are about."""
        return {**self.proxy.evidence(), "target": f"{self.host}:{self.port}"} if self.proxy else self.evidence()

    def unreachable(self, reason: Reason, **evidence: str) -> DependencyError:
        """The first hop cannot be reached. A proxy's reason is always ProxyUnreachable, with the cause as detail."""
        if self.proxy:
            evidence.setdefault("detail", _UNREACHABLE[reason])
            reason = Reason.PROXY_UNREACHABLE
        return DependencyError(self.service, reason, evidence={**self.hop_evidence(), **evidence})

    def not_secured(self, reason: Reason, detail: str) -> DependencyError:
        """TLS with the server failed."""
        return DependencyError(self.service, reason, evidence={**self.evidence(), "detail": detail})

    def not_trusted(self, unusable: Mapping[str, str], issuer: str | None) -> DependencyError:
        """The server's certificate is not trusted, and files that may hold who signed it cannot be used."""
        signed = f" (signed by {issuer})" if issuer else ""
        evidence = {**self.evidence(), **unusable, "untrusted": f"{self.host}:{self.port}{signed}"}
        return DependencyError(self.service, Reason.CA_FILE_UNUSABLE, evidence=evidence)


_UNREACHABLE = {
    Reason.NAME_NOT_RESOLVED: "its name does not resolve",
    Reason.RESOLVER_UNAVAILABLE: "the resolver did not answer",
    Reason.CONNECTION_REFUSED: "it refused the connection",
    Reason.CONNECTION_TIMEOUT: "it did not answer",
    Reason.CONNECTION_RESET: "it closed the connection",
    Reason.NETWORK_UNREACHABLE: "there is no route to it",
}


def steps(route: Route, context: ssl.SSLContext, *, limit: float = LIMIT) -> list[Step]:
    """dns, tcp and tls of a server that speaks TLS from the first byte."""
    return [dns_step(route, limit=limit), tcp_step(route, limit=limit), tls_step(route, context, limit=limit)]


def dns_step(route: Route, *, limit: float = LIMIT) -> Step:
    """The name has an address. Also a literal address passes here."""

    async def run(notes: Notes) -> None:
        notes.add(**route.hop_evidence())
        addresses = await resolve(route)
        notes.add(addresses=", ".join(addresses), address=addresses[0])

    return Step(Rung.DNS, run, limit, _timeout(route, Reason.RESOLVER_UNAVAILABLE))


def tcp_step(route: Route, *, limit: float = LIMIT) -> Step:
    """A connection is accepted; through a proxy, the proxy opens the tunnel."""

    async def run(notes: Notes) -> None:
        notes.add(**route.hop_evidence())
        try:
            _, writer = await open_stream(route, notes)
        except asyncio.CancelledError:
            if route.proxy:
                notes.add(detail=_UNREACHABLE[Reason.CONNECTION_TIMEOUT])
            raise
        writer.transport.abort()

    return Step(Rung.TCP, run, limit, _timeout(route, Reason.CONNECTION_TIMEOUT))


def tls_step(
    route: Route,
    context: ssl.SSLContext,
    *,
    opened: Callable[[Notes], Awaitable[Stream]] | None = None,
    limit: float = LIMIT,
) -> Step:
    """The server proves its name to ``context``. ``opened`` brings a stream to where TLS begins (default: at once).

    A server that says nothing to our greeting until the limit does not speak TLS on this port.
    """

    async def run(notes: Notes) -> None:
        notes.add(**route.evidence())
        await handshake(route, context, notes, opened or (lambda told: open_stream(route, told)))

    return Step(Rung.TLS, run, limit, Reason.TLS_NOT_SPOKEN)


def _timeout(route: Route, reason: Reason) -> Reason:
    return Reason.PROXY_UNREACHABLE if route.proxy else reason


# ── names ────────────────────────────────────────────────────────────────────────────────────────────
_lookups: dict[str, Future[tuple[str, ...]]] = {}
"""Lookups under way, by host. A resolver that is down holds each for up to a minute (every search domain is tried)."""


async def resolve(route: Route) -> tuple[str, ...]:
    """The addresses of the first hop, in the order in which clients try them. No limit of its own."""
    host, _ = route.first_hop
    try:
        return await asyncio.shield(asyncio.wrap_future(_lookup(host)))
    except socket.gaierror as error:
        # EAI_NONAME is NXDOMAIN; EAI_NODATA a name without addresses. EAI_AGAIN is no answer or SERVFAIL,
        # EAI_FAIL a refusal: then nothing is known of the name.
        absent = error.errno in (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY)
        raise route.unreachable(Reason.NAME_NOT_RESOLVED if absent else Reason.RESOLVER_UNAVAILABLE) from error
    except UnicodeError as error:
        raise route.unreachable(Reason.NAME_NOT_RESOLVED, detail="it is not a valid host name") from error


def _lookup(host: str) -> Future[tuple[str, ...]]:
    """Join the lookup of ``host`` that runs, or start one in a thread of its own.

    A daemon thread: the C library's resolver cannot be interrupted, and neither other lookups nor the end of
    the process may wait for it.
    """
    running = _lookups.get(host)
    if running is None:
        running = _lookups[host] = Future()
        running.add_done_callback(lambda _: _lookups.pop(host, None))
        try:
            threading.Thread(target=_look_up, args=(host, running), name=f"resolve {host}", daemon=True).start()
        except RuntimeError as error:  # the container's limit of processes: nobody would end this lookup, ever
            running.set_exception(socket.gaierror(socket.EAI_AGAIN, str(error)))
    return running


def _look_up(host: str, answer: Future[tuple[str, ...]]) -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answer.set_exception(error)
    else:
        answer.set_result(tuple(dict.fromkeys(str(address[0]) for *_, address in found)))


# ── connections ──────────────────────────────────────────────────────────────────────────────────────
async def open_stream(route: Route, notes: Notes) -> Stream:
    """A stream to the server, through the proxy's tunnel if there is one; the caller ends it. No limit of its own.

    Addresses are tried one after the other, as asyncio's own clients do: one that drops packets holds them all.
    """
    _, port = route.first_hop
    failures: list[DependencyError] = []
    for address in await resolve(route):
        notes.add(address=address)
        try:
            stream = await asyncio.open_connection(address, port)
        except OSError as error:
            failures.append(_refusal(route, address, error))
            continue
        if route.proxy:
            await _through(route, route.proxy, stream)
        return stream
    # An IPv6 address without a route stands beside the IPv4 address that tells more.
    raise next((f for f in failures if f.reason is not Reason.NETWORK_UNREACHABLE), failures[0])


async def _through(route: Route, proxy: Proxy, stream: Stream) -> None:
    reader, writer = stream
    try:
        if proxy.context:
            await writer.start_tls(proxy.context, server_hostname=proxy.host)
        await tunnel(route.service, proxy, reader, writer, host=route.host, port=route.port)
    except OSError as error:
        writer.transport.abort()
        raise route.unreachable(Reason.CONNECTION_RESET, detail=_tls_with_proxy(proxy, error)) from error
    except BaseException:
        writer.transport.abort()
        raise


def _tls_with_proxy(proxy: Proxy, error: OSError) -> str:
    unusable = trust.unusable(proxy.context)
    if isinstance(error, ssl.SSLCertVerificationError) and unusable:
        return f"its certificate is not trusted, and {unusable['variable']} cannot be used: {unusable['detail']}"
    return "TLS with it failed"


def _refusal(route: Route, address: str, error: OSError) -> DependencyError:
    match error.errno:
        case errno.ECONNREFUSED:
            return route.unreachable(Reason.CONNECTION_REFUSED, address=address)
        case errno.ECONNRESET | errno.ECONNABORTED:
            return route.unreachable(Reason.CONNECTION_RESET, address=address)
        case errno.ETIMEDOUT:
            return route.unreachable(Reason.CONNECTION_TIMEOUT, address=address)
        case _:  # ENETUNREACH, EHOSTUNREACH, EACCES and EPERM (a local firewall), EADDRNOTAVAIL …
            detail = errno.errorcode.get(error.errno or 0, "unknown error")
            return route.unreachable(Reason.NETWORK_UNREACHABLE, address=address, detail=detail)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────
_VERIFICATION = {
    9: Reason.CERTIFICATE_NOT_YET_VALID,
    10: Reason.CERTIFICATE_EXPIRED,
    62: Reason.CERTIFICATE_NAME_MISMATCH,
    64: Reason.CERTIFICATE_NAME_MISMATCH,  # the same for an IP address
}
"""OpenSSL's X509_V_ERR_* codes; every other one means that the chain does not end where we trust."""

_NOT_TLS = {
    "WRONG_VERSION_NUMBER",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "HTTP_REQUEST",
}
"""What OpenSSL says of bytes that are no TLS record."""


async def handshake(
    route: Route, context: ssl.SSLContext, notes: Notes, opened: Callable[[Notes], Awaitable[Stream]]
) -> None:
    """Shake hands on a stream of ``opened``, and end it. Notes what the server's certificate says, good or bad."""
    try:
        described = await _presented(route, context, opened, notes)
    except ssl.SSLCertVerificationError as error:
        refused = await _refused_certificate(route, opened)
        if refused:
            notes.add(**refused.evidence())
        reason = _VERIFICATION.get(error.verify_code, Reason.CERTIFICATE_UNTRUSTED)
        if reason is Reason.CERTIFICATE_UNTRUSTED and (unusable := trust.unusable(context)):
            raise route.not_trusted(unusable, notes.evidence.get("issuer")) from error
        raise route.not_secured(reason, error.verify_message) from error
    except ssl.SSLError as error:
        reason = Reason.TLS_NOT_SPOKEN if error.reason in _NOT_TLS else Reason.TLS_HANDSHAKE_FAILED
        raise route.not_secured(reason, (error.reason or "unknown").lower().replace("_", " ")) from error
    except OSError as error:
        # Closed in answer to our greeting, without a word: a port that does not speak TLS (Kafka's do so), a load
        # balancer without a target, or a firewall that reads the server's name in the greeting. Not to be told apart.
        raise route.not_secured(Reason.CONNECTION_RESET, "during the TLS handshake") from error
    if described:
        notes.add(**described.evidence())
        if described.not_after - datetime.now(UTC) < EXPIRES_SOON:
            notes.warn(Reason.CERTIFICATE_EXPIRES_SOON)
    if unusable := trust.unusable(context):
        notes.warn(Reason.CA_FILE_UNUSABLE, **unusable)


async def _presented(
    route: Route, context: ssl.SSLContext, opened: Callable[[Notes], Awaitable[Stream]], notes: Notes
) -> certificate.Certificate | None:
    """The certificate that the server shows; raises whatever the handshake raises."""
    _, writer = await opened(notes)
    try:
        await writer.start_tls(context, server_hostname=route.host)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return _described(tls.getpeercert(binary_form=True))
    finally:
        writer.transport.abort()


async def _refused_certificate(
    route: Route, opened: Callable[[Notes], Awaitable[Stream]]
) -> certificate.Certificate | None:
    """Fetch a certificate that was refused once more, without verifying: only to describe it, nothing is sent."""
    curious = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    curious.check_hostname, curious.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(CERTIFICATE_FACTS_LIMIT):
            return await _presented(route, curious, opened, Notes())
    except (OSError, DependencyError):
        return None


def _described(der: bytes | None) -> certificate.Certificate | None:
    try:
        return certificate.read(der) if der else None
    except ValueError:  # it was verified or will be named by its fault; only its description is missing
        return None
