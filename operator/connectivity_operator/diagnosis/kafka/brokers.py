"""The brokers as the connection section found them, for the sections of topics and groups.

Every login counts against a broker's quota for new IAM connections (four a second on the smallest), so the
connections of the last climb stay open, and what asks about topics and groups asks through them. Brokers that the
climb could not reach are known with the reason: they are not tried again for every topic.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import KafkaConnection, KafkaProber
from connectivity_operator.reasons import Reason, Rung, Service

T = TypeVar("T")

_DEAD = frozenset({Reason.CONNECTION_RESET, Reason.REQUEST_TIMEOUT})
"""How a request fails on a connection that has died since it was opened."""

_REACHED = frozenset(
    {
        Reason.WRONG_LISTENER,
        Reason.CLUSTER_ACCESS_DENIED,
        Reason.CREDENTIALS_TOO_SHORT,
        Reason.CONNECTION_RATE_EXCEEDED,
    }
)
"""Why a broker that was reached does not let us in."""


class Endpoint(NamedTuple):
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, server: str) -> Endpoint:
        """``host:port``."""
        host, _, port = server.rpartition(":")
        return cls(host, int(port))


class Brokers:
    """Open connections by endpoint. ``bootstrap`` is where to begin when there is none."""

    def __init__(self, prober: KafkaProber, bootstrap: Sequence[Endpoint]) -> None:
        self._prober, self._bootstrap = prober, bootstrap
        self._connections: dict[Endpoint, KafkaConnection] = {}
        self._failures: dict[Endpoint, Failure] = {}
        self._locks: defaultdict[Endpoint, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def renew(
        self, connections: Mapping[Endpoint, KafkaConnection], failures: Mapping[Endpoint, Failure]
    ) -> None:
        """What a new climb of all brokers has found; connections of before are closed."""
        former, self._connections, self._failures = self._connections, dict(connections), dict(failures)
        for connection in former.values():
            await connection.close()

    async def close(self) -> None:
        """Close every connection."""
        await self.renew({}, {})

    async def ask_any(self, question: Callable[[KafkaConnection], Awaitable[T]], *, needed_for: str) -> T:
        """The answer of the first broker that can be reached."""
        endpoints = dict.fromkeys([*self._connections, *self._bootstrap])
        errors: list[DependencyError] = []
        for endpoint in endpoints:
            try:
                return await self.ask(endpoint, question, needed_for=needed_for)
            except DependencyError as error:
                if error.reason is not Reason.BROKER_UNREACHABLE:
                    raise
                errors.append(error)
        raise errors[0]

    async def ask(
        self, endpoint: Endpoint, question: Callable[[KafkaConnection], Awaitable[T]], *, needed_for: str
    ) -> T:
        """The answer of the broker at ``endpoint``. ``needed_for`` says what cannot do without it."""
        if connection := self._connections.get(endpoint):
            try:
                return await question(connection)
            except DependencyError as error:
                if error.reason not in _DEAD:
                    raise
            if self._connections.get(endpoint) is connection:  # and no new climb has replaced it meanwhile
                del self._connections[endpoint]
                await connection.close()
        return await question(await self._reach(endpoint, needed_for))

    async def _reach(self, endpoint: Endpoint, needed_for: str) -> KafkaConnection:
        async with self._locks[endpoint]:
            if connection := self._connections.get(endpoint):
                return connection
            if failure := self._failures.get(endpoint):
                raise out_of_reach(endpoint, failure.reason, failure.evidence, needed_for=needed_for)
            try:
                connection = await self._prober.connect(*endpoint)
            except DependencyError as error:
                if error.service is Service.IDENTITY:
                    raise without_token(error) from error
                raise out_of_reach(endpoint, error.reason, error.evidence, needed_for=needed_for) from error
            self._connections[endpoint] = connection
            return connection


def out_of_reach(
    endpoint: Endpoint, reason: Reason, evidence: Mapping[str, str], *, needed_for: str | None = None
) -> DependencyError:
    """Why a broker cannot be asked: it refuses the login, or it is unreachable and ``detail`` says how.

    ``needed_for``: what cannot do without it, None where that is not the question.
    """
    told = {**evidence, "host": endpoint.host, "port": str(endpoint.port), "broker": str(endpoint)}
    if reason in _REACHED:
        return DependencyError(Service.KAFKA, reason, evidence=told, rung=Rung.AUTHENTICATION)
    told |= {"detail": str(reason)} | ({"topic": needed_for} if needed_for else {})
    return DependencyError(Service.KAFKA, Reason.BROKER_UNREACHABLE, evidence=told)


def without_token(error: DependencyError) -> DependencyError:
    """No login because no token could be made: that is the identity's failure, wherever it shows."""
    return DependencyError(error.service, error.reason, evidence=error.evidence, rung=Rung.IDENTITY)
