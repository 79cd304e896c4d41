"""Both HTTPS adapters tell the same reason of the same network, whatever their libraries make of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.embeddings import ApiKey, OpenAIEmbedder
from connectivity_operator.adapters.opensearch import OpenSearchIndex
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason
from tests.fakes.authority import DAY, Authority
from tests.fakes.peers import HANDSHAKE_FAILURE_ALERT, Behaviour, hang_up, listening, say, wait_for_client

LIMIT = 2.0
"""Seconds of a whole request."""


async def told(port: int, *, host: str = "localhost", ca: Path | None = None, proxy: str | None = None) -> set[Reason]:
    """The reasons that the adapters give for the server on ``port``; one, if they agree."""
    origin = f"https://{host}:{port}"
    embedder = OpenAIEmbedder(
        base_url=f"{origin}/v1", api_key=ApiKey(value="sk-test"), context=trust.context(ca), timeout=LIMIT, proxy=proxy
    )
    index = OpenSearchIndex(
        endpoint=origin,
        service="es",
        region=None,
        credentials=None,
        ca_bundle=trust.bundle(ca),
        timeout=LIMIT,
        proxy=proxy,
    )
    failures = await asyncio.gather(
        embedder.embed(["hello"], model="m", dimensions=None),
        embedder.probe_key("m"),
        index.describe("i"),
        index.probe_access(),
        return_exceptions=True,
    )
    await embedder.close()
    await index.close()
    assert all(isinstance(failure, DependencyError) for failure in failures), failures
    return {failure.reason for failure in failures if isinstance(failure, DependencyError)}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (hang_up, Reason.CONNECTION_RESET),
        (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Reason.TLS_NOT_SPOKEN),
        (say(HANDSHAKE_FAILURE_ALERT), Reason.TLS_HANDSHAKE_FAILED),
    ],
)
async def test_a_peer_that_speaks_no_tls(behaviour: Behaviour, reason: Reason) -> None:
    """As it behaves towards our greeting."""
    async with listening(behaviour) as port:
        assert await told(port) == {reason}


async def test_a_name_that_nobody_knows() -> None:
    """`.invalid` is reserved for that (RFC 2606)."""
    assert await told(443, host="no-such-host.invalid") <= {Reason.NAME_NOT_RESOLVED, Reason.RESOLVER_UNAVAILABLE}


async def test_a_port_on_which_nothing_listens() -> None:
    """Port 1 is nobody's."""
    assert await told(1) == {Reason.CONNECTION_REFUSED}


@asynccontextmanager
async def secured(tmp_path: Path, behaviour: Behaviour, **certificate: object) -> AsyncIterator[tuple[int, Authority]]:
    """A TLS server on localhost with such a certificate."""
    authority = Authority(tmp_path)
    made: dict[str, object] = {"hosts": ["localhost"], **certificate}
    context: ssl.SSLContext = authority.server_context(**made)  # type: ignore[arg-type]
    async with listening(behaviour, context) as port:
        yield port, authority


async def test_a_server_that_never_answers(tmp_path: Path) -> None:
    """The connection stands, so the request is what took too long."""
    async with secured(tmp_path, wait_for_client) as (port, authority):
        assert await told(port, ca=authority.file) == {Reason.REQUEST_TIMEOUT}


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ({"ends": -DAY / 2}, Reason.CERTIFICATE_EXPIRED),
        ({"begins": DAY}, Reason.CERTIFICATE_NOT_YET_VALID),
        ({"hosts": ["other.example"]}, Reason.CERTIFICATE_NAME_MISMATCH),
    ],
)
async def test_a_certificate_that_is_not_good(tmp_path: Path, certificate: dict[str, object], reason: Reason) -> None:
    """Told by what is wrong with it."""
    async with secured(tmp_path, wait_for_client, **certificate) as (port, authority):
        assert await told(port, ca=authority.file) == {reason}


async def test_a_certificate_of_an_unknown_authority(tmp_path: Path) -> None:
    """Trusted by nobody here."""
    async with secured(tmp_path, wait_for_client) as (port, _):
        assert await told(port) == {Reason.CERTIFICATE_UNTRUSTED}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            Reason.PROXY_AUTHENTICATION_REQUIRED,
        ),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Reason.PROXY_REFUSED),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Reason.PROXY_REFUSED),
    ],
)
async def test_a_proxy_that_does_not_let_us_through(answer: bytes, reason: Reason) -> None:
    """Its answer is not the server's."""
    async with listening(say(answer)) as port:
        assert await told(443, host="behind.example", proxy=f"http://127.0.0.1:{port}") == {reason}


async def test_a_proxy_that_is_not_there() -> None:
    """Not the server's fault."""
    assert await told(443, host="behind.example", proxy="http://127.0.0.1:1") == {Reason.PROXY_UNREACHABLE}
