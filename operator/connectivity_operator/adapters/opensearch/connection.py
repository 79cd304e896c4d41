"""HTTP to OpenSearch: signed requests over `requests`, for opensearch-py's client and for probes.

The environment decides nothing here: `requests` would let ``REQUESTS_CA_BUNDLE`` replace what is trusted and send
what ``.netrc`` says, so its trust in the environment is off and the proxy is given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import requests
from opensearchpy import RequestsHttpConnection
from requests.auth import AuthBase
from requests_aws4auth import AWS4Auth

from connectivity_operator.adapters.http_answer import Answer
from connectivity_operator.adapters.opensearch.signature import problem

CONNECT_TIMEOUT = 3.05
"""Seconds; slightly more than 3, the first retransmission of a SYN."""


class FrozenCredentials(Protocol):
    """Keys that belong together (`botocore.credentials.ReadOnlyCredentials`)."""

    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def token(self) -> str | None: ...


class Signature(AuthBase):
    """SigV4 by requests-aws4auth, which unlike opensearch-py's own signers leaves content-length unsigned.

    A new `AWS4Auth` for each request: one that refreshes itself keeps the keys in itself, and threads that share it
    at the moment of a refresh sign with the key of one credential and the token of another.
    """

    def __init__(self, *, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self.keys: FrozenCredentials | None = None
        """What requests are signed with from now on; replaced as a whole, from any thread."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        keys = self.keys
        if keys is None:
            raise RuntimeError("a request before its credentials")
        sign = AWS4Auth(keys.access_key, keys.secret_key, self._region, self._service, session_token=keys.token)
        signed: requests.PreparedRequest = sign(request)
        return signed


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach the endpoint, and whom to believe."""

    ca_bundle: Path
    signature: Signature | None
    proxy: str | None

    def prepare(self, session: requests.Session) -> requests.Session:
        session.trust_env = False
        session.verify = str(self.ca_bundle)
        session.auth = self.signature
        session.proxies = {"https": self.proxy, "http": self.proxy} if self.proxy else {}
        return session


class Refused(Exception):
    """An answer that is no success, and what is wrong with our signature if that could be why."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(response.status_code)
        self.answer = Answer.of(response.status_code, response.headers, response.content)
        sent = response.request
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        headers = {name.lower(): str(value) for name, value in sent.headers.items()}
        forbidden = response.status_code == HTTPStatus.FORBIDDEN
        self.problem = problem(sent.url or "", headers, body) if forbidden else None


class Connection(RequestsHttpConnection):
    """opensearch-py's connection over our route.

    Its own `perform_request` drops an answer's headers (``Retry-After``, ``x-aoss-response-hint``), follows redirects
    with a signature that is not for them, and logs whole bodies.
    """

    def __init__(self, *, route: Route, **options: Any) -> None:
        super().__init__(**options)
        route.prepare(self.session)

    def perform_request(  # type: ignore[override]  # the library's own two signatures disagree
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: Any = None,
        allow_redirects: bool | None = False,
        ignore: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], str]:
        response = self.session.request(
            method,
            self.base_url + url + (f"?{urlencode(params)}" if params else ""),
            data=body,
            headers=headers,
            timeout=timeout or self.timeout,
            allow_redirects=bool(allow_redirects),
        )
        if not 200 <= response.status_code < 300 and response.status_code not in ignore:
            raise Refused(response)
        return response.status_code, response.headers, response.content.decode("utf-8", "replace")


def get(route: Route, url: str, *, timeout: tuple[float, float]) -> requests.Response:
    """One signed GET on a connection of its own."""
    with route.prepare(requests.Session()) as session:
        return session.get(url, timeout=timeout, allow_redirects=False)
