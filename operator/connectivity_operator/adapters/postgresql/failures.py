"""asyncpg's failures in our words.

SQLSTATEs are PostgreSQL's (appendix A of its manual). Where RDS gives one code to several causes, the text is
looked at; it is English unless somebody set ``lc_messages``. No text of the server is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

import asyncpg

from connectivity_operator.adapters.connection_errors import network_reason
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason, Rung, Service

TRANSLATED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises. TimeoutError is an OSError."""


class Stage(Enum):
    """What was asked for: the same refusal means another thing at each."""

    CONNECT = auto()
    LOOK = auto()
    CREATE = auto()
    INSERT = auto()


class Situation(NamedTuple):
    """What is known while a failure is explained."""

    stage: Stage
    iam: bool
    """The password is an IAM token."""
    limit: float
    """Seconds that were given."""
    facts: Mapping[str, str]
    """``host``, ``port``, ``user``, ``database``."""


_STATES = {
    "53300": Reason.TOO_MANY_CONNECTIONS,
    "57P03": Reason.DATABASE_STARTING,  # cannot connect now
    "57P01": Reason.DATABASE_STARTING,  # shut down by an administrator, as a failover does
    "57P02": Reason.DATABASE_STARTING,  # shut down after a crash
    "25006": Reason.READ_ONLY_DATABASE,
    "53100": Reason.STORAGE_FULL,
    "2200H": Reason.IDENTIFIERS_EXHAUSTED,  # the sequence of id
    "57014": Reason.REQUEST_TIMEOUT,  # cancelled: by us, or by the server's own statement_timeout
    "55P03": Reason.REQUEST_TIMEOUT,  # lock_timeout
    "42P01": Reason.TABLE_MISMATCH,  # gone since it was looked at
    "42703": Reason.TABLE_MISMATCH,  # a column too
    "42804": Reason.TABLE_MISMATCH,  # of another type
    "428C9": Reason.TABLE_MISMATCH,  # GENERATED ALWAYS
    "23502": Reason.TABLE_MISMATCH,  # NOT NULL
}
"""SQLSTATEs that mean the same at every stage."""

_DENIED = {
    Stage.CONNECT: Reason.CONNECT_DENIED,
    Stage.LOOK: Reason.INSERT_DENIED,
    Stage.CREATE: Reason.CREATE_TABLE_DENIED,
    Stage.INSERT: Reason.INSERT_DENIED,
}
"""42501, insufficient privilege."""

_SEQUENCE = re.compile(r"permission denied for sequence (\w+)")
"""Whoever may insert may still not draw an id; the state is the same."""

_DENIED_CAUSES = (("row-level security", "row security"),)
"""Parts of the texts of 42501 -> what else than the table denies an insert."""

_LIMITS = (("for role", "role"), ("for database", "database"))
"""Parts of the texts of 53300 -> whose connection limit it is; none: the server's."""

_CONTENT_CLASSES = ("22", "23", "P0001")
"""Data exceptions, integrity violations and a trigger's own errors blame a value of the row."""

_LOGIN_TEXTS = (
    ("PAM authentication failed", Reason.IAM_AUTHENTICATION_FAILED),
    ("The IAM authentication failed", Reason.IAM_AUTHENTICATION_FAILED),  # RDS Proxy
    ("is not permitted to log in", Reason.LOGIN_NOT_PERMITTED),
    ("does not exist", Reason.LOGIN_NOT_PERMITTED),
    ("pg_hba", Reason.HOST_REJECTED),  # "no pg_hba.conf entry for host …", "pg_hba.conf rejects connection …"
)
"""Parts of the texts of 28000, invalid authorization specification."""

_PROXY_REFUSAL = "RDS proxy has no credentials for the role"
"""RDS user guide, "Troubleshooting for RDS Proxy", which does not tell the SQLSTATE."""


def explain(error: Exception, situation: Situation) -> DependencyError:
    """Any of `TRANSLATED` as an error of PostgreSQL; `ContentRefused` when a value of a row is blamed."""
    match error:
        case asyncpg.PostgresError():
            return _answered(error, situation)
        case asyncpg.InterfaceError() if isinstance(error, ValueError):  # asyncpg cannot encode a value
            return ContentRefused(Service.POSTGRESQL, Reason.ROW_REJECTED, evidence=situation.facts)
        case asyncpg.InterfaceError():  # "connection is closed", and other things that a new connection heals
            return _error(Reason.CONNECTION_RESET, situation)
        case asyncpg.InternalClientError():
            return _error(Reason.SERVICE_UNAVAILABLE, situation, {"detail": "the answer is not PostgreSQL's protocol"})
        case TimeoutError():
            connecting = situation.stage is Stage.CONNECT
            reason = Reason.CONNECTION_TIMEOUT if connecting else Reason.REQUEST_TIMEOUT
            return _error(reason, situation, {"limit": f"{situation.limit:g}"})
        case ConnectionError() if "rejected SSL upgrade" in str(error):
            return _error(Reason.TLS_REFUSED, situation)
        case _:
            reason = network_reason(error)
            # asyncpg's own ConnectionError has no errno: "unexpected connection_lost() call".
            lost = reason is Reason.SERVICE_UNAVAILABLE
            return _error(Reason.CONNECTION_RESET if lost else reason, situation)


def _answered(error: asyncpg.PostgresError, situation: Situation) -> DependencyError:
    """The server refused, with a SQLSTATE."""
    state = str(error.sqlstate or "")
    if situation.stage is Stage.CONNECT and (refused := _login(error, state, situation)):
        return refused
    if state == "42501" and (sequence := _SEQUENCE.search(str(error.args[0]))):
        return _error(Reason.SEQUENCE_USAGE_DENIED, situation, {"sqlstate": state, "sequence": sequence[1]})
    if state == "42501":
        return _error(_DENIED[situation.stage], situation, {**_cause(_DENIED_CAUSES, error), "sqlstate": state})
    if state == "3F000":  # no schema to create in: the search path has none that the user may use
        return _error(Reason.SCHEMA_USAGE_DENIED, situation, {"sqlstate": state})
    if reason := _STATES.get(state):
        return _error(reason, situation, {**_about(error), **_cause(_LIMITS, error), "sqlstate": state})
    if state.startswith("08"):
        return _error(Reason.CONNECTION_RESET, situation, {"sqlstate": state})
    if state.startswith(_CONTENT_CLASSES):
        evidence = {**situation.facts, "sqlstate": state}
        return ContentRefused(Service.POSTGRESQL, Reason.ROW_REJECTED, evidence=evidence)
    return _error(Reason.SERVICE_UNAVAILABLE, situation, {"sqlstate": state})


def _login(error: asyncpg.PostgresError, state: str, situation: Situation) -> DependencyError | None:
    """Refusals of a login and, once that is accepted, of the database: the latter belong to authorization."""
    text = str(error.args[0])
    if _PROXY_REFUSAL in text:
        return _error(Reason.RDS_PROXY_SECRET_MISSING, situation, {"sqlstate": state})
    match state:
        case "28000":
            reason = next((reason for part, reason in _LOGIN_TEXTS if part in text), Reason.LOGIN_NOT_PERMITTED)
            if reason is Reason.IAM_AUTHENTICATION_FAILED and not situation.iam:
                # rds_iam wins over the password of a role
                return _error(Reason.PASSWORD_REJECTED, situation, {"sqlstate": state, "cause": "rds_iam"})
            return _error(reason, situation, {"sqlstate": state})
        case "28P01":
            reason = Reason.IAM_NOT_GRANTED if situation.iam else Reason.PASSWORD_REJECTED
            return _error(reason, situation, {"sqlstate": state})
        case "3D000":
            return _error(Reason.DATABASE_NOT_FOUND, situation, {"sqlstate": state}, rung=Rung.AUTHORIZATION)
        case "42501" | "55000":  # no CONNECT; ALLOW_CONNECTIONS false
            return _error(Reason.CONNECT_DENIED, situation, {"sqlstate": state}, rung=Rung.AUTHORIZATION)
    return None


def _cause(causes: Sequence[tuple[str, str]], error: asyncpg.PostgresError) -> dict[str, str]:
    """Which of a reason's causes the server's text tells of, if it does."""
    text = str(error.args[0]) if error.args else ""
    found = next((cause for part, cause in causes if part in text), None)
    return {"cause": found} if found else {}


def _about(error: Any) -> dict[str, str]:
    """Names that the server blames; identifiers of the schema, no values."""
    column = getattr(error, "column_name", None)
    return {"column": column, "detail": f"column {column} does not take our rows"} if column else {}


def _error(
    reason: Reason, situation: Situation, found: Mapping[str, str] | None = None, *, rung: Rung | None = None
) -> DependencyError:
    return DependencyError(Service.POSTGRESQL, reason, rung=rung, evidence={**situation.facts, **(found or {})})
