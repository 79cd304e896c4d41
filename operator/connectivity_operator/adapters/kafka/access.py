"""How the cluster is reached and logged in to: one value for every client of the process."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from connectivity_operator.adapters.kafka import patches
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service

Token = Callable[[], Awaitable[tuple[str, int]]]
"""Makes a token for a login: (token, when it expires in milliseconds since the epoch)."""


class Access:
    """Bootstrap servers (``host:port``), security protocol, trust and tokens.

    ``context`` is needed for ``SASL_SSL`` and ``SSL``, ``token`` for ``SASL_SSL``. One TLS context for all
    connections: each costs 0.7 MB and 30 ms to make.
    """

    def __init__(
        self,
        *,
        bootstrap_servers: tuple[str, ...],
        security_protocol: str = "SASL_SSL",
        context: ssl.SSLContext | None = None,
        token: Token | None = None,
    ) -> None:
        patches.apply()
        self.bootstrap_servers = bootstrap_servers
        self.security_protocol = security_protocol
        self._context = context
        self._tokens = _Tokens(token) if token else None

    @property
    def logs_in(self) -> bool:
        """Whether a connection begins with a login."""
        return self.security_protocol == "SASL_SSL"

    def connection_options(self) -> dict[str, Any]:
        """Keyword arguments that aiokafka's connections, consumers and producers have in common."""
        options: dict[str, Any] = {"security_protocol": self.security_protocol}
        if self.security_protocol != "PLAINTEXT":
            options["ssl_context"] = self._context
        if self.logs_in:
            options |= {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": self._tokens}
        return options

    def client_options(self) -> dict[str, Any]:
        """The same with the bootstrap servers, for consumers and producers. Raises `NotConfigured` without any."""
        if not self.bootstrap_servers:
            evidence = {"variable": "KAFKA_BOOTSTRAP_SERVERS"}
            raise DependencyError(Service.KAFKA, Reason.NOT_CONFIGURED, evidence=evidence)
        return {"bootstrap_servers": list(self.bootstrap_servers), **self.connection_options()}


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]
    """Hands our tokens to aiokafka, which asks for one at each connection."""

    def __init__(self, make: Token) -> None:
        self._make = make

    async def token(self) -> str:
        try:
            token, _ = await self._make()
        except Exception as error:
            # aiokafka repeats what fails with an error of its own. Any other exception, raised when it
            # reconnects, ends its background tasks for good. `errors.translate` finds the cause again.
            raise KafkaError("no token") from error
        return token
