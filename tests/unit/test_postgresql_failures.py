"""PostgreSQL's refusals become reasons, by SQLSTATE and by what was asked for; and which tables can take our rows."""

from __future__ import annotations

import asyncpg
import pytest

from connectivity_operator.adapters.postgresql.failures import Situation, Stage, explain
from connectivity_operator.adapters.postgresql.table import Column, mismatch
from connectivity_operator.errors import ContentRefused
from connectivity_operator.reasons import Reason, Rung

FACTS = {"host": "demo.example", "port": "5432", "user": "app", "database": "d"}


def refused(state: str, message: str = "server's words", **fields: str) -> asyncpg.PostgresError:
    """An error as asyncpg makes it of the fields of an ErrorResponse."""
    return asyncpg.PostgresError.new({"C": state, "M": message, **fields})


def reason(error: Exception, stage: Stage = Stage.INSERT, *, iam: bool = True) -> Reason:
    return explain(error, Situation(stage, iam, 10.0, FACTS)).reason


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("53100", Reason.STORAGE_FULL),
        ("2200H", Reason.IDENTIFIERS_EXHAUSTED),
        ("25006", Reason.READ_ONLY_DATABASE),
        ("57P01", Reason.DATABASE_STARTING),
        ("57P03", Reason.DATABASE_STARTING),
        ("53300", Reason.TOO_MANY_CONNECTIONS),
        ("57014", Reason.REQUEST_TIMEOUT),
        ("42501", Reason.INSERT_DENIED),
        ("42P01", Reason.TABLE_MISMATCH),
        ("23502", Reason.TABLE_MISMATCH),
        ("08006", Reason.CONNECTION_RESET),
        ("58030", Reason.SERVICE_UNAVAILABLE),
        ("XX000", Reason.SERVICE_UNAVAILABLE),
        ("ZZZZZ", Reason.SERVICE_UNAVAILABLE),  # a state that asyncpg does not know
    ],
)
def test_each_state_of_a_refused_insert_has_its_reason(state: str, expected: Reason) -> None:
    """None of these blames the content."""
    error = explain(refused(state), Situation(Stage.INSERT, True, 10.0, FACTS))
    assert error.reason is expected
    assert not isinstance(error, ContentRefused)
    assert error.evidence["sqlstate"] == state


@pytest.mark.parametrize("state", ["22021", "22P05", "22003", "22001", "23505", "23514", "P0001"])
def test_data_exceptions_and_broken_constraints_blame_the_row(state: str) -> None:
    """Whether rightly, a known-good row decides later."""
    error = explain(refused(state), Situation(Stage.INSERT, True, 10.0, FACTS))
    assert isinstance(error, ContentRefused)
    assert error.reason is Reason.ROW_REJECTED


@pytest.mark.parametrize(
    ("state", "text", "iam", "expected"),
    [
        ("28000", 'PAM authentication failed for user "app"', True, Reason.IAM_AUTHENTICATION_FAILED),
        ("28000", "The IAM authentication failed for the role app.", True, Reason.IAM_AUTHENTICATION_FAILED),
        ("28000", 'PAM authentication failed for user "app"', False, Reason.PASSWORD_REJECTED),
        ("28000", "This RDS proxy has no credentials for the role app.", True, Reason.RDS_PROXY_SECRET_MISSING),
        ("28P01", "This RDS proxy has no credentials for the role app.", False, Reason.RDS_PROXY_SECRET_MISSING),
        ("28000", 'role "app" is not permitted to log in', True, Reason.LOGIN_NOT_PERMITTED),
        ("28000", 'role "app" does not exist', True, Reason.LOGIN_NOT_PERMITTED),
        ("28000", 'no pg_hba.conf entry for host "10.0.0.1", user "app"', True, Reason.HOST_REJECTED),
        ("28000", 'pg_hba.conf rejects connection for host "10.0.0.1"', True, Reason.HOST_REJECTED),
        ("28P01", 'password authentication failed for user "app"', True, Reason.IAM_NOT_GRANTED),
        ("28P01", 'password authentication failed for user "app"', False, Reason.PASSWORD_REJECTED),
    ],
)
def test_a_refused_login_is_told_apart_by_its_text(state: str, text: str, iam: bool, expected: Reason) -> None:
    """RDS gives 28000 to many causes."""
    assert reason(refused(state, text), Stage.CONNECT, iam=iam) is expected


def test_the_same_denial_means_another_thing_at_each_stage() -> None:
    """42501 is all that PostgreSQL says."""
    denied = refused("42501", "permission denied")
    assert [reason(denied, stage) for stage in Stage] == [
        Reason.CONNECT_DENIED,
        Reason.INSERT_DENIED,
        Reason.CREATE_TABLE_DENIED,
        Reason.INSERT_DENIED,
    ]


def test_the_sequence_is_told_from_the_table() -> None:
    """Each needs a grant of its own, and the state is the same."""
    error = explain(
        refused("42501", "permission denied for sequence demo_log_id_seq"), Situation(Stage.INSERT, True, 10.0, FACTS)
    )
    assert error.reason is Reason.SEQUENCE_USAGE_DENIED
    assert error.evidence["sequence"] == "demo_log_id_seq"


def test_without_a_schema_to_use_it_is_not_the_right_to_create_that_is_missing() -> None:
    """A schema without USAGE is left out of the search path."""
    assert (
        reason(refused("3F000", "no schema has been selected to create in"), Stage.CREATE) is Reason.SCHEMA_USAGE_DENIED
    )


@pytest.mark.parametrize(
    ("state", "text", "cause"),
    [
        ("42501", 'new row violates row-level security policy for table "demo_log"', "row security"),
        ("42501", "permission denied for table demo_log", None),
        ("53300", 'too many connections for role "app"', "role"),
        ("53300", 'too many connections for database "d"', "database"),
        ("53300", "sorry, too many clients already", None),
    ],
)
def test_causes_that_share_a_reason_are_told_by_the_servers_words(state: str, text: str, cause: str | None) -> None:
    """Each has a remedy of its own."""
    error = explain(refused(state, text), Situation(Stage.INSERT, True, 10.0, FACTS))
    assert error.evidence.get("cause") == cause


def test_a_role_that_takes_tokens_only_is_told_from_a_wrong_password() -> None:
    """PAM refuses the password of a member of rds_iam, whatever it is."""
    situation = Situation(Stage.CONNECT, False, 10.0, FACTS)
    members = explain(refused("28000", 'PAM authentication failed for user "app"'), situation)
    others = explain(refused("28P01", 'password authentication failed for user "app"'), situation)
    assert members.reason is others.reason is Reason.PASSWORD_REJECTED
    assert (members.evidence.get("cause"), others.evidence.get("cause")) == ("rds_iam", None)


@pytest.mark.parametrize("state", ["3D000", "42501", "55000"])
def test_a_database_that_refuses_after_the_login_is_a_matter_of_authorization(state: str) -> None:
    """The token was accepted by then."""
    assert explain(refused(state), Situation(Stage.CONNECT, True, 10.0, FACTS)).rung is Rung.AUTHORIZATION


def test_the_column_that_the_server_blames_is_evidence() -> None:
    """And the server's text, which can hold the row, is not."""
    error = explain(refused("23502", "null value: (secret)", c="tenant"), Situation(Stage.INSERT, True, 10.0, FACTS))
    assert error.evidence["column"] == "tenant"
    assert not any("secret" in value for value in (*error.evidence.values(), str(error)))


@pytest.mark.parametrize(
    ("stage", "expected"), [(Stage.CONNECT, Reason.CONNECTION_TIMEOUT), (Stage.INSERT, Reason.REQUEST_TIMEOUT)]
)
def test_a_timeout_is_of_the_connection_or_of_the_request(stage: Stage, expected: Reason) -> None:
    """A timeout has no text; the stage says which."""
    error = explain(TimeoutError(), Situation(stage, True, 2.5, FACTS))
    assert (error.reason, error.evidence["limit"]) == (expected, "2.5")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionError("unexpected connection_lost() call"), Reason.CONNECTION_RESET),
        (ConnectionError('PostgreSQL server at "h:1" rejected SSL upgrade'), Reason.TLS_REFUSED),
        (ConnectionRefusedError(111, "refused"), Reason.CONNECTION_REFUSED),
        (asyncpg.InterfaceError("connection is closed"), Reason.CONNECTION_RESET),
        (asyncpg.InternalClientError("unexpected message"), Reason.SERVICE_UNAVAILABLE),
    ],
)
def test_what_asyncpg_raises_by_itself(error: Exception, expected: Reason) -> None:
    """Also its own classes become reasons."""
    assert reason(error, Stage.CONNECT) is expected


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────
OURS = [
    Column("r", "id", "integer", True, True),
    Column("r", "timestamp", "timestamp with time zone", False, True),
    Column("r", "kafka_topic", "text", True, False),
    Column("r", "kafka_partition", "integer", True, False),
    Column("r", "kafka_offset", "bigint", True, False),
    Column("r", "message_content", "text", False, False),
    Column("r", "embedding_model", "text", False, False),
    Column("r", "embedding_dimensions", "integer", False, False),
    Column("r", "opensearch_index", "text", False, False),
    Column("r", "opensearch_doc_id", "text", False, False),
    Column("r", "log_level", "text", False, True),
]


def changed(name: str, **changes: object) -> list[Column]:
    return [column._replace(**changes) if column.name == name else column for column in OURS]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "columns",
    [
        OURS,
        OURS[::-1],
        changed("id", type="bigint"),
        changed("kafka_topic", type="character varying"),
        [*OURS, Column("r", "note", "text", False, False)],
        [*OURS, Column("r", "tenant", "text", True, True)],
        [column._replace(kind="p") for column in OURS],
    ],
)
def test_tables_that_hold_whatever_ours_holds_are_good(columns: list[Column]) -> None:
    """Order, wider types and columns that fill themselves do not matter."""
    assert mismatch(columns) is None


@pytest.mark.parametrize(
    ("columns", "column", "words"),
    [
        (OURS[1:], "id", "is missing"),
        (changed("kafka_offset", type="integer"), "kafka_offset", "is integer instead of bigint"),
        (changed("log_level", type="character varying(4)"), "log_level", "is character varying(4) instead of text"),
        (changed("timestamp", filled=False), "timestamp", "has no default"),
        (changed("embedding_model", not_null=True), "embedding_model", "is NOT NULL and not always given"),
        ([*OURS, Column("r", "tenant", "text", True, False)], "tenant", "is NOT NULL and not always given"),
    ],
)
def test_the_first_column_that_does_not_fit_is_named(columns: list[Column], column: str, words: str) -> None:
    """In words that stand in the message."""
    assert mismatch(columns) == (column, f"column {column} {words}")


def test_a_view_is_no_table() -> None:
    """Whatever its columns are."""
    assert mismatch([column._replace(kind="v") for column in OURS]) == ("", "it is no table but a view or the like")
