"""PostgreSQL's ladder: which rungs it has, what its configuration must hold, and what narrows a refused token."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectivity_operator.diagnosis import rds
from connectivity_operator.diagnosis.catalogue import describe
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.postgresql import PostgreSQLLadder
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from tests.fakes.authority import Authority
from tests.fakes.database import FakeDatabase, tls_server
from tests.fakes.identity import ROLE_ARN, FakeIdentity
from tests.fakes.peers import Behaviour, hang_up, listening, say, wait_for_client

IAM: dict[str, Any] = {"postgres_db": "connectivity", "postgres_user": "app", "aws_region": "eu-west-2"}
FIXED: dict[str, Any] = {**IAM, "postgresql_use_iam_auth": False, "postgres_password": SecretStr("secret")}
INSTANCE = "demo.c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com"


async def climbed(settings: Settings, database: FakeDatabase, context: ssl.SSLContext | None = None) -> Climb:
    """The climb of the ladder's one section."""
    identity = IdentityCheck(FakeIdentity()).climb
    ladder = PostgreSQLLadder(settings=settings, prober=database, identity=identity, context=context, network_limit=0.3)
    [[section]] = ladder.stages(Target())
    result = await section.climb()
    assert section.key == ("postgresql", "insert")
    assert tuple(outcome.rung for outcome in result.outcomes) == section.rungs
    return result


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def reached(authority: Authority, database: FakeDatabase, **settings: Any) -> Climb:
    """The climb to a server on localhost that agrees to TLS."""
    context = ssl.create_default_context(cafile=str(authority.file))
    async with listening(tls_server(authority.server_context(["localhost"]))) as port:
        given: dict[str, Any] = {"postgres_host": "localhost", "postgres_port": port, **(settings or IAM)}
        return await climbed(Settings(**given), database, context)


def failed(result: Climb) -> tuple[Rung, Reason]:
    assert result.failure is not None
    return result.failure.rung, result.failure.reason


async def test_with_iam_all_eight_rungs_are_climbed(authority: Authority) -> None:
    """The connection of the probe is closed, and the policy's resource is known."""
    database = FakeDatabase()
    result = await reached(authority, database)
    assert result.failure is None
    assert [outcome.rung for outcome in result.outcomes] == list(Rung)
    assert database.steps == ["connect", "check_table", "insert", "close"]
    assert result.evidence["principal"] == ROLE_ARN
    assert result.evidence["dbuser_arn"] == ("arn:aws:rds-db:eu-west-2:111122223333:dbuser:<DbiResourceId, db-…>/app")


async def test_with_a_password_there_is_no_identity_rung_and_a_warning(authority: Authority) -> None:
    """It works, but it is a secret that somebody must rotate."""
    result = await reached(authority, FakeDatabase(), **FIXED)
    assert result.passed
    assert Rung.IDENTITY not in [outcome.rung for outcome in result.outcomes]
    assert [warning.reason for warning in result.warnings] == [Reason.PASSWORD_IN_USE]


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({}, "POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER"),
        ({**IAM}, "POSTGRES_HOST"),
        ({**IAM, "postgresql_use_iam_auth": False, "postgres_host": INSTANCE}, "POSTGRES_PASSWORD"),
    ],
)
async def test_what_is_not_set_is_named_and_nothing_is_tried(settings: dict[str, Any], variable: str) -> None:
    """All of it at once."""
    database = FakeDatabase()
    result = await climbed(Settings(**settings), database)
    assert failed(result) == (Rung.CONFIGURATION, Reason.NOT_CONFIGURED)
    assert result.failure is not None
    assert result.failure.evidence["variable"] == variable
    assert {outcome.result for outcome in result.outcomes[1:]} == {Result.SKIPPED}
    assert database.steps == []


async def test_a_token_signed_for_another_region_is_known_to_be_refused() -> None:
    """RDS would say PAM authentication failed; here the cause can be told apart."""
    settings = Settings(**{**IAM, "aws_region": "us-east-1", "postgres_host": INSTANCE})
    result = await climbed(settings, FakeDatabase())
    assert failed(result) == (Rung.CONFIGURATION, Reason.INVALID_CONFIGURATION)
    assert result.failure is not None
    assert result.failure.evidence["variable"] == "AWS_REGION"


async def agree_and_go_on_in_the_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says S to the request for TLS, and something else to the greeting."""
    for answer in (b"S", b"no TLS after all"):
        await reader.read(4096)
        writer.write(answer)
        await writer.drain()
    await reader.read(4096)


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (say(b"N"), Reason.TLS_REFUSED),
        (say(b"HTTP/1.1 400 Bad Request\r\n"), Reason.TLS_NOT_SPOKEN),
        (agree_and_go_on_in_the_clear, Reason.TLS_NOT_SPOKEN),
        (hang_up, Reason.CONNECTION_RESET),
        (wait_for_client, Reason.TLS_NOT_SPOKEN),
    ],
    ids=["refuses", "HTTP", "agrees and does not", "closes", "silence"],
)
async def test_servers_that_do_not_go_on_in_tls(behaviour: Behaviour, reason: Reason) -> None:
    """PostgreSQL's own answer is told apart from that of something else."""
    async with listening(behaviour) as port:
        result = await climbed(Settings(**IAM, postgres_host="localhost", postgres_port=port), FakeDatabase())
    assert failed(result) == (Rung.TLS, reason)


@pytest.mark.parametrize("step", ["connect", "check_table", "insert"])
async def test_each_refusal_fails_its_own_rung_and_the_connection_is_closed(authority: Authority, step: str) -> None:
    """What comes after is skipped."""
    database = FakeDatabase()
    database.failures[step] = DependencyError(Service.POSTGRESQL, Reason.SERVICE_UNAVAILABLE)
    result = await reached(authority, database)
    rungs = {"connect": Rung.AUTHENTICATION, "check_table": Rung.AUTHORIZATION, "insert": Rung.OPERATION}
    assert failed(result) == (rungs[step], Reason.SERVICE_UNAVAILABLE)
    assert database.steps[-1] == ("connect" if step == "connect" else "close")


async def test_a_refusal_by_the_database_leaves_the_login_passed(authority: Authority) -> None:
    """The token was accepted: authentication is no suspect."""
    database = FakeDatabase()
    database.failures["connect"] = DependencyError(
        Service.POSTGRESQL, Reason.DATABASE_NOT_FOUND, rung=Rung.AUTHORIZATION
    )
    result = await reached(authority, database)
    assert failed(result) == (Rung.AUTHORIZATION, Reason.DATABASE_NOT_FOUND)
    results = {outcome.rung: outcome.result for outcome in result.outcomes}
    assert results[Rung.AUTHENTICATION] is Result.PASSED
    assert results[Rung.OPERATION] is Result.SKIPPED


async def test_a_refused_token_for_a_name_that_is_not_rdss_says_so(authority: Authority) -> None:
    """A CNAME cannot work: RDS verifies the token against its own name."""
    database = FakeDatabase()
    database.failures["connect"] = DependencyError(Service.POSTGRESQL, Reason.IAM_AUTHENTICATION_FAILED)
    result = await reached(authority, database)
    assert failed(result) == (Rung.AUTHENTICATION, Reason.IAM_AUTHENTICATION_FAILED)
    assert result.failure is not None
    assert "is an alias" in describe(Service.POSTGRESQL, result.failure).message
    assert result.failure.evidence["dbuser_arn"].endswith("/app")


# ── names ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("host", "region", "kind"),
    [
        (INSTANCE, "eu-west-2", "db-"),
        ("demo.c9d8e7f6a5b4.cn-north-1.rds.amazonaws.com.cn", "cn-north-1", "db-"),
        ("demo.cluster-c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com", "eu-west-2", "cluster-"),
        ("demo.cluster-ro-c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com", "eu-west-2", "cluster-"),
        ("demo.proxy-c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com", "eu-west-2", "prx-"),
        ("ro.endpoint.proxy-c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com", "eu-west-2", "prx-"),
    ],
)
def test_rds_names_tell_region_and_kind(host: str, region: str, kind: str) -> None:
    """The kind decides which id the policy must name."""
    endpoint = rds.parse(host)
    assert endpoint is not None
    assert endpoint.region == region
    assert kind in endpoint.resource_id


@pytest.mark.parametrize(
    "host", ["localhost", "db.example.com", "10.0.0.1", "eu-west-2.rds.amazonaws.com", f"{INSTANCE}.evil.example"]
)
def test_every_other_name_is_not_rdss(host: str) -> None:
    """Aliases, tunnels, databases elsewhere."""
    assert rds.parse(host) is None
