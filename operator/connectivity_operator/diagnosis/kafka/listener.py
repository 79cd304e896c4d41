"""The rungs of one broker: name, connection, TLS, login. And what else may listen on a port instead of MSK's IAM."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from connectivity_operator.diagnosis.kafka import msk
from connectivity_operator.diagnosis.kafka.brokers import Endpoint, without_token
from connectivity_operator.diagnosis.ladder import Climb, Notes, Step, climb, login_step
from connectivity_operator.diagnosis.network import Route, dns_step, open_stream, tcp_step, tls_step
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import ClusterMetadata, KafkaConnection, KafkaProber
from connectivity_operator.reasons import Reason, Rung, Service

LOGIN_LIMIT = 8.0
"""Seconds for connecting, TLS and login, and for the list of brokers."""

PLAINTEXT_LIMIT = 2.0
"""Seconds for finding out whether a listener speaks Kafka without TLS."""

API_VERSIONS = 18
CORRELATION_ID = 7

_NO_TLS = frozenset({Reason.TLS_NOT_SPOKEN, Reason.TLS_HANDSHAKE_FAILED, Reason.CONNECTION_RESET})
"""What TLS says of a listener that does not speak it; a Kafka listener closes at our greeting."""


@dataclass(slots=True)
class Ascent:
    """One broker, climbed. The connection is open when the climb passed, and its owner's to close."""

    endpoint: Endpoint
    climb: Climb
    connection: KafkaConnection | None = None
    metadata: ClusterMetadata | None = None


class ListenerCheck:
    """Climbs brokers. ``context`` is None where there is no TLS."""

    def __init__(self, prober: KafkaProber, *, context: ssl.SSLContext | None) -> None:
        self._prober, self._context = prober, context

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """What is climbed of each broker."""
        below = (Rung.DNS, Rung.TCP) if self._context is None else (Rung.DNS, Rung.TCP, Rung.TLS)
        return (*below, Rung.AUTHENTICATION)

    async def climb(self, endpoint: Endpoint, known: Mapping[str, str]) -> Ascent:
        """All rungs of one broker, over fresh connections; never raises but on cancellation."""
        ascent = Ascent(endpoint, Climb(Service.KAFKA, ()))
        route = Route(Service.KAFKA, *endpoint)
        steps = [dns_step(route), tcp_step(route)]
        if self._context is not None:
            steps.append(_tls_step(route, self._context))
        steps.append(login_step(Service.KAFKA, lambda notes: self._log_in(ascent, notes), LOGIN_LIMIT))
        ascent.climb = await climb(Service.KAFKA, steps, known=known)
        if not ascent.climb.passed and ascent.connection is not None:
            await ascent.connection.close()
            ascent.connection = None
        return ascent

    async def _log_in(self, ascent: Ascent, notes: Notes) -> None:
        """The login, and the first question, which every principal may ask: which brokers are there?"""
        try:
            ascent.connection = await self._prober.connect(*ascent.endpoint)
            ascent.metadata = await ascent.connection.metadata([])
        except DependencyError as error:
            if error.service is Service.IDENTITY:
                raise without_token(error) from error
            if error.reason is Reason.CLUSTER_ACCESS_DENIED:
                raise _narrowed(error, ascent.endpoint, signed_for=notes.evidence.get("region")) from error
            raise


def _narrowed(denial: DependencyError, endpoint: Endpoint, *, signed_for: str | None) -> DependencyError:
    """MSK denies a login with the same words whatever the cause; one signed for another region can be told here."""
    region = msk.region_of(endpoint.host)
    if region is None or region == signed_for:
        return DependencyError(Service.KAFKA, denial.reason, evidence=denial.evidence)
    detail = f"logins are signed for {signed_for}, the brokers are in {region}"
    evidence = {**denial.evidence, "endpoint_region": region, "variable": "AWS_REGION", "detail": detail}
    return DependencyError(Service.KAFKA, Reason.INVALID_CONFIGURATION, evidence=evidence)


def _tls_step(route: Route, context: ssl.SSLContext) -> Step:
    """TLS; a listener that speaks Kafka but no TLS is told from everything else that speaks none."""
    step = tls_step(route, context)

    async def run(notes: Notes) -> None:
        try:
            await step.run(notes)
        except DependencyError as error:
            if error.reason in _NO_TLS and await speaks_kafka_without_tls(route):
                raise DependencyError(Service.KAFKA, Reason.WRONG_LISTENER, evidence=error.evidence) from error
            raise

    return Step(step.rung, run, step.limit, step.on_timeout)


async def speaks_kafka_without_tls(route: Route) -> bool:
    """Ask for the versions of the protocol, which needs no login: only a Kafka broker answers with our number."""
    header = struct.pack(">hhih", API_VERSIONS, 0, CORRELATION_ID, -1)
    try:
        async with asyncio.timeout(PLAINTEXT_LIMIT):
            reader, writer = await open_stream(route, Notes())
            try:
                writer.write(struct.pack(">i", len(header)) + header)
                _, answered, error = struct.unpack(">iih", await reader.readexactly(10))
            finally:
                writer.transport.abort()
    except (DependencyError, OSError, asyncio.IncompleteReadError):
        return False
    return bool(answered == CORRELATION_ID and error == 0)
