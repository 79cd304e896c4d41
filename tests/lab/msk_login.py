"""Logins at the lab's MSK for one test: a role of its own, so that its policies are nobody else's."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials

from connectivity_operator.adapters.kafka import Access, Prober
from lab import certificates, world
from lab.iam import control, defaults
from lab.iam.control import Issued
from lab.iam.policies import without_action
from lab.kafka.broker import PORTS

BROKERS = tuple(name for name, _ in world.BROKERS.values())
BOOTSTRAP = tuple(f"{name}:{PORTS['IAM']}" for name in BROKERS)


class _Fixed(CredentialProvider):
    def __init__(self, who: Issued) -> None:
        self._credentials = Credentials(who.access_key_id, who.secret_access_key, who.session_token)

    def load(self) -> Credentials:
        return self._credentials


class Role:
    """Has the policies of the operator's role, until a test takes some away."""

    def __init__(self) -> None:
        self.name = f"kafka-test-{secrets.token_hex(4)}"
        self._policies: dict[str, Any] = defaults.operator_policies()
        self._put()

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{world.ACCOUNT}:role/{self.name}"

    @contextmanager
    def without(self, *actions: str) -> Iterator[None]:
        """The role without these actions of ``kafka-cluster``. Brokers keep decisions about a session for a second."""
        for action in actions:
            self._policies = {
                name: without_action(text, f"kafka-cluster:{action}") for name, text in self._policies.items()
            }
        self._put()
        try:
            yield
        finally:
            self._policies = defaults.operator_policies()
            self._put()

    @contextmanager
    def denied(self, action: str, topic: str) -> Iterator[None]:
        """The role with an explicit deny of an action of ``kafka-cluster`` on one topic."""
        arn = world.CLUSTER_ARN.replace(":cluster/", ":topic/") + f"/{topic}"
        statement = {"Effect": "Deny", "Action": f"kafka-cluster:{action}", "Resource": arn}
        self._policies = {**self._policies, "denial": {"Version": "2012-10-17", "Statement": [statement]}}
        self._put()
        try:
            yield
        finally:
            self._policies = {**self._policies, "denial": None}
            self._put()

    def access(
        self,
        *,
        servers: tuple[str, ...] = BOOTSTRAP,
        protocol: str = "SASL_SSL",
        region: str = world.REGION,
        seconds: float = 3600,
    ) -> Access:
        """A new session of the role; ``seconds`` until its credentials end."""
        self._put()  # whoever puts the account back as it was takes the role away
        provider = _Fixed(control.issue(self.name, session=secrets.token_hex(8), seconds=seconds))

        async def token() -> tuple[str, int]:
            made = await asyncio.to_thread(
                MSKAuthTokenProvider.generate_auth_token_from_credentials_provider, region, provider
            )
            return str(made[0]), int(made[1])

        return Access(bootstrap_servers=servers, security_protocol=protocol, context=trust(), token=token)

    def prober(self, **options: Any) -> Prober:
        return Prober(self.access(**options))

    def remove(self) -> None:
        control.patch_state({"roles": {self.name: None}})

    def _put(self) -> None:
        trusted = defaults.trust("operator")
        control.patch_state({"roles": {self.name: {"trust": trusted, "policies": self._policies}}})


def resolve_as(monkeypatch: pytest.MonkeyPatch, names: Mapping[str, str | None]) -> None:
    """For this test some names have another address, or do not exist (None), whatever resolver the machine has."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        address = names.get(host, host)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(address, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificates.authority_file())
