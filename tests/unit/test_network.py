"""Rungs below every protocol, against sockets of the test's own."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from connectivity_operator import trust
from connectivity_operator.diagnosis import network
from connectivity_operator.diagnosis.ladder import Climb, Step, climb
from connectivity_operator.diagnosis.network import Route
from connectivity_operator.diagnosis.proxy import Proxy
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Result, Rung, Service
from tests.fakes.authority import DAY, Authority
from tests.fakes.peers import HANDSHAKE_FAILURE_ALERT, Behaviour, hang_up, http_proxy, listening, say, wait_for_client


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    """A client's context that trusts the test's authority and no other."""
    return ssl.create_default_context(cafile=str(authority.file))


def route(port: int, host: str = "localhost", proxy: Proxy | None = None) -> Route:
    return Route(Service.OPENAI, host, port, proxy)


async def climbed(*steps: Step) -> Climb:
    return await climb(Service.OPENAI, steps)


def failed(result: Climb) -> tuple[Rung, Reason]:
    assert result.failure is not None
    return result.failure.rung, result.failure.reason


async def shaken(authority: Authority, trusting: ssl.SSLContext, **certificate: object) -> Climb:
    """The climb to a server on localhost with such a certificate."""
    made: dict[str, object] = {"hosts": ["localhost"], **certificate}
    server = authority.server_context(**made)  # type: ignore[arg-type]
    async with listening(wait_for_client, server) as port:
        return await climbed(*network.steps(route(port), trusting))


async def test_a_sound_server_passes_all_rungs_and_leaves_its_facts(
    authority: Authority, trusting: ssl.SSLContext
) -> None:
    """Evidence holds where we went and whose certificate it was."""
    result = await shaken(authority, trusting)
    assert [(o.rung, o.result) for o in result.outcomes] == [
        (Rung.DNS, Result.PASSED),
        (Rung.TCP, Result.PASSED),
        (Rung.TLS, Result.PASSED),
    ]
    assert result.evidence["host"] == "localhost"
    assert result.evidence["address"] == "127.0.0.1"
    assert result.evidence["issuer"] == "Test CA"
    assert result.evidence["names"] == "localhost"


# ── dns ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (socket.EAI_NONAME, Reason.NAME_NOT_RESOLVED),
        (socket.EAI_NODATA, Reason.NAME_NOT_RESOLVED),
        (socket.EAI_AGAIN, Reason.RESOLVER_UNAVAILABLE),
        (socket.EAI_FAIL, Reason.RESOLVER_UNAVAILABLE),
    ],
)
async def test_an_absent_name_and_a_silent_resolver_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: Reason
) -> None:
    """NXDOMAIN is the name's fault, no answer is the resolver's."""

    def refuse(*_: object, **__: object) -> None:
        raise socket.gaierror(code, "resolver's words")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert failed(await climbed(network.dns_step(route(443, "b-1.example")))) == (Rung.DNS, reason)


async def test_a_name_that_dns_cannot_carry_does_not_resolve() -> None:
    """An empty label never reaches a resolver; it is still an answer and no crash."""
    assert failed(await climbed(network.dns_step(route(443, "b-1..example")))) == (Rung.DNS, Reason.NAME_NOT_RESOLVED)


async def test_a_resolver_that_hangs_fails_the_rung_in_time_and_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library cannot be interrupted: later climbs join the lookup that hangs instead of adding threads."""
    asked = []
    answer = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(host: str, *_: object, **__: object) -> Sequence[object]:
        asked.append(host)
        asyncio.run_coroutine_threadsafe(answer.wait(), loop).result()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    step = network.dns_step(route(443, "slow.example"), limit=0.05)
    for _ in range(2):
        assert failed(await climbed(step)) == (Rung.DNS, Reason.RESOLVER_UNAVAILABLE)
    assert asked == ["slow.example"]
    answer.set()
    late = await climbed(network.dns_step(route(443, "slow.example")))
    assert late.evidence["address"] == "127.0.0.1"


# ── tcp ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_lookup_that_finds_no_thread_does_not_spoil_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has a limit of processes; the name must not count as being looked up for ever after."""

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", none)
        with pytest.raises(DependencyError) as error:
            await network.resolve(route(1))
    assert error.value.reason is Reason.RESOLVER_UNAVAILABLE
    assert await network.resolve(route(1))


async def test_a_port_where_nothing_listens_refuses() -> None:
    """Evidence names the address that refused."""
    with socket.socket() as bound:  # bound, not listening: the port stays free of others meanwhile
        bound.bind(("127.0.0.1", 0))
        result = await climbed(network.tcp_step(route(bound.getsockname()[1])))
    assert failed(result) == (Rung.TCP, Reason.CONNECTION_REFUSED)
    assert result.failure is not None
    assert result.failure.evidence["address"] == "127.0.0.1"


async def test_an_address_without_an_answer_is_a_timeout() -> None:
    """A listener whose queue is full drops packets, as a security group does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [await asyncio.open_connection("127.0.0.1", port)]
        result = await climbed(network.tcp_step(route(port, "127.0.0.1"), limit=0.2))
        for _, writer in waiting:
            writer.transport.abort()
    assert failed(result) == (Rung.TCP, Reason.CONNECTION_TIMEOUT)
    assert result.failure is not None
    assert result.failure.evidence["limit"] == "0.2"
    assert result.failure.evidence["address"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECONNREFUSED, Reason.CONNECTION_REFUSED),
        (errno.ECONNRESET, Reason.CONNECTION_RESET),
        (errno.ETIMEDOUT, Reason.CONNECTION_TIMEOUT),
        (errno.ENETUNREACH, Reason.NETWORK_UNREACHABLE),
        (errno.EHOSTUNREACH, Reason.NETWORK_UNREACHABLE),
        (errno.EPERM, Reason.NETWORK_UNREACHABLE),
    ],
)
async def test_the_kernel_says_why_there_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: Reason
) -> None:
    """One reason for each kind of refusal."""

    async def refuse(*_: object) -> None:
        raise OSError(code, "kernel's words")

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    assert failed(await climbed(network.tcp_step(route(443, "192.0.2.1")))) == (Rung.TCP, reason)


async def test_an_unroutable_ipv6_address_does_not_hide_what_the_other_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters without IPv6 still get AAAA records; the IPv4 address's answer is the one that helps."""

    async def refuse(address: str, _: int) -> None:
        raise OSError(errno.ENETUNREACH if ":" in address else errno.ECONNREFUSED, "kernel's words")

    async def both(_: Route) -> tuple[str, ...]:
        return ("2001:db8::1", "192.0.2.1")

    monkeypatch.setattr(asyncio, "open_connection", refuse)
    monkeypatch.setattr(network, "resolve", both)
    result = await climbed(network.tcp_step(route(443)))
    assert failed(result) == (Rung.TCP, Reason.CONNECTION_REFUSED)
    assert result.failure is not None
    assert result.failure.evidence["address"] == "192.0.2.1"


# ── tls ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_certificate_of_another_authority_is_untrusted_and_its_issuer_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    """The issuer's name tells a private authority from a proxy that inspects TLS."""
    other = ssl.create_default_context(cafile=str(Authority(tmp_path, "Other CA").file))
    result = await shaken(authority, other)
    assert failed(result) == (Rung.TLS, Reason.CERTIFICATE_UNTRUSTED)
    assert result.failure is not None
    assert result.failure.evidence["issuer"] == "Test CA"


async def test_an_untrusted_certificate_is_told_with_the_file_that_may_hold_its_authority(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is configured and cannot be used comes first; as soon as it can be, the rung passes."""
    file = tmp_path / "extra.pem"
    monkeypatch.setenv("EXTRA_CA_FILE", str(file))
    result = await shaken(authority, trust.context(file))
    assert failed(result) == (Rung.TLS, Reason.CA_FILE_UNUSABLE)
    assert result.failure is not None
    assert result.failure.evidence["variable"] == "EXTRA_CA_FILE"
    assert result.failure.evidence["detail"] == f"{file} does not exist"
    assert result.failure.evidence["untrusted"].endswith("(signed by Test CA)")
    file.write_bytes(authority.file.read_bytes())
    assert (await shaken(authority, trust.context(file))).warnings == ()


async def test_a_file_that_is_missing_but_not_needed_is_a_warning(authority: Authority, tmp_path: Path) -> None:
    """The connection stands; that less is trusted than was meant is worth knowing all the same."""
    result = await shaken(authority, trust.context(authority.file, tmp_path / "absent.pem"))
    assert result.passed
    [warning] = result.warnings
    assert (warning.reason, warning.rung) == (Reason.CA_FILE_UNUSABLE, Rung.TLS)
    assert warning.evidence["detail"] == f"{tmp_path}/absent.pem does not exist"
    assert "untrusted" not in warning.evidence


async def test_a_certificate_for_another_name_lists_its_names(authority: Authority, trusting: ssl.SSLContext) -> None:
    """So that the right endpoint can be read from the message."""
    result = await shaken(authority, trusting, hosts=["demo.example", "*.demo.example"])
    assert failed(result) == (Rung.TLS, Reason.CERTIFICATE_NAME_MISMATCH)
    assert result.failure is not None
    assert result.failure.evidence["names"] == "demo.example, *.demo.example"


async def test_an_address_that_the_certificate_does_not_name_is_a_name_mismatch(
    authority: Authority, trusting: ssl.SSLContext
) -> None:
    """OpenSSL has a code of its own for addresses."""
    async with listening(wait_for_client, authority.server_context(["localhost"])) as port:
        result = await climbed(network.tls_step(route(port, "127.0.0.1"), trusting))
    assert failed(result) == (Rung.TLS, Reason.CERTIFICATE_NAME_MISMATCH)


@pytest.mark.parametrize(
    ("begins", "ends", "reason"),
    [(-2 * DAY, -DAY, Reason.CERTIFICATE_EXPIRED), (DAY, 2 * DAY, Reason.CERTIFICATE_NOT_YET_VALID)],
)
async def test_a_certificate_out_of_its_time_says_so(
    authority: Authority, trusting: ssl.SSLContext, begins: timedelta, ends: timedelta, reason: Reason
) -> None:
    """With the end of its validity as evidence."""
    result = await shaken(authority, trusting, begins=begins, ends=ends)
    assert failed(result) == (Rung.TLS, reason)
    assert result.failure is not None
    assert result.failure.evidence["expires"].endswith("Z")


@pytest.mark.parametrize(("days", "result"), [(13, Result.WARNED), (15, Result.PASSED)])
async def test_a_certificate_that_ends_within_two_weeks_is_a_warning(
    authority: Authority, trusting: ssl.SSLContext, days: int, result: Result
) -> None:
    """It still works, so nothing fails."""
    climbed_to = await shaken(authority, trusting, ends=days * DAY)
    assert climbed_to.passed
    assert climbed_to.outcomes[-1].result is result
    expected = [Reason.CERTIFICATE_EXPIRES_SOON] if result is Result.WARNED else []
    assert [warning.reason for warning in climbed_to.warnings] == expected


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.TLS_NOT_SPOKEN),
        (wait_for_client, Reason.TLS_NOT_SPOKEN),
        (say(HANDSHAKE_FAILURE_ALERT), Reason.TLS_HANDSHAKE_FAILED),
        (hang_up, Reason.CONNECTION_RESET),
    ],
    ids=["plain text", "silence", "alert", "closed"],
)
async def test_a_port_that_does_not_shake_hands(trusting: ssl.SSLContext, behaviour: Behaviour, reason: Reason) -> None:
    """Other bytes and silence are no TLS; an alert is TLS that refused; a closed connection can be either."""
    async with listening(behaviour) as port:
        result = await climbed(network.tls_step(route(port), trusting, limit=0.3))
    assert failed(result) == (Rung.TLS, reason)


# ── proxy ────────────────────────────────────────────────────────────────────────────────────────────
async def test_tls_is_spoken_to_the_server_through_the_tunnel(authority: Authority, trusting: ssl.SSLContext) -> None:
    """The certificate that counts is the server's, not the proxy's."""
    async with (
        listening(wait_for_client, authority.server_context(["localhost"])) as port,
        listening(http_proxy()) as proxy_port,
    ):
        proxy = Proxy("localhost", proxy_port)
        result = await climbed(*network.steps(route(port, proxy=proxy), trusting))
    assert result.passed
    assert [outcome.evidence.get("port") for outcome in result.outcomes] == [str(proxy_port), None, str(port)]


async def test_a_proxy_may_itself_be_spoken_to_over_tls(authority: Authority, trusting: ssl.SSLContext) -> None:
    """TLS to the proxy, and inside of it TLS to the server."""
    async with (
        listening(wait_for_client, authority.server_context(["localhost"])) as port,
        listening(http_proxy(), authority.server_context(["localhost"])) as proxy_port,
    ):
        proxy = Proxy("localhost", proxy_port, context=trusting)
        result = await climbed(*network.steps(route(port, proxy=proxy), trusting))
    assert result.failure is None


async def test_an_untrusted_proxy_is_told_with_the_file_that_may_hold_its_authority(
    authority: Authority, tmp_path: Path
) -> None:
    """Proxies are what EXTRA_CA_FILE is mostly for."""
    async with listening(http_proxy(), authority.server_context(["localhost"])) as proxy_port:
        proxy = Proxy("localhost", proxy_port, context=trust.context(tmp_path / "absent.pem"))
        result = await climbed(network.tcp_step(route(443, proxy=proxy)))
    assert failed(result) == (Rung.TCP, Reason.PROXY_UNREACHABLE)
    assert result.failure is not None
    assert result.failure.evidence["detail"].endswith(f"cannot be used: {tmp_path}/absent.pem does not exist")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Reason.PROXY_AUTHENTICATION_REQUIRED),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", Reason.PROXY_REFUSED),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", Reason.PROXY_UNREACHABLE),
        (b"", Reason.PROXY_UNREACHABLE),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_fails_the_tcp_rung(answer: bytes, reason: Reason) -> None:
    """Up to the tunnel everything is the proxy's doing."""
    async with listening(http_proxy(answer)) as proxy_port:
        result = await climbed(network.tcp_step(route(443, "api.example", Proxy("localhost", proxy_port))))
    assert failed(result) == (Rung.TCP, reason)
    assert result.failure is not None
    assert result.failure.evidence["port"] == str(proxy_port)


async def test_a_proxy_that_is_not_there_is_unreachable_with_the_cause() -> None:
    """Its name fails the dns rung, its port the tcp rung; both say ProxyUnreachable, for HTTPS_PROXY is the remedy."""
    nameless = route(443, "api.example", Proxy("proxy..example", 3128))
    assert failed(await climbed(network.dns_step(nameless))) == (Rung.DNS, Reason.PROXY_UNREACHABLE)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        closed = route(443, "api.example", Proxy("localhost", bound.getsockname()[1]))
        result = await climbed(network.tcp_step(closed))
    assert failed(result) == (Rung.TCP, Reason.PROXY_UNREACHABLE)
    assert result.failure is not None
    assert result.failure.evidence["detail"] == "it refused the connection"
