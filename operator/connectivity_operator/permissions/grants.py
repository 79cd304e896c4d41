"""What the database's administrator must run: the role and its grants, as for a database that gives PUBLIC nothing."""

from __future__ import annotations

from dataclasses import dataclass

from connectivity_operator.permissions.demand import Demand
from connectivity_operator.settings import Settings
from connectivity_operator.sql import identifier

SCHEMA = "public"
TABLE = "demo_log"
SEQUENCE = "demo_log_id_seq"
"""What SERIAL makes."""


@dataclass(frozen=True, slots=True)
class Sql:
    """One statement, with its semicolon."""

    statement: str
    why: str


def statements(settings: Settings, demand: Demand, table: str) -> tuple[Sql, ...]:
    """In the order to run them in. ``table``: the CREATE TABLE of ``demo_log``."""
    user = identifier(settings.postgres_user or "<database user>")
    database = identifier(settings.postgres_db or "<database>")
    return (
        *_login(user, iam=settings.postgresql_use_iam_auth),
        Sql(f"GRANT CONNECT ON DATABASE {database} TO {user};", "connect to this database"),
        Sql(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {user};", "find the table in its schema"),
        *_table(user, table, create=demand.create),
    )


def _login(user: str, *, iam: bool) -> tuple[Sql, ...]:
    if not iam:
        return (Sql(f"CREATE ROLE {user} LOGIN PASSWORD '<POSTGRES_PASSWORD>';", "log in with the password"),)
    return (
        Sql(f"CREATE ROLE {user} LOGIN;", "log in"),
        Sql(f"GRANT rds_iam TO {user};", "with IAM tokens instead of a password"),
    )


def _table(user: str, table: str, *, create: bool) -> tuple[Sql, ...]:
    if create:
        return (Sql(f"GRANT CREATE ON SCHEMA {SCHEMA} TO {user};", "create the table (as whose owner it may write)"),)
    return (
        Sql(f"{table.strip()};", "the table itself, if it is absent"),
        Sql(f"GRANT INSERT ON {TABLE} TO {user};", "write rows"),
        Sql(f"GRANT USAGE ON SEQUENCE {SEQUENCE} TO {user};", "draw the rows' ids"),
    )
