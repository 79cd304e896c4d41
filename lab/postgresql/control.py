"""Look into the lab's PostgreSQL and change it, as its administrator, past every lock (blocking)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from lab import world
from lab.postgresql import layout

MASTER_PASSWORD = "lab-master-password"
"""Of the master user over TLS. Worthless anywhere else."""


class SqlError(Exception):
    """The server refused the statement; the text is its message."""


def admin_dsn(database: str = world.DB_NAME) -> str:
    """Connection URI of the master user over the unix socket: no password, no TLS, no IAM."""
    return f"postgresql://{world.DB_MASTER}@/{database}?host={quote(str(layout.socket_folder()), safe='')}"


def psql(sql: str, *, database: str = world.DB_NAME) -> str:
    """Run SQL as the master user; rows as lines, columns separated by ``|``. Raises `SqlError`."""
    result = subprocess.run(
        [layout.program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", admin_dsn(database), "-f", "-"],
        input=sql,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if result.returncode:
        raise SqlError(result.stderr.strip())
    return result.stdout.strip()


def configure(**settings: str | None) -> None:
    """ALTER SYSTEM and reload; None goes back to the lab's own value. Some settings need a restart to act."""
    for name, value in settings.items():
        literal = "DEFAULT" if value is None else "'" + value.replace("'", "''") + "'"
        psql(f"ALTER SYSTEM SET {name} TO {literal};", database="postgres")
    reload_configuration()


def reload_configuration() -> None:
    """Read `postgresql.conf`, `pg_hba.conf` and the certificate again; open sessions stay."""
    psql("SELECT pg_reload_conf();", database="postgres")


@contextmanager
def host_rules(*lines: str) -> Iterator[None]:
    """`pg_hba.conf` with these lines before the lab's own, for the duration of a ``with`` block."""
    file = layout.DATA / "pg_hba.conf"
    before = file.read_text()
    file.write_text("\n".join(lines) + "\n" + before)
    reload_configuration()
    try:
        yield
    finally:
        file.write_text(before)
        reload_configuration()


def disconnect_users() -> None:
    """End every session but the administrator's, as a failover does."""
    psql(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> '{world.DB_MASTER}';",
        database="postgres",
    )


def reset() -> None:
    """Back to what `lab up` made: settings, grants, no sessions, no table of the pipeline."""
    psql("ALTER SYSTEM RESET ALL;", database="postgres")
    reload_configuration()
    disconnect_users()
    psql(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;"
        "GRANT USAGE ON SCHEMA public TO PUBLIC;"
    )
    seed()


def seed() -> None:
    """Make database, roles and grants; what is there stays, what is missing is made."""
    psql(_ROLES_AND_DATABASE, database="postgres")
    psql(f"GRANT USAGE, CREATE ON SCHEMA public TO {world.DB_USER};")  # PostgreSQL 15 took CREATE from PUBLIC


_ROLES_AND_DATABASE = f"""
ALTER ROLE {world.DB_MASTER} PASSWORD '{MASTER_PASSWORD}';
SELECT 'CREATE ROLE rds_iam' WHERE to_regrole('rds_iam') IS NULL \\gexec
SELECT 'CREATE ROLE {world.DB_USER}' WHERE to_regrole('{world.DB_USER}') IS NULL \\gexec
ALTER ROLE rds_iam NOLOGIN;
ALTER ROLE {world.DB_USER} LOGIN PASSWORD NULL CONNECTION LIMIT -1;
GRANT rds_iam TO {world.DB_USER};
SELECT 'CREATE DATABASE {world.DB_NAME}'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{world.DB_NAME}') \\gexec
ALTER DATABASE {world.DB_NAME} ALLOW_CONNECTIONS true;
REVOKE CONNECT ON DATABASE {world.DB_NAME} FROM PUBLIC;
GRANT CONNECT ON DATABASE {world.DB_NAME} TO {world.DB_USER};
"""
