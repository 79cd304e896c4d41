"""The lab's PostgreSQL takes and refuses logins as RDS does."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import botocore.session
import pytest

from lab import certificates, runner, world
from lab.iam import control as iam
from lab.iam.control import Issued
from lab.postgresql import MASTER_PASSWORD, admin_dsn, control, psql

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account", "database")]

HOST = world.POSTGRESQL[0]


@pytest.fixture
def database(lab: object) -> Iterator[None]:
    """The database as `lab up` made it, before and after."""
    control.reset()
    yield
    control.reset()


def token(who: Issued, *, host: str = HOST, user: str = world.DB_USER, region: str = world.REGION) -> str:
    rds = botocore.session.get_session().create_client(
        "rds",
        region_name=region,
        aws_access_key_id=who.access_key_id,
        aws_secret_access_key=who.secret_access_key,
        aws_session_token=who.session_token,
    )
    made: str = rds.generate_db_auth_token(host, 5432, user)
    return made


async def connect(password: str | None, *, user: str = world.DB_USER, **more: Any) -> asyncpg.Connection:
    trust = ssl.create_default_context(cafile=certificates.authority_file("rds-ca"))
    settings = {"host": HOST, "port": 5432, "database": world.DB_NAME, "ssl": trust, "timeout": 10, **more}
    return await asyncpg.connect(user=user, password=password, **settings)


async def refusal(password: str | None, **more: Any) -> asyncpg.PostgresError:
    """The error that the login must meet."""
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connect(password, **more)
    return refused.value


PAM = f'PAM authentication failed for user "{world.DB_USER}"'


async def test_a_token_logs_in_and_may_make_its_table() -> None:
    """With TLS verified against the RDS authority, and the grants of the README."""
    connection = await connect(token(iam.issue()))
    try:
        await connection.execute("CREATE TABLE demo_log (id SERIAL PRIMARY KEY, message_content TEXT)")
        await connection.execute("INSERT INTO demo_log (message_content) VALUES ($1)", "hello")
        assert await connection.fetchval("SELECT current_user") == world.DB_USER
    finally:
        await connection.close()
    assert psql("SELECT message_content FROM demo_log;") == "hello"


async def test_every_bad_token_gets_the_same_text_and_its_own_reason_in_the_log() -> None:
    """The client cannot tell an expired token from a foreign one: RDS gives one text for all."""
    who = iam.issue()
    good = token(who)
    cases = {
        "not a token": ("X-Amz-Algorithm", "secret"),
        "tampered": ("DBUser is", good.replace(world.DB_USER, "somebody")),
        "wrong secret": ("signature mismatch", token(Issued(**{**who.__dict__, "secret_access_key": "x" * 40}))),
        "wrong host": ("signed for host", token(who, host="db.example.internal")),
        "wrong region": ("wrong credential scope", token(who, region="us-east-1")),
        "expired credentials": ("credentials expired", token(iam.issue(seconds=-1))),
    }
    for case, (reason, password) in cases.items():
        error = await refusal(password)
        assert (case, error.sqlstate, str(error)) == (case, "28000", PAM)
        assert reason in iam.log()[-1]["reason"], case


async def test_a_token_older_than_15_minutes_is_refused() -> None:
    """By AWS's clock, here 16 minutes ahead of ours."""
    old = token(iam.issue())
    iam.patch_state({"faults": {"clock_skew_seconds": 960}})
    assert str(await refusal(old)) == PAM
    assert "signature expired" in iam.log()[-1]["reason"]


async def test_the_permission_is_needed_and_acts_at_once() -> None:
    """rds-db:connect, by resource id and user."""
    password = token(iam.issue())
    with iam.without("rds-db:connect"):
        assert str(await refusal(password)) == PAM
        reason = iam.log()[-1]["reason"]
        assert f"rds-db:connect on arn:aws:rds-db:eu-west-2:111122223333:dbuser:{world.DB_RESOURCE_ID}/" in reason
    await (await connect(password)).close()


async def test_without_rds_iam_the_password_line_answers() -> None:
    """GRANT rds_iam missing: a token is only a wrong password."""
    psql(f"REVOKE rds_iam FROM {world.DB_USER};")
    error = await refusal(token(iam.issue()))
    assert (error.sqlstate, str(error)) == ("28P01", f'password authentication failed for user "{world.DB_USER}"')


async def test_with_rds_iam_a_password_is_worth_nothing() -> None:
    """As on RDS, the token wins over any password of the role."""
    psql(f"ALTER ROLE {world.DB_USER} PASSWORD 'secret';")
    assert str(await refusal("secret")) == PAM


async def test_without_tls_nobody_gets_in() -> None:
    """Not even the master user; the text is that of rds.force_ssl."""
    error = await refusal(MASTER_PASSWORD, user=world.DB_MASTER, ssl=False)
    assert error.sqlstate == "28000"
    assert str(error).startswith("no pg_hba.conf entry for host")
    assert str(error).endswith("no encryption")


async def test_the_master_user_logs_in_by_password() -> None:
    """Over TLS."""
    connection = await connect(MASTER_PASSWORD, user=world.DB_MASTER)
    assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await connection.close()
    assert (await refusal("wrong", user=world.DB_MASTER)).sqlstate == "28P01"


async def test_the_certificate_is_of_the_rds_authority_only() -> None:
    """A client that trusts only the public authorities (or a wrong name) must fail in TLS."""
    public = ssl.create_default_context(cafile=certificates.authority_file("ca"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        await connect(token(iam.issue()), ssl=public)
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        await connect(token(iam.issue()), host=world.POSTGRESQL[1])


async def test_each_lock_of_the_database_has_its_own_state_code() -> None:
    """What PostgreSQL itself refuses once the token is good."""
    password = token(iam.issue())
    absent = await refusal(password, database="absent")
    assert (absent.sqlstate, str(absent)) == ("3D000", 'database "absent" does not exist')
    psql(f"REVOKE CONNECT ON DATABASE {world.DB_NAME} FROM {world.DB_USER};")
    assert (await refusal(password)).sqlstate == "42501"
    control.seed()
    psql(f"ALTER ROLE {world.DB_USER} NOLOGIN;")
    nologin = await refusal(password)
    assert (nologin.sqlstate, str(nologin)) == ("28000", f'role "{world.DB_USER}" is not permitted to log in')
    control.seed()
    psql(f"REVOKE CREATE ON SCHEMA public FROM {world.DB_USER};")
    connection = await connect(password)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE demo_log (id INT)")
    await connection.close()


async def test_hosts_can_be_rejected() -> None:
    """A `reject` line before the lab's own, taken back afterwards."""
    password = token(iam.issue())
    with control.host_rules("hostssl all all 0.0.0.0/0 reject"):
        error = await refusal(password)
        assert error.sqlstate == "28000"
        assert str(error).startswith("pg_hba.conf rejects connection for host")
    await (await connect(password)).close()


async def test_settings_can_be_changed_and_reset() -> None:
    """A read-only database, as a replica after a failover."""
    control.configure(default_transaction_read_only="on")
    connection = await connect(token(iam.issue()))
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await connection.execute("CREATE TABLE demo_log (id INT)")
    await connection.close()
    control.configure(default_transaction_read_only=None)
    assert psql("SHOW default_transaction_read_only;") == "off"


async def test_a_password_reaches_the_verifier_whole() -> None:
    """A line break ends nothing, and length cuts nothing off."""
    password = token(iam.issue())
    assert str(await refusal(f"{password}\n{password}")) == PAM
    assert "control character" in iam.log()[-1]["reason"]
    assert str(await refusal(password + "x" * 20000)) == PAM
    assert "signature mismatch" in iam.log()[-1]["reason"]


async def test_many_logins_at_once_are_all_judged() -> None:
    """Thirty clients, well under a second each."""
    password = token(iam.issue())
    before = time.monotonic()
    connections = await asyncio.gather(*(connect(password) for _ in range(30)))
    assert time.monotonic() - before < 10
    for connection in connections:
        await connection.close()


def test_a_killed_server_comes_back_with_what_was_committed() -> None:
    """Tests that count rows across a crash rely on it."""
    psql("CREATE TABLE kept (n INT);")
    for n in range(20):
        psql(f"INSERT INTO kept VALUES ({n});")
    runner.kill("postgresql")
    runner.start("postgresql")
    assert psql("SELECT count(*) FROM kept;") == "20"


async def test_the_administrator_needs_no_password_on_the_socket() -> None:
    """For tests and faults, past every lock."""
    connection = await asyncpg.connect(admin_dsn())
    assert await connection.fetchval("SELECT current_database()") == world.DB_NAME
    await connection.close()


def test_the_machines_pam_services_are_untouched() -> None:
    """The server has a folder of PAM services of its own, which only it can see."""
    assert not Path("/etc/pam.d/aws-connectivity-test-lab").exists()
