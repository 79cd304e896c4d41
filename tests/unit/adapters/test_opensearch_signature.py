"""What can be wrong with our own signature, seen from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests
from opensearchpy import RequestsAWSV4SignerAuth
from requests_aws4auth import AWS4Auth

from connectivity_operator.adapters.opensearch.signature import problem

HOST = "x1y2z3a4b5c6d7e8f9g0.eu-west-2.aoss.amazonaws.com"

Signer = Callable[[requests.PreparedRequest], requests.PreparedRequest]


@dataclass(frozen=True)
class Keys:
    """Looks like botocore's credentials."""

    access_key: str = "ASIAEXAMPLE"
    secret_key: str = "secret"
    token: str = "token"

    def get_frozen_credentials(self) -> Keys:
        return self


def signer(service: str = "aoss", region: str = "eu-west-2") -> Signer:
    keys = Keys()
    return AWS4Auth(keys.access_key, keys.secret_key, region, service, session_token=keys.token)


def found(
    sign: Signer | None, *, host: str = HOST, body: bytes | None = b"{}", altered: bytes | None = None
) -> str | None:
    request = requests.Request("POST", f"https://{host}/i/_bulk", data=body).prepare()
    if sign:
        sign(request)
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    sent = request.body if isinstance(request.body, bytes) or request.body is None else request.body.encode()
    return problem(request.url or "", headers, altered or sent)


@pytest.mark.parametrize("body", [b"{}", None])
def test_what_requests_aws4auth_signs_is_sound(body: bytes | None) -> None:
    """With and without a body."""
    assert found(signer(), body=body) is None


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("eu-west-1", found(signer(region="eu-west-1"))),
        ("service es", found(signer(service="es"))),
        ("not signed", found(None)),
        ("alias.example", found(signer(), host="alias.example")),
        ("hash", found(signer(), altered=b"altered on the way")),
        ("content-length", found(RequestsAWSV4SignerAuth(Keys(), "eu-west-2", "aoss"))),
    ],
)
def test_each_fault_is_found_and_named(told: str, fault: str | None) -> None:
    """The server's answer is the same 403 for all of them."""
    assert fault is not None
    assert told in fault


def test_a_domain_may_be_reached_by_another_name() -> None:
    """Custom endpoints of domains sign as they are called."""
    assert found(signer(service="es"), host="search.example") is None
