"""Faults of RDS for PostgreSQL: its door, the role's rights, the server's state, the operator's settings."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from functools import partial

from lab import certificates, parts, paths, processes, runner, world
from lab.faults import packets, postgresql_table, rds_proxy
from lab.faults.fault import Fault
from lab.faults.permissions import denial
from lab.faults.postgresql_table import sql_fault
from lab.iam import control as iam
from lab.iam.defaults import DB_CONNECT_RESOURCE
from lab.part import NotReady
from lab.postgresql import configuration, control, layout
from lab.postgresql.control import psql
from lab.waiting import until_listening, until_ready

USER, DATABASE = world.DB_USER, world.DB_NAME


# ── the door ─────────────────────────────────────────────────────────────────────────────────────────
def _policy(policy: dict[str, object] | None) -> None:
    iam.patch_state({"roles": {world.ROLE_NAME: {"policies": {"postgresql": policy}}}})


def _allowing(resource: str) -> dict[str, object]:
    statement = {"Sid": "Connect", "Effect": "Allow", "Action": "rds-db:connect", "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


_OWN = _allowing(f"{DB_CONNECT_RESOURCE}/{USER}")
_OTHER = _allowing(f"{DB_CONNECT_RESOURCE.rpartition(':')[0]}:db-OFANOTHERINSTANCE0000000000/{USER}")


def _hba(line: str) -> None:
    """`pg_hba.conf` with a line before the lab's own; an empty one: as the lab made it."""
    (layout.DATA / "pg_hba.conf").write_text(line + configuration.pg_hba_conf())
    control.reload_configuration()


def _stand_behind_proxy() -> None:
    chain, key = certificates.issue("rds-proxy", ca="rds-ca", hosts=[world.POSTGRESQL[0]])
    processes.spawn("rds-proxy", [sys.executable, "-m", "lab.faults.rds_proxy", str(chain), str(key)], cwd=paths.ROOT)
    until_listening(*rds_proxy.ADDRESS)
    packets.redirect(_PROXY, world.POSTGRESQL[1], 5432, to=rds_proxy.ADDRESS)


_PROXY = "postgresql-proxy-without-secret"

_DOOR = (
    Fault(
        _PROXY,
        "put an RDS Proxy (emulated) before the database that has no Secret for the user",
        _stand_behind_proxy,
        partial(packets.clear, _PROXY),
    ),
    Fault(
        "postgresql-tls-off",
        "turn TLS off in the server (ssl = off)",
        partial(control.configure, ssl="off"),
        partial(control.configure, ssl=None),
    ),
    Fault(
        "postgresql-connect-policy-missing",
        "take the policy with rds-db:connect off the role",
        partial(_policy, None),
        partial(_policy, _OWN),
    ),
    Fault(
        "postgresql-connect-policy-other-instance",
        "allow rds-db:connect on another instance's resource id only",
        partial(_policy, _OTHER),
        partial(_policy, _OWN),
    ),
    denial("postgresql-connect-denied", "deny rds-db:connect in the role's policy", "rds-db:connect"),
    sql_fault("rds-iam-not-granted", "revoke rds_iam", f"REVOKE rds_iam FROM {USER};", f"GRANT rds_iam TO {USER};"),
    sql_fault(
        "role-absent",
        "rename the database role",
        f"SELECT 'ALTER ROLE {USER} RENAME TO {USER}_away' WHERE to_regrole('{USER}') IS NOT NULL \\gexec",
        f"SELECT 'ALTER ROLE {USER}_away RENAME TO {USER}' WHERE to_regrole('{USER}_away') IS NOT NULL \\gexec",
    ),
    sql_fault(
        "login-not-permitted", "alter the role to NOLOGIN", f"ALTER ROLE {USER} NOLOGIN;", f"ALTER ROLE {USER} LOGIN;"
    ),
    Fault(
        "postgresql-host-rejected",
        "let pg_hba.conf reject the user",
        partial(_hba, f"hostssl all {USER} 0.0.0.0/0 reject\n"),
        partial(_hba, ""),
    ),
)


# ── the database ─────────────────────────────────────────────────────────────────────────────────────
_AWAY = f"{DATABASE}_away"
_LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}';"


def _rename_database(old: str, new: str) -> None:
    """Nobody may be in a database that is renamed."""
    if psql(f"SELECT count(*) FROM pg_database WHERE datname = '{old}';", database="postgres") == "0":
        return
    psql(f"ALTER DATABASE {old} ALLOW_CONNECTIONS false;", database="postgres")
    psql(_LEAVE.format(old), database="postgres")
    psql(f"ALTER DATABASE {old} RENAME TO {new}; ALTER DATABASE {new} ALLOW_CONNECTIONS true;", database="postgres")


def _database(name: str, summary: str, on: str, off: str) -> Fault:
    return sql_fault(name, summary, on, off, database="postgres")


_DATABASE = (
    Fault(
        "postgresql-database-absent",
        "rename the database",
        partial(_rename_database, DATABASE, _AWAY),
        partial(_rename_database, _AWAY, DATABASE),
    ),
    _database(
        "connect-revoked",
        "revoke CONNECT on the database",
        f"REVOKE CONNECT ON DATABASE {DATABASE} FROM {USER};",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {USER};",
    ),
    _database(
        "connections-not-allowed",
        "alter the database to ALLOW_CONNECTIONS false",
        f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false;",
        f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true;",
    ),
    _database(
        "role-connection-limit",
        "set the role's connection limit to 0",
        f"ALTER ROLE {USER} CONNECTION LIMIT 0;",
        f"ALTER ROLE {USER} CONNECTION LIMIT -1;",
    ),
    _database(
        "database-connection-limit",
        "set the database's connection limit to 0",
        f"ALTER DATABASE {DATABASE} CONNECTION LIMIT 0;",
        f"ALTER DATABASE {DATABASE} CONNECTION LIMIT -1;",
    ),
    _database(
        "role-read-only",
        "set default_transaction_read_only for the role",
        f"ALTER ROLE {USER} SET default_transaction_read_only TO on;",
        f"ALTER ROLE {USER} RESET default_transaction_read_only;",
    ),
    _database(
        "statement-timeout",
        "set a statement_timeout of 1 ms for the role",
        f"ALTER ROLE {USER} SET statement_timeout TO 1;",
        f"ALTER ROLE {USER} RESET statement_timeout;",
    ),
)


# ── the server's role ────────────────────────────────────────────────────────────────────────────────
_STANDBY = layout.DATA / "standby.signal"
_OVERRIDES = layout.DATA / "postgresql.auto.conf"


def _become_standby() -> None:
    """What a replica is, or the former writer after a failover: it follows, and takes no writes."""
    if not _STANDBY.exists():
        _restart(_STANDBY.touch)


def _become_closed_standby() -> None:
    """A standby that is still catching up lets nobody in (57P03)."""
    if not _STANDBY.exists():
        psql("ALTER SYSTEM SET hot_standby TO off;", database="postgres")
        _restart(_STANDBY.touch)


def _become_primary() -> None:
    if _STANDBY.exists():
        _restart(_leave_recovery)
        runner.until_ready(parts.load("postgresql"))


def _leave_recovery() -> None:
    _STANDBY.unlink()
    kept = [line for line in _OVERRIDES.read_text().splitlines() if not line.startswith("hot_standby")]
    _OVERRIDES.write_text("".join(f"{line}\n" for line in kept))


def _restart(between: Callable[[], None]) -> None:
    """Without waiting until it serves: a closed standby never does."""
    runner.stop("postgresql")
    between()
    parts.load("postgresql").start()
    until_ready(_check_listening, limit=30)


def _check_listening() -> None:
    try:
        socket.create_connection((world.POSTGRESQL[1], 5432), timeout=2).close()
    except OSError as error:
        raise NotReady(f"PostgreSQL does not listen yet: {error}") from error


_SERVER = (
    Fault("postgresql-replica", "restart the server as a standby", _become_standby, _become_primary),
    Fault(
        "postgresql-starting",
        "restart the server as a standby that lets nobody in",
        _become_closed_standby,
        _become_primary,
    ),
)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
def _setting(name: str, summary: str, **environment: str | None) -> Fault:
    return Fault(f"postgresql-{name}", summary, environment=environment)


def _password(name: str, summary: str, user: str, password: str | None) -> Fault:
    return _setting(name, summary, POSTGRESQL_USE_IAM_AUTH="false", POSTGRES_USER=user, POSTGRES_PASSWORD=password)


_SETTINGS = (
    _setting("not-configured", "unset POSTGRES_HOST", POSTGRES_HOST=None),
    _setting(
        "other-region",
        "name an instance of another region",
        POSTGRES_HOST=world.POSTGRESQL[0].replace(world.REGION, "eu-west-1"),
    ),
    _setting("user-unknown", "set POSTGRES_USER to a role that does not exist", POSTGRES_USER="nobody_knows"),
    _setting("database-unknown", "set POSTGRES_DB to a database that does not exist", POSTGRES_DB="connectivity2"),
    _password("password-absent", "turn IAM off and give no password", USER, None),
    _password("password-wrong", "turn IAM off and give a wrong password", world.DB_MASTER, "wrong"),
    _password("password-not-taken", "turn IAM off for a role with rds_iam", USER, control.MASTER_PASSWORD),
    _password(
        "password-in-use", "turn IAM off and give the master's password", world.DB_MASTER, control.MASTER_PASSWORD
    ),
)

FAULTS: tuple[Fault, ...] = (*_DOOR, *_DATABASE, *postgresql_table.FAULTS, *_SERVER, *_SETTINGS)
