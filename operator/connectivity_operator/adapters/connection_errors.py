"""What lies behind a client library's "connection error": the network reason at the bottom of its chain of causes.

Libraries wrap the one exception that matters (`socket.gaierror`, `ssl.SSLCertVerificationError` …) three to five
times, and their texts hide it: openai says "Connection error." for all of them. Only the standard library's
exceptions are recognised by type; wrappers of time-outs and proxies are recognised by the name of their class,
which urllib3, requests and httpx share, so that nothing of a client library is needed here.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from connectivity_operator.reasons import Reason

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL}

_CERTIFICATE = {
    9: Reason.CERTIFICATE_NOT_YET_VALID,  # X509_V_ERR_CERT_NOT_YET_VALID
    10: Reason.CERTIFICATE_EXPIRED,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: Reason.CERTIFICATE_NAME_MISMATCH,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: Reason.CERTIFICATE_NAME_MISMATCH,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"""OpenSSL's verification codes (x509_vfy.h); every other one means that the chain leads to nobody we trust."""

_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
"""OpenSSL's ways to say that the peer answered something that is no TLS record."""

_CONNECT_TIMEOUTS = {"ConnectTimeout", "ConnectTimeoutError"}
_DISCONNECTED = {"RemoteProtocolError", "RemoteDisconnected", "ProtocolError", "ChunkedEncodingError", "IncompleteRead"}
_BEFORE_THE_PROXY = {
    Reason.CONNECTION_REFUSED,
    Reason.NAME_NOT_RESOLVED,
    Reason.RESOLVER_UNAVAILABLE,
    Reason.NETWORK_UNREACHABLE,
}
_OF_THE_PROXY = {Reason.PROXY_UNREACHABLE, Reason.PROXY_AUTHENTICATION_REQUIRED, Reason.PROXY_REFUSED}


def network_reason(error: BaseException, *, proxied: bool = False) -> Reason:
    """The reason behind a failed request that got no answer.

    ``proxied``: the connection goes to a proxy first, so a refused or unresolved one is the proxy's.
    `RequestTimeout` means that the connection stood; `ServiceUnavailable` that nothing is known.
    """
    chain = list(_chain(error))
    for reason in (_proxy(chain), _certificate_or_tls(chain), _time_out(chain), _socket(chain)):
        if reason is not None:
            return Reason.PROXY_UNREACHABLE if proxied and reason in _BEFORE_THE_PROXY else reason
    if any(type(e).__name__ in _DISCONNECTED for e in chain):
        return Reason.CONNECTION_RESET
    return Reason.SERVICE_UNAVAILABLE


def proxy_evidence(reason: Reason, proxy: str | None) -> dict[str, str]:
    """``host`` and ``port`` of the proxy if ``reason`` is about the way to it or its answer; otherwise nothing."""
    if proxy is None or reason not in _OF_THE_PROXY:
        return {}
    url = urlsplit(proxy)
    return {"host": url.hostname or "", "port": str(url.port or (443 if url.scheme == "https" else 80))}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and everything that it says caused it, the nearest first."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        # urllib3 keeps what it wraps in `args` alone; anyio groups what failed at each address of a name.
        inner = one.exceptions if isinstance(one, BaseExceptionGroup) else one.args
        waiting += [one.__context__, one.__cause__, *reversed(inner)]


def _proxy(chain: list[BaseException]) -> Reason | None:
    at = next((i for i, e in enumerate(chain) if type(e).__name__ == "ProxyError"), None)
    if at is None:
        return None
    # The proxy's answer to CONNECT is only in texts: "407 Proxy Authentication Required" (httpx),
    # "Tunnel connection failed: 407 Proxy Authentication Required" (http.client).
    answers = (re.search(r"(?:^|failed: )([45]\d\d)\b", str(arg)) for e in chain[at:] for arg in e.args)
    status = next((found.group(1) for found in answers if found), None)
    if status is None:
        return Reason.PROXY_UNREACHABLE
    return Reason.PROXY_AUTHENTICATION_REQUIRED if status == "407" else Reason.PROXY_REFUSED


def _certificate_or_tls(chain: list[BaseException]) -> Reason | None:
    for error in chain:
        if isinstance(error, ssl.SSLCertVerificationError):
            return _CERTIFICATE.get(error.verify_code, Reason.CERTIFICATE_UNTRUSTED)
        # Wants of a non-blocking handshake and a peer's EOF are SSLErrors too; the chain says more about those.
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
            if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                return Reason.CONNECTION_RESET
            return Reason.TLS_NOT_SPOKEN if error.reason in _NOT_TLS else Reason.TLS_HANDSHAKE_FAILED
    return None


def _time_out(chain: list[BaseException]) -> Reason | None:
    if any(type(e).__name__ in _CONNECT_TIMEOUTS or "handshake" in str(e) for e in chain):
        return Reason.CONNECTION_TIMEOUT
    if any(isinstance(e, OSError) and e.errno == errno.ETIMEDOUT for e in chain):  # the kernel gave up connecting
        return Reason.CONNECTION_TIMEOUT
    if any(isinstance(e, TimeoutError) or type(e).__name__ == "PoolTimeout" for e in chain):
        return Reason.REQUEST_TIMEOUT
    return None


def _socket(chain: list[BaseException]) -> Reason | None:
    for error in chain:
        match error:
            case socket.gaierror():
                temporary = error.errno == socket.EAI_AGAIN  # no resolver answered, as opposed to "no such name"
                return Reason.RESOLVER_UNAVAILABLE if temporary else Reason.NAME_NOT_RESOLVED
            case ConnectionRefusedError():
                return Reason.CONNECTION_REFUSED
            case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
                return Reason.CONNECTION_RESET
            case OSError(errno=number) if number in _UNREACHABLE:
                return Reason.NETWORK_UNREACHABLE
    return None
