"""The ladder of PostgreSQL on RDS: one section, from the settings to a real insert that is rolled back."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from connectivity_operator import trust
from connectivity_operator.diagnosis import identity as identity_rung
from connectivity_operator.diagnosis import network, rds
from connectivity_operator.diagnosis.ladder import Climb, Notes, Step, climb, login_step
from connectivity_operator.diagnosis.sections import Section, Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import PostgreSQLProbe, PostgreSQLProber
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.settings import Settings

LIMIT = 10.0
"""Seconds for the login, the table and the insert, each."""

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""Asks a server to go on in TLS; it answers with one byte, S or N (PostgreSQL manual, 55.2.10)."""


class PostgreSQLLadder:
    """Implements `sections.ServiceLadder`.

    ``prober`` is None when PostgreSQL is not configured; ``identity`` gives the shared climb of the identity rung;
    ``context`` is by default what the settings trust; ``network_limit`` is in seconds, for each of dns, tcp and tls.
    """

    service = Service.POSTGRESQL

    def __init__(
        self,
        *,
        settings: Settings,
        prober: PostgreSQLProber | None,
        identity: Callable[[], Awaitable[Climb]],
        context: ssl.SSLContext | None = None,
        network_limit: float = network.LIMIT,
    ) -> None:
        self._settings = settings
        self._network_limit = network_limit
        self._prober = prober
        self._identity = identity
        self._context = context or trust.context(settings.extra_ca_file, settings.postgres_ca_file)
        self._route = network.Route(Service.POSTGRESQL, settings.postgres_host or "", settings.postgres_port)
        self._endpoint = rds.parse(self._route.host)

    def stages(self, target: Target) -> Sequence[Sequence[Section]]:
        """One section for all: a row needs nothing of the target."""
        rungs = tuple(step.rung for step in self._steps(_Attempt(None)))
        return [[Section(("postgresql", "insert"), rungs, self._climb)]]

    async def _climb(self) -> Climb:
        attempt = _Attempt(self._prober)
        try:
            return await climb(Service.POSTGRESQL, self._steps(attempt), known=self._facts())
        finally:
            await attempt.close()

    def _steps(self, attempt: _Attempt) -> list[Step]:
        route, limit = self._route, self._network_limit
        iam = [identity_rung.step(self._identity)] if self._settings.postgresql_use_iam_auth else []
        return [
            Step(Rung.CONFIGURATION, self._check_configuration, limit=1.0),
            *iam,
            network.dns_step(route, limit=limit),
            network.tcp_step(route, limit=limit),
            network.tls_step(route, self._context, opened=partial(_ready_for_tls, route), limit=limit),
            login_step(Service.POSTGRESQL, partial(self._log_in, attempt), LIMIT),
            Step(Rung.AUTHORIZATION, attempt.check_table, LIMIT, Reason.REQUEST_TIMEOUT),
            Step(Rung.OPERATION, attempt.insert, LIMIT, Reason.REQUEST_TIMEOUT),
        ]

    def _facts(self) -> dict[str, str]:
        settings = self._settings
        return {
            **self._route.evidence(),
            "database": settings.postgres_db or "",
            "user": settings.postgres_user or "",
            "region": settings.aws_region or (self._endpoint.region if self._endpoint else ""),
            # RDS has one text for every refused token. That the name is RDS's own, and its region ours, narrows it.
            "endpoint_region": self._endpoint.region if self._endpoint else "",
        }

    async def _check_configuration(self, notes: Notes) -> None:
        if problem := configuration_problem(self._settings, self._endpoint):
            raise problem
        if not self._settings.postgresql_use_iam_auth:
            notes.warn(Reason.PASSWORD_IN_USE)

    async def _log_in(self, attempt: _Attempt, notes: Notes) -> None:
        if self._settings.postgresql_use_iam_auth:
            notes.add(dbuser_arn=self._dbuser_arn(notes))
        await attempt.log_in()

    def _dbuser_arn(self, notes: Notes) -> str:
        settings, endpoint = self._settings, self._endpoint
        return rds.dbuser_arn(
            partition=notes.evidence.get("partition", "aws"),
            region=notes.evidence["region"] or "<region>",
            account=notes.evidence.get("account", "<account>"),
            resource_id=settings.postgres_resource_id or (endpoint.resource_id if endpoint else rds.INSTANCE_ID),
            user=settings.postgres_user or "",
        )


def configuration_problem(settings: Settings, endpoint: rds.Endpoint | None) -> DependencyError | None:
    """What is missing, or cannot be right, before anything is tried."""
    needed = {
        "POSTGRES_HOST": settings.postgres_host,
        "POSTGRES_DB": settings.postgres_db,
        "POSTGRES_USER": settings.postgres_user,
    }
    if not settings.postgresql_use_iam_auth:
        password = settings.postgres_password
        needed["POSTGRES_PASSWORD"] = password.get_secret_value() if password else None
    if missing := [variable for variable, value in needed.items() if not value]:
        return _problem(Reason.NOT_CONFIGURED, variable=", ".join(missing))
    elsewhere = endpoint and settings.aws_region and endpoint.region != settings.aws_region
    if endpoint and elsewhere and settings.postgresql_use_iam_auth:
        detail = f"the database is in {endpoint.region}, tokens are signed for {settings.aws_region}"
        return _problem(Reason.INVALID_CONFIGURATION, variable="AWS_REGION", detail=detail)
    return None


def _problem(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.POSTGRESQL, reason, evidence=evidence)


class _Attempt:
    """One probe's connection on its way from rung to rung."""

    def __init__(self, prober: PostgreSQLProber | None) -> None:
        self._prober = prober
        self._probe: PostgreSQLProbe | None = None
        self._refusal: DependencyError | None = None

    async def log_in(self) -> None:
        """Passes when the login was accepted, even if the database then refused it: that is the next rung's."""
        if self._prober is None:
            raise _problem(Reason.NOT_CONFIGURED, variable="POSTGRES_HOST")
        try:
            self._probe = await self._prober.connect()
        except DependencyError as refusal:
            if refusal.rung is not Rung.AUTHORIZATION:
                raise
            self._refusal = refusal

    async def check_table(self, _: Notes) -> None:
        if self._refusal:
            raise self._refusal
        if self._probe:
            await self._probe.check_table()

    async def insert(self, _: Notes) -> None:
        if self._probe:
            await self._probe.insert()

    async def close(self) -> None:
        if self._probe:
            await self._probe.close()


async def _ready_for_tls(route: network.Route, notes: Notes) -> network.Stream:
    """A stream to a server that has agreed to go on in TLS."""
    reader, writer = await network.open_stream(route, notes)
    try:
        writer.write(_SSL_REQUEST)
        await writer.drain()
        answer = await reader.read(1)
    except BaseException:
        writer.transport.abort()
        raise
    if answer != b"S":
        writer.transport.abort()
        raise _no_tls(route, answer)
    return reader, writer


def _no_tls(route: network.Route, answer: bytes) -> DependencyError:
    if answer == b"N":
        return DependencyError(Service.POSTGRESQL, Reason.TLS_REFUSED, evidence=route.evidence())
    if not answer:
        return route.not_secured(Reason.CONNECTION_RESET, "in answer to the request for TLS")
    return route.not_secured(Reason.TLS_NOT_SPOKEN, "it does not speak PostgreSQL's protocol")
