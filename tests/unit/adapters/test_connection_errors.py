"""The network reason at the bottom of a library's "connection error"."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from connectivity_operator.adapters.connection_errors import network_reason, proxy_evidence
from connectivity_operator.reasons import Reason


class APIConnectionError(Exception):
    """As openai wraps everything."""


class ConnectTimeout(Exception):
    """As httpx and requests name it."""


class ProxyError(Exception):
    """As httpx and urllib3 name it."""


class RemoteProtocolError(Exception):
    """As httpx names a connection that ended instead of an answer."""


def wrapped(*causes: BaseException) -> BaseException:
    """A library's error with ``causes`` below it, the outermost first."""
    error: BaseException = APIConnectionError("Connection error.")
    outermost = error
    for cause in causes:
        error.__cause__ = cause
        error = cause
    return outermost


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), Reason.NAME_NOT_RESOLVED),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), Reason.RESOLVER_UNAVAILABLE),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Reason.CONNECTION_REFUSED),
        (ConnectionResetError(errno.ECONNRESET, "reset"), Reason.CONNECTION_RESET),
        (BrokenPipeError(), Reason.CONNECTION_RESET),
        (OSError(errno.EHOSTUNREACH, "no route"), Reason.NETWORK_UNREACHABLE),
        (OSError(errno.ETIMEDOUT, "kernel gave up"), Reason.CONNECTION_TIMEOUT),
        (TimeoutError(), Reason.REQUEST_TIMEOUT),
        (certificate_error(20), Reason.CERTIFICATE_UNTRUSTED),
        (certificate_error(10), Reason.CERTIFICATE_EXPIRED),
        (certificate_error(9), Reason.CERTIFICATE_NOT_YET_VALID),
        (certificate_error(62), Reason.CERTIFICATE_NAME_MISMATCH),
        (ssl_error("WRONG_VERSION_NUMBER"), Reason.TLS_NOT_SPOKEN),
        (ssl_error("SSLV3_ALERT_HANDSHAKE_FAILURE"), Reason.TLS_HANDSHAKE_FAILED),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Reason.CONNECTION_RESET),
        (RemoteProtocolError("Server disconnected without sending a response."), Reason.CONNECTION_RESET),
        (ValueError("anything else"), Reason.SERVICE_UNAVAILABLE),
    ],
)
def test_the_cause_below_the_wrappers_is_the_reason(cause: BaseException, reason: Reason) -> None:
    """Whatever a library wraps around it."""
    assert network_reason(wrapped(cause)) is reason
    assert network_reason(wrapped(RuntimeError(""), RuntimeError(""), cause)) is reason


def test_a_time_out_while_connecting_is_another_one_than_while_waiting_for_the_answer() -> None:
    """Only the wrapper's name tells: the cause is an empty TimeoutError for both."""
    assert network_reason(wrapped(ConnectTimeout(), TimeoutError())) is Reason.CONNECTION_TIMEOUT
    assert network_reason(wrapped(TimeoutError("_ssl.c:989: The handshake operation timed out"))) is (
        Reason.CONNECTION_TIMEOUT
    )


def test_a_handshake_that_waits_for_bytes_is_no_tls_failure() -> None:
    """Non-blocking TLS raises "want read" as an SSLError; what happened to the socket says more."""
    assert network_reason(wrapped(ConnectionResetError(), ssl.SSLWantReadError())) is Reason.CONNECTION_RESET


def test_of_several_addresses_the_first_failure_counts() -> None:
    """anyio groups what happened at each address of a name."""
    group = ExceptionGroup("attempts", [ConnectionRefusedError(), OSError(errno.ENETUNREACH, "")])
    assert network_reason(wrapped(OSError("All connection attempts failed"), group)) is Reason.CONNECTION_REFUSED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("407 Proxy Authentication Required", Reason.PROXY_AUTHENTICATION_REQUIRED),
        ("Tunnel connection failed: 407 Proxy Authentication Required", Reason.PROXY_AUTHENTICATION_REQUIRED),
        ("403 Forbidden", Reason.PROXY_REFUSED),
        ("Tunnel connection failed: 503 Service Unavailable", Reason.PROXY_REFUSED),
        ("Unable to connect to proxy", Reason.PROXY_UNREACHABLE),
    ],
)
def test_the_proxys_answer_to_connect_is_told_apart(text: str, reason: Reason) -> None:
    """httpx and http.client have it only in their texts."""
    assert network_reason(wrapped(ProxyError(text))) is reason


def test_what_happens_before_the_proxy_is_the_proxys() -> None:
    """With a proxy, the only name that is looked up and the only port that is connected to are its own."""
    refused = wrapped(ConnectionRefusedError())
    assert network_reason(refused, proxied=True) is Reason.PROXY_UNREACHABLE
    assert network_reason(wrapped(certificate_error(20)), proxied=True) is Reason.CERTIFICATE_UNTRUSTED


def test_a_cause_that_is_only_an_argument_is_found() -> None:
    """urllib3's SSLError of a connection that breaks while a large body is sent was never raised itself."""
    hidden = ValueError(ssl.SSLEOFError(8, "EOF occurred in violation of protocol"))
    assert network_reason(wrapped(hidden)) is Reason.CONNECTION_RESET


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Exceptions that are raised again in their own handler can point at themselves."""
    error = ValueError()
    other = KeyError()
    error.__context__, other.__context__ = other, error
    assert network_reason(error) is Reason.SERVICE_UNAVAILABLE


def test_failures_of_the_proxy_are_about_its_address_and_never_about_its_password() -> None:
    """Every other failure is about the server behind it."""
    proxy = "http://me:secret@proxy.example:3128"
    assert proxy_evidence(Reason.PROXY_REFUSED, proxy) == {"host": "proxy.example", "port": "3128"}
    assert proxy_evidence(Reason.CERTIFICATE_UNTRUSTED, proxy) == {}
    assert proxy_evidence(Reason.PROXY_UNREACHABLE, None) == {}
