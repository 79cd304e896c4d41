"""The row log against the lab's RDS: what it writes, and what each refusal of the server becomes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.aws import Frozen, tokens
from connectivity_operator.adapters.postgresql import PostgresRowLog
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.ports import Row
from connectivity_operator.reasons import Reason, Rung, Service
from lab import certificates, world
from lab.iam import control as iam
from lab.postgresql import MASTER_PASSWORD, admin_dsn, control, psql
from tests.fakes.peers import Behaviour, hang_up, listening, say, wait_for_client
from tests.fakes.relay import Relay

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account", "database")]

HOST, ADDRESS = world.POSTGRESQL
USER = world.DB_USER
ROW = Row("orders", 1, 9_000_000_000, "text", "text-embedding-3-small", 1536, "demo", "doc", "INFO")


@pytest.fixture
def database(lab: object) -> Iterator[None]:
    """The database as `lab up` made it, before and after."""
    control.reset()
    yield
    control.reset()


async def token() -> str:
    """A token as the operator's role makes it."""
    who = iam.issue()
    keys = Frozen(who.access_key_id, who.secret_access_key, who.session_token)
    return tokens.rds(keys, world.REGION, host=HOST, port=5432, user=USER)


def trusting() -> ssl.SSLContext:
    return trust.context(certificates.authority_file("rds-ca"))


def opened(**changes: Any) -> PostgresRowLog:
    settings: dict[str, Any] = {
        "host": HOST,
        "port": 5432,
        "database": world.DB_NAME,
        "user": USER,
        "password": token,
        "context": trusting(),
    }
    return PostgresRowLog(**{**settings, **changes})


@pytest.fixture
async def rows(database: None) -> AsyncIterator[PostgresRowLog]:
    log = opened()
    yield log
    await log.close()


async def refusal(call: Awaitable[object]) -> DependencyError:
    with pytest.raises(DependencyError) as refused:
        await call
    return refused.value


# ── rows ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_table_is_made_as_documented(rows: PostgresRowLog) -> None:
    """Column by column, with no further index or key."""
    await rows.ensure_table()
    columns = psql(
        "SELECT column_name, data_type, is_nullable, coalesce(column_default, '') FROM information_schema.columns "
        "WHERE table_name = 'demo_log' ORDER BY ordinal_position;"
    )
    assert columns.splitlines() == [
        "id|integer|NO|nextval('demo_log_id_seq'::regclass)",
        "timestamp|timestamp with time zone|YES|now()",
        "kafka_topic|text|NO|",
        "kafka_partition|integer|NO|",
        "kafka_offset|bigint|NO|",
        "message_content|text|YES|",
        "embedding_model|text|YES|",
        "embedding_dimensions|integer|YES|",
        "opensearch_index|text|YES|",
        "opensearch_doc_id|text|YES|",
        "log_level|text|YES|'INFO'::text",
    ]
    assert psql("SELECT indexname FROM pg_indexes WHERE tablename = 'demo_log';") == "demo_log_pkey"


async def test_rows_arrive_whole_and_in_order(rows: PostgresRowLog) -> None:
    """Also text with every kind of character, and rows of which most is unknown."""
    await rows.ensure_table()
    text = "Grüße, 你好 👋 '; DROP TABLE demo_log; -- \\ \t\n"
    skipped = Row("orders", 0, 5, None, None, None, None, None, "WARNING")
    await rows.insert(
        [replace(ROW, message_content=text), skipped, *[replace(ROW, kafka_offset=n) for n in range(254)]]
    )
    connection = await asyncpg.connect(admin_dsn())
    stored = await connection.fetch("SELECT * FROM demo_log ORDER BY id")
    await connection.close()
    assert len(stored) == 256
    first, second = dict(stored[0]), dict(stored[1])
    assert abs(first.pop("timestamp").timestamp() - time.time()) < 60
    assert (first.pop("id"), second.pop("id")) == (1, 2)
    assert tuple(first.values()) == (
        "orders",
        1,
        9_000_000_000,
        text,
        "text-embedding-3-small",
        1536,
        "demo",
        "doc",
        "INFO",
    )
    assert second["message_content"] is None
    assert second["log_level"] == "WARNING"
    assert [record["kafka_offset"] for record in stored[2:]] == list(range(254))
    await rows.insert([])


async def test_a_probe_leaves_no_row_and_uses_one_id(rows: PostgresRowLog) -> None:
    """An absent table is absent again; of an existing one an id is used up."""
    await rows.probe()
    assert psql("SELECT to_regclass('demo_log') IS NULL;") == "t"
    await rows.ensure_table()
    await rows.probe()
    await rows.insert([ROW])
    assert psql("SELECT id, kafka_topic FROM demo_log;") == "2|orders"


async def test_an_existing_table_needs_no_right_to_create(rows: PostgresRowLog) -> None:
    """CREATE TABLE IF NOT EXISTS would be refused here."""
    await rows.ensure_table()
    psql(f"REVOKE CREATE ON SCHEMA public FROM {USER};")
    await rows.ensure_table()
    await rows.insert([ROW])


async def test_several_creators_at_once_all_succeed() -> None:
    """Operators of several namespaces share a database; each of them looks before it creates."""
    logs = [opened() for _ in range(6)]
    for _ in range(3):
        psql("DROP TABLE IF EXISTS demo_log;")
        await asyncio.gather(*(log.ensure_table() for log in logs))
    await asyncio.gather(*(log.close() for log in logs))


async def test_a_table_dropped_under_traffic_is_made_again(rows: PostgresRowLog) -> None:
    """The row that met its absence is not lost."""
    await rows.ensure_table()
    await rows.insert([ROW])
    psql("DROP TABLE demo_log;")
    await rows.insert([ROW])
    assert psql("SELECT count(*) FROM demo_log;") == "1"


async def test_unique_keys_that_no_repetition_meets_are_taken(rows: PostgresRowLog) -> None:
    """With a column that differs from row to row, as a partitioned table's primary key has."""
    await rows.ensure_table()
    psql("ALTER TABLE demo_log DROP CONSTRAINT demo_log_pkey, ADD PRIMARY KEY (kafka_topic, id);")
    psql("CREATE UNIQUE INDEX ON demo_log (kafka_topic, opensearch_doc_id);")
    await rows.ensure_table()
    await rows.insert([ROW])


# ── tables that do not fit ───────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("ALTER TABLE demo_log DROP COLUMN opensearch_doc_id;", "opensearch_doc_id"),
        ("ALTER TABLE demo_log ALTER kafka_offset TYPE int;", "kafka_offset"),
        ("ALTER TABLE demo_log ALTER message_content TYPE varchar(100);", "message_content"),
        ("ALTER TABLE demo_log ALTER message_content SET NOT NULL;", "message_content"),
        ("ALTER TABLE demo_log ADD tenant text NOT NULL;", "tenant"),
        ("ALTER TABLE demo_log ALTER id DROP DEFAULT;", "id"),
        (
            "ALTER TABLE demo_log ADD CONSTRAINT once UNIQUE (kafka_topic, kafka_partition, kafka_offset);",
            "kafka_topic",
        ),
        ("ALTER TABLE demo_log RENAME TO other; CREATE VIEW demo_log AS SELECT * FROM other;", ""),
    ],
)
async def test_a_table_that_cannot_take_our_rows_is_never_altered(
    rows: PostgresRowLog, change: str, column: str
) -> None:
    """The first column that does not fit is named."""
    await rows.ensure_table()
    psql(change)
    attributes = "SELECT attname, atttypid FROM pg_attribute WHERE attrelid = 'demo_log'::regclass ORDER BY attnum;"
    before = psql(attributes)
    error = await refusal(rows.ensure_table())
    assert (error.reason, error.evidence["column"]) == (Reason.TABLE_MISMATCH, column)
    assert error.evidence["detail"]
    assert psql(attributes) == before


async def test_a_table_that_holds_more_than_ours_is_good(rows: PostgresRowLog) -> None:
    """Wider integers, further columns that fill themselves, another owner."""
    psql(
        "CREATE TABLE demo_log (id bigserial primary key, tenant text NOT NULL DEFAULT 'x', timestamp timestamptz "
        "DEFAULT now(), kafka_topic varchar NOT NULL, kafka_partition bigint NOT NULL, kafka_offset bigint NOT NULL, "
        "message_content text, embedding_model text, embedding_dimensions int, opensearch_index text, "
        "opensearch_doc_id text, log_level text, note text);"
        f"GRANT INSERT ON demo_log TO {USER}; GRANT USAGE ON demo_log_id_seq TO {USER};"
    )
    await rows.probe()
    await rows.insert([ROW])


# ── values that are refused ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "bad",
    [
        replace(ROW, message_content="a\x00b"),
        replace(ROW, message_content="\ud800"),
        replace(ROW, kafka_partition=2**40),
    ],
    ids=["NUL", "lone surrogate", "number too large"],
)
async def test_a_value_that_cannot_be_stored_is_blamed_and_nothing_is_written(rows: PostgresRowLog, bad: Row) -> None:
    """Whether the server refuses it or the client cannot even send it."""
    await rows.ensure_table()
    with pytest.raises(ContentRefused) as refused:
        await rows.insert([ROW, bad])
    assert refused.value.reason is Reason.ROW_REJECTED
    assert psql("SELECT count(*) FROM demo_log;") == "0"
    await rows.insert([ROW])


async def test_a_check_of_somebody_elses_is_a_matter_of_content(rows: PostgresRowLog) -> None:
    """Integrity violations blame the row; whether they are right, a known-good row decides."""
    await rows.ensure_table()
    psql("ALTER TABLE demo_log ADD CHECK (message_content <> 'text');")
    error = await refusal(rows.insert([ROW]))
    assert isinstance(error, ContentRefused)
    assert error.evidence["sqlstate"] == "23514"
    await rows.probe()


# ── refusals of the database ─────────────────────────────────────────────────────────────────────────
NOT_OURS = f"ALTER TABLE demo_log OWNER TO {world.DB_MASTER};"
READ_ONLY = f"ALTER ROLE {USER} IN DATABASE {world.DB_NAME} SET default_transaction_read_only = on;"
DENIALS = {
    "create": (f"DROP TABLE demo_log; REVOKE CREATE ON SCHEMA public FROM {USER};", Reason.CREATE_TABLE_DENIED),
    "schema": (f"REVOKE ALL ON SCHEMA public FROM PUBLIC, {USER};", Reason.SCHEMA_USAGE_DENIED),
    "insert": (NOT_OURS, Reason.INSERT_DENIED),
    "sequence": (f"{NOT_OURS} GRANT INSERT ON demo_log TO {USER};", Reason.SEQUENCE_USAGE_DENIED),
    "row": (
        f"{NOT_OURS} GRANT ALL ON demo_log, demo_log_id_seq TO {USER}; ALTER TABLE demo_log ENABLE ROW LEVEL SECURITY;",
        Reason.INSERT_DENIED,
    ),
    "ids": ("SELECT setval('demo_log_id_seq', 2147483647);", Reason.IDENTIFIERS_EXHAUSTED),
    "read-only": (READ_ONLY, Reason.READ_ONLY_DATABASE),
}


@pytest.mark.parametrize(("change", "reason"), DENIALS.values(), ids=DENIALS)
async def test_what_the_database_denies(rows: PostgresRowLog, change: str, reason: Reason) -> None:
    """Each lock has its own reason, seen by a probe, with its own connection."""
    await rows.ensure_table()
    psql(change)
    try:
        assert (await refusal(rows.probe())).reason is reason
    finally:
        psql(READ_ONLY.replace("SET", "RESET").replace(" = on", ""))


async def test_after_a_failover_open_connections_are_not_used_again(rows: PostgresRowLog) -> None:
    """The old writer answers read-only; the name leads to the new one, so connections are made anew."""
    await rows.ensure_table()
    control.configure(default_transaction_read_only="on")
    assert (await refusal(rows.insert([ROW]))).reason is Reason.READ_ONLY_DATABASE
    before = psql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{USER}';")
    control.configure(default_transaction_read_only=None)
    await rows.insert([ROW])
    assert (before, psql("SELECT count(*) FROM demo_log;")) == ("0", "1")


async def test_a_lock_on_the_table_is_a_timeout_and_leaves_nothing_behind() -> None:
    """The statement is cancelled in the server as well."""
    rows = opened(statement_limit=0.5)
    await rows.ensure_table()
    locking = await asyncpg.connect(admin_dsn())
    async with locking.transaction():
        await locking.execute("LOCK TABLE demo_log IN ACCESS EXCLUSIVE MODE")
        error = await refusal(rows.insert([ROW]))
        assert (error.reason, error.evidence["limit"]) == (Reason.REQUEST_TIMEOUT, "0.5")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock';"
        assert await locking.fetchval(waiting.rstrip(";")) == 0
    await locking.close()
    await rows.insert([ROW])
    await rows.close()
    assert psql("SELECT count(*) FROM demo_log;") == "1"


# ── logins ───────────────────────────────────────────────────────────────────────────────────────────
LOGINS = [
    (f"REVOKE rds_iam FROM {USER};", {}, Reason.IAM_NOT_GRANTED, None),
    (f"ALTER ROLE {USER} NOLOGIN;", {}, Reason.LOGIN_NOT_PERMITTED, None),
    ("", {"database": "absent"}, Reason.DATABASE_NOT_FOUND, Rung.AUTHORIZATION),
    (f"REVOKE CONNECT ON DATABASE {world.DB_NAME} FROM {USER};", {}, Reason.CONNECT_DENIED, Rung.AUTHORIZATION),
    (f"ALTER ROLE {USER} CONNECTION LIMIT 0;", {}, Reason.TOO_MANY_CONNECTIONS, None),
    ("", {"user": "nobody"}, Reason.IAM_NOT_GRANTED, None),
]


@pytest.mark.parametrize(("change", "settings", "reason", "rung"), LOGINS)
async def test_what_the_login_meets(change: str, settings: dict[str, Any], reason: Reason, rung: Rung | None) -> None:
    """A refusal of the login is authentication's, one of the database is authorization's."""
    if change:
        psql(change)
    error = await refusal(opened(**settings).probe())
    assert (error.service, error.reason, error.rung) == (Service.POSTGRESQL, reason, rung)
    assert error.evidence["user"] == settings.get("user", USER)


async def test_a_database_that_takes_no_connections() -> None:
    """As during a restore."""
    psql(f"ALTER DATABASE {world.DB_NAME} ALLOW_CONNECTIONS false;", database="postgres")
    try:
        assert (await refusal(opened().probe())).reason is Reason.CONNECT_DENIED
    finally:
        control.seed()


async def test_iam_refuses_the_token() -> None:
    """One text of RDS for everything: without the permission, or with another token."""
    with iam.without("rds-db:connect"):
        error = await refusal(opened().probe())
    assert (error.reason, error.evidence["sqlstate"]) == (Reason.IAM_AUTHENTICATION_FAILED, "28000")

    async def foreign() -> str:
        return (await token()).replace(HOST, "alias.example")

    assert (await refusal(opened(password=foreign).probe())).reason is Reason.IAM_AUTHENTICATION_FAILED
    await opened().probe()


async def test_a_fixed_password_is_right_or_wrong() -> None:
    """And worth nothing for a role that has rds_iam."""

    async def right() -> str:
        return MASTER_PASSWORD

    async def wrong() -> str:
        return "wrong"

    fixed: dict[str, Any] = {"iam": False, "user": world.DB_MASTER}
    await opened(password=right, **fixed).probe()
    assert (await refusal(opened(password=wrong, **fixed).probe())).reason is Reason.PASSWORD_REJECTED
    assert (await refusal(opened(password=wrong, iam=False).probe())).reason is Reason.PASSWORD_REJECTED


async def test_hosts_that_are_rejected() -> None:
    """A line of pg_hba.conf, or none."""
    with control.host_rules(f"hostssl all {USER} 0.0.0.0/0 reject"):
        assert (await refusal(opened().probe())).reason is Reason.HOST_REJECTED


async def test_a_failure_of_the_identity_stays_one() -> None:
    """Without a token there is no login; the reason is why there is no token."""

    async def none() -> str:
        raise DependencyError(Service.IDENTITY, Reason.STS_UNREACHABLE)

    for call in (opened(password=none).probe(), opened(password=none).ensure_table()):
        error = await refusal(call)
        assert (error.service, error.reason) == (Service.IDENTITY, Reason.STS_UNREACHABLE)


# ── the way there ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"host": "absent.example"}, Reason.NAME_NOT_RESOLVED),
        ({"port": 5433}, Reason.CONNECTION_REFUSED),
        ({"context": trust.context()}, Reason.CERTIFICATE_UNTRUSTED),
        ({"host": ADDRESS}, Reason.CERTIFICATE_NAME_MISMATCH),
        ({"context": None}, Reason.HOST_REJECTED),  # the server insists on TLS
    ],
)
async def test_the_way_to_the_server(settings: dict[str, Any], reason: Reason, monkeypatch: pytest.MonkeyPatch) -> None:
    """For inserts and probes alike."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "absent.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    log = opened(**settings)
    for call in (log.probe(), log.ensure_table()):
        assert (await refusal(call)).reason is reason
    await log.close()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (say(b"N"), Reason.TLS_REFUSED),
        (hang_up, Reason.CONNECTION_RESET),
        (wait_for_client, Reason.CONNECTION_TIMEOUT),
    ],
    ids=["no TLS", "closed", "silence"],
)
async def test_a_port_where_no_such_server_is(behaviour: Behaviour, reason: Reason) -> None:
    """Answers to the request for TLS that no RDS gives."""
    async with listening(behaviour) as port:
        log = opened(host="127.0.0.1", port=port, connect_limit=0.3)
        assert (await refusal(log.probe())).reason is reason
        assert (await refusal(log.ensure_table())).reason is reason
        await log.close()


@pytest.fixture
async def relay(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Relay]:
    """The database's name leads through a relay (at the same port, which the token names)."""
    made = Relay((ADDRESS, 5432))
    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda h, *a, **k: resolve("127.77.0.97" if h == HOST else h, *a, **k))
    async with made.listening("127.77.0.97", 5432):
        yield made


async def test_a_database_that_falls_silent_holds_nobody_for_long(relay: Relay) -> None:
    """Eight inserts over four connections all end within their limits, and it heals by itself."""
    rows = opened(statement_limit=0.5, connect_limit=1.0)
    await rows.ensure_table()
    await asyncio.gather(*(rows.insert([ROW]) for _ in range(8)))
    relay.freeze()
    began = time.monotonic()
    errors = await asyncio.gather(*(refusal(rows.insert([ROW])) for _ in range(8)))
    assert time.monotonic() - began < 10
    assert {error.reason for error in errors} <= {Reason.REQUEST_TIMEOUT, Reason.CONNECTION_TIMEOUT}
    relay.thaw()
    await eventually(lambda: rows.insert([ROW]))
    await rows.close()


async def test_connections_that_were_cut_are_replaced(relay: Relay) -> None:
    """The next insert, or the one after it, has a new one."""
    rows = opened()
    await rows.ensure_table()
    await rows.insert([ROW])
    relay.cut()
    await eventually(lambda: rows.insert([ROW]))
    control.disconnect_users()
    await eventually(lambda: rows.insert([ROW]))
    await rows.close()


async def eventually(call: Callable[[], Awaitable[None]], attempts: int = 5) -> None:
    """As the pipeline does: a failed insert is tried again."""
    for _ in range(attempts - 1):
        try:
            return await call()
        except DependencyError:
            continue
    return await call()
