"""What all tests against the running lab share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lab import world
from lab.iam import control


@pytest.fixture(autouse=True)
def lab_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process resolves the lab's names as the operator does, and trusts and proxies nothing by environment."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host  # anyio asks for bytes
        return resolve(world.names().get(name, host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", os.environ.get("USER") or "root")  # set for good by kopf's start otherwise
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def account(lab: object) -> Iterator[None]:
    """The AWS account as `lab up` made it, before and after."""
    control.reset()
    yield
    control.reset()
