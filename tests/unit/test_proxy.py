"""Which servers are reached through a proxy."""

from __future__ import annotations

import ssl

import pytest

from connectivity_operator.diagnosis.proxy import Proxy, proxy_for

CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def chosen(no_proxy: str | None, https_proxy: str | None = "http://proxy.example:3128") -> Proxy | None:
    return proxy_for("api.openai.com", 443, https_proxy=https_proxy, no_proxy=no_proxy, context=CONTEXT)


def test_without_a_proxy_the_way_is_direct() -> None:
    """No setting, no proxy."""
    assert chosen(None, https_proxy=None) is None


@pytest.mark.parametrize("no_proxy", ["*", "openai.com", ".openai.com", "x, API.OpenAI.com", "api.openai.com:443"])
def test_names_of_no_proxy_and_all_below_them_are_reached_directly(no_proxy: str) -> None:
    """As requests, httpx and botocore read the variable."""
    assert chosen(no_proxy) is None


@pytest.mark.parametrize("no_proxy", [None, "", " , ", "ai.com", "notopenai.com", "api.openai.com:8443", "10.0.0.0/8"])
def test_every_other_server_is_reached_through_the_proxy(no_proxy: str | None) -> None:
    """Part of a label is no match."""
    assert chosen(no_proxy) == Proxy("proxy.example", 3128)


def test_user_and_password_of_the_url_become_a_header_that_is_never_shown() -> None:
    """They are percent-encoded in the URL and Basic in the header."""
    proxy = chosen(None, "http://me:p%40ss@proxy.example:3128")
    assert proxy is not None
    assert proxy.authorization == "Basic bWU6cEBzcw=="
    assert "bWU6" not in repr(proxy)


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [("http://proxy", 80, False), ("https://proxy", 443, True), ("https://proxy:8443", 8443, True)],
)
def test_the_scheme_of_the_url_is_how_the_proxy_itself_is_spoken_to(url: str, port: int, tls: bool) -> None:
    """`https://` means TLS to the proxy."""
    proxy = chosen(None, url)
    assert proxy is not None
    assert (proxy.port, proxy.context is not None) == (port, tls)
