"""PostgreSQL's whole ladder against the lab's STS and RDS, with the operator's own environment."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.aws import AwsIdentity
from connectivity_operator.adapters.postgresql import PostgresRowLog, table
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.postgresql import PostgreSQLLadder
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from lab import operator_env, world
from lab.iam import control as iam
from lab.postgresql import control, psql
from tests.fakes.peers import listening, say

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account", "database")]

USER = world.DB_USER


@pytest.fixture
def database(lab: object) -> Iterator[None]:
    """The database as `lab up` made it, before and after."""
    control.reset()
    yield
    control.reset()


@pytest.fixture
def environment(lab: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The operator's variables; AWS's own are the process's, for the SDK reads them by itself."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    variables = operator_env.environment()
    for name, value in variables.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
async def identity(environment: dict[str, str]) -> AsyncIterator[AwsIdentity]:
    settings = Settings.load(environment)
    opened = AwsIdentity(region=settings.aws_region, ca_files=(settings.extra_ca_file,))
    yield opened
    await opened.close()


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    return Settings.load(environment)


async def climbed(settings: Settings, identity: AwsIdentity) -> Climb:
    host, user = settings.postgres_host or "", settings.postgres_user or ""

    async def password() -> str:
        return await identity.rds_token(host, settings.postgres_port, user)

    prober = PostgresRowLog(
        host=host,
        port=settings.postgres_port,
        database=settings.postgres_db or "",
        user=user,
        password=password,
        context=trust.context(settings.postgres_ca_file),
    )
    check = IdentityCheck(identity)
    ladder = PostgreSQLLadder(settings=settings, prober=prober, identity=check.climb)
    [[section]] = ladder.stages(Target())
    return await section.climb()


def failed(result: Climb) -> tuple[Rung, Reason]:
    assert result.failure is not None
    return result.failure.rung, result.failure.reason


async def test_every_rung_is_climbed_and_nothing_is_left_behind(settings: Settings, identity: AwsIdentity) -> None:
    """From the settings to an insert; the table that was absent is absent again."""
    result = await climbed(settings, identity)
    assert result.failure is None
    assert [(outcome.rung, outcome.result) for outcome in result.outcomes] == [(rung, Result.PASSED) for rung in Rung]
    assert result.evidence["issuer"] == "Lab RDS CA"
    assert result.evidence["principal"] == world.ROLE_ARN
    assert psql("SELECT to_regclass('demo_log') IS NULL;") == "t"
    assert psql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}';") == "0"


async def test_a_refused_token_ends_in_a_remedy_that_can_be_pasted(settings: Settings, identity: AwsIdentity) -> None:
    """Action, resource with its real id, and principal."""
    with iam.without("rds-db:connect"):
        result = await climbed(settings, identity)
    assert failed(result) == (Rung.AUTHENTICATION, Reason.IAM_AUTHENTICATION_FAILED)
    assert result.failure is not None
    told = catalogue.describe(Service.POSTGRESQL, result.failure)
    arn = f"arn:aws:rds-db:{world.REGION}:{world.ACCOUNT}:dbuser:{world.DB_RESOURCE_ID}/{USER}"
    assert f"Allow rds-db:connect on {arn} for {world.ROLE_ARN}" in told.remedy


@pytest.mark.parametrize(
    ("change", "settings_change", "expected"),
    [
        (f"REVOKE rds_iam FROM {USER};", {}, (Rung.AUTHENTICATION, Reason.IAM_NOT_GRANTED)),
        ("", {"POSTGRES_DB": "absent"}, (Rung.AUTHORIZATION, Reason.DATABASE_NOT_FOUND)),
        (f"REVOKE CREATE ON SCHEMA public FROM {USER};", {}, (Rung.AUTHORIZATION, Reason.CREATE_TABLE_DENIED)),
        ("", {"POSTGRES_CA_FILE": ""}, (Rung.TLS, Reason.CERTIFICATE_UNTRUSTED)),
        ("", {"POSTGRES_HOST": world.POSTGRESQL[1]}, (Rung.TLS, Reason.CERTIFICATE_NAME_MISMATCH)),
        ("", {"POSTGRES_PORT": "5433"}, (Rung.TCP, Reason.CONNECTION_REFUSED)),
        ("", {"POSTGRES_USER": ""}, (Rung.CONFIGURATION, Reason.NOT_CONFIGURED)),
        ("", {"AWS_REGION": "us-east-1"}, (Rung.CONFIGURATION, Reason.INVALID_CONFIGURATION)),
    ],
)
async def test_the_first_rung_that_fails_is_the_verdict(
    environment: dict[str, str],
    identity: AwsIdentity,
    change: str,
    settings_change: dict[str, str],
    expected: tuple[Rung, Reason],
) -> None:
    """And everything after it is skipped."""
    if change:
        psql(change)
    result = await climbed(Settings.load({**environment, **settings_change}), identity)
    assert failed(result) == expected
    assert {o.result for o in result.outcomes if list(Rung).index(o.rung) > list(Rung).index(expected[0])} <= {
        Result.SKIPPED
    }


async def test_an_insert_that_is_refused_fails_the_operation(settings: Settings, identity: AwsIdentity) -> None:
    """Login and table are good."""
    psql(table.CREATE)
    psql(f"ALTER TABLE demo_log OWNER TO {USER};")
    psql("SELECT setval('demo_log_id_seq', 2147483647);")
    assert failed(await climbed(settings, identity)) == (Rung.OPERATION, Reason.IDENTIFIERS_EXHAUSTED)


@pytest.mark.parametrize(
    ("state", "reason"),
    [("P0001", Reason.ROW_REJECTED), ("XX000", Reason.SERVICE_UNAVAILABLE)],
    ids=["raised by a trigger", "internal error"],
)
async def test_an_error_of_its_own_is_told_by_its_state(
    settings: Settings, identity: AwsIdentity, state: str, reason: Reason
) -> None:
    """Somebody's trigger refuses every row."""
    psql(table.CREATE)
    psql(f"ALTER TABLE demo_log OWNER TO {USER};")
    psql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' "
        f"USING ERRCODE = '{state}'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON demo_log EXECUTE FUNCTION refuse();"
    )
    try:
        result = await climbed(settings, identity)
    finally:
        psql("DROP TABLE demo_log; DROP FUNCTION refuse();")
    assert failed(result) == (Rung.OPERATION, reason)
    assert result.failure is not None
    assert state in catalogue.describe(Service.POSTGRESQL, result.failure).message


async def test_a_server_of_another_protocol_is_told(environment: dict[str, str], identity: AwsIdentity) -> None:
    """A web server answers the request for TLS with an error in its own words."""
    async with listening(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        elsewhere = {"POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(port)}
        result = await climbed(Settings.load({**environment, **elsewhere}), identity)
    assert failed(result) == (Rung.TLS, Reason.TLS_NOT_SPOKEN)


async def test_a_server_with_old_tls_alone_is_told(settings: Settings, identity: AwsIdentity) -> None:
    """The administrator has set an upper limit that no client of today goes down to."""
    control.configure(ssl_min_protocol_version="TLSv1", ssl_max_protocol_version="TLSv1.1")
    try:
        result = await climbed(settings, identity)
    finally:
        control.configure(ssl_min_protocol_version=None, ssl_max_protocol_version=None)
    assert failed(result) == (Rung.TLS, Reason.TLS_HANDSHAKE_FAILED)


async def test_a_role_that_cannot_be_assumed_stops_at_the_identity_rung(
    settings: Settings, identity: AwsIdentity
) -> None:
    """With identity's own reason, and the network is not even tried."""
    trust_nobody: dict[str, Any] = {"roles": {world.ROLE_NAME: {"trust": {"Version": "2012-10-17", "Statement": []}}}}
    with iam.changed(trust_nobody):
        result = await climbed(settings, identity)
    assert failed(result) == (Rung.IDENTITY, Reason.TRUST_POLICY_MISMATCH)
    assert result.failure is not None
    told = catalogue.describe(Service.POSTGRESQL, result.failure)
    assert f'"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{world.OPERATOR_SERVICE_ACCOUNT}"' in told.remedy
    assert world.ROLE_ARN in told.remedy
