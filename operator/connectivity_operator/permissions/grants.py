"""What the database's administrator must run: the role and its grants, as for a database that gives PUBLIC nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectivity_operator.permissions.demand import Demand
from connectivity_operator.settings import Settings

SCHEMA = "public"
TABLE = "demo_log"
SEQUENCE = "demo_log_id_seq"
"""What SERIAL makes."""

_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*|<[a-z ]+>")
# Reserved in PostgreSQL 18 (appendix C of its manual); such a name needs quotes.
_RESERVED = re.compile(
    r"all|analyse|analyze|and|any|array|as|asc|asymmetric|authorization|binary|both|case|cast|check|collate|collation|"
    r"column|concurrently|constraint|create|cross|current_\w+|default|deferrable|desc|distinct|do|else|end|except|false|"
    r"fetch|for|foreign|freeze|from|full|grant|group|having|ilike|in|initially|inner|intersect|into|is|isnull|join|"
    r"lateral|leading|left|like|limit|localtime|localtimestamp|natural|not|notnull|null|offset|on|only|or|order|outer|"
    r"overlaps|placing|primary|references|returning|right|select|session_user|similar|some|symmetric|system_user|table|"
    r"tablesample|then|to|trailing|true|union|unique|user|using|variadic|verbose|when|where|window|with"
)


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


def identifier(name: str) -> str:
    """As SQL wants it: in double quotes unless it is a plain lower-case word."""
    if _SIMPLE.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


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
