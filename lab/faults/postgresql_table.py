"""Faults of the table that the operator writes to: what it is, who may write, what is in the way."""

from __future__ import annotations

import subprocess
from functools import partial

from lab import processes, world
from lab.faults.fault import Fault
from lab.postgresql import control, layout
from lab.postgresql.control import psql

USER = world.DB_USER


def sql_fault(name: str, summary: str, on: str, off: str, *, database: str = world.DB_NAME) -> Fault:
    """A fault that is SQL of the administrator's."""
    return Fault(f"postgresql-{name}", summary, partial(_run, on, database), partial(_run, off, database))


def _run(sql: str, database: str) -> None:
    psql(sql, database=database)


# ── the table ────────────────────────────────────────────────────────────────────────────────────────
_COLUMNS = """
    id SERIAL PRIMARY KEY, timestamp TIMESTAMPTZ DEFAULT NOW(), kafka_topic TEXT NOT NULL,
    kafka_partition INT NOT NULL, kafka_offset BIGINT NOT NULL, message_content TEXT, embedding_model TEXT,
    embedding_dimensions INT, opensearch_index TEXT, opensearch_doc_id TEXT, log_level TEXT DEFAULT 'INFO'
"""
_ENSURE = f"""
    SELECT to_regclass('demo_log') IS NULL AS absent \\gset
    \\if :absent
    SET ROLE {USER}; CREATE TABLE demo_log ({_COLUMNS}); RESET ROLE;
    \\endif
"""
"""The operator's table, as the operator makes it and its own."""


def _instead(name: str, summary: str, other: str, *, kind: str = "TABLE", undo: str = "") -> Fault:
    """Another relation of that name, or none, the operator's own one put away."""
    on = f"""
        SELECT to_regclass('demo_log_away') IS NULL AS fresh \\gset
        \\if :fresh
        {_ENSURE} ALTER TABLE demo_log RENAME TO demo_log_away; {other}
        \\endif
    """
    off = f"""
        SELECT to_regclass('demo_log_away') IS NOT NULL AS done \\gset
        \\if :done
        DROP {kind} IF EXISTS demo_log; ALTER TABLE demo_log_away RENAME TO demo_log;
        \\endif
        {undo}
    """
    return sql_fault(name, summary, on, off)


def _table(name: str, summary: str, on: str, off: str) -> Fault:
    """A change of the operator's own table, which is made if there is none yet."""
    return sql_fault(name, summary, f"{_ENSURE} {on}", f"{_ENSURE} {off}")


def _columns(old: str, new: str) -> str:
    return f"CREATE TABLE demo_log ({_COLUMNS.replace(old, new)}); GRANT ALL ON demo_log TO {USER};"


_TABLE = (
    _instead(
        "create-table-denied",
        "rename the table and revoke CREATE on the schema",
        f"REVOKE CREATE ON SCHEMA public FROM {USER};",
        undo=f"GRANT CREATE ON SCHEMA public TO {USER};",
    ),
    _instead("column-missing", "put a table in its place that lacks a column", _columns("opensearch_doc_id TEXT,", "")),
    _instead(
        "column-type",
        "put a table in its place whose offsets are INT",
        _columns("kafka_offset BIGINT", "kafka_offset INT"),
    ),
    _instead(
        "column-required",
        "put a table in its place with a further required column",
        _columns("log_level TEXT", "tenant TEXT NOT NULL, log_level TEXT"),
    ),
    _instead(
        "table-is-a-view",
        "put a view in the table's place",
        f"CREATE VIEW demo_log AS SELECT * FROM demo_log_away; GRANT ALL ON demo_log TO {USER};",
        kind="VIEW",
    ),
    sql_fault(
        "schema-usage-revoked",
        "revoke USAGE on the schema",
        f"{_ENSURE} REVOKE USAGE ON SCHEMA public FROM PUBLIC, {USER};",
        f"GRANT USAGE ON SCHEMA public TO PUBLIC, {USER};",
    ),
    _table(
        "insert-revoked",
        "revoke INSERT on the table",
        f"REVOKE INSERT ON demo_log FROM {USER};",
        f"GRANT INSERT ON demo_log TO {USER};",
    ),
    _table(
        "sequence-usage-revoked",
        "revoke USAGE on the sequence of the ids",
        f"REVOKE USAGE, UPDATE ON SEQUENCE demo_log_id_seq FROM {USER};",
        f"GRANT USAGE, UPDATE ON SEQUENCE demo_log_id_seq TO {USER};",
    ),
    _table(
        "row-security",
        "force row level security without a policy",
        "ALTER TABLE demo_log ENABLE ROW LEVEL SECURITY; ALTER TABLE demo_log FORCE ROW LEVEL SECURITY;",
        "ALTER TABLE demo_log NO FORCE ROW LEVEL SECURITY; ALTER TABLE demo_log DISABLE ROW LEVEL SECURITY;",
    ),
    _table(
        "check-constraint",
        "add CHECK (false) to the table",
        "ALTER TABLE demo_log DROP CONSTRAINT IF EXISTS fault;"
        "ALTER TABLE demo_log ADD CONSTRAINT fault CHECK (false) NOT VALID;",
        "ALTER TABLE demo_log DROP CONSTRAINT IF EXISTS fault;",
    ),
    _table(
        "trigger-fails",
        "add a trigger that raises an error",
        "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'not today'; END $$;"
        "CREATE OR REPLACE TRIGGER fault BEFORE INSERT ON demo_log FOR EACH ROW EXECUTE FUNCTION fault();",
        "DROP TRIGGER IF EXISTS fault ON demo_log; DROP FUNCTION IF EXISTS fault();",
    ),
    _table(
        "identifiers-exhausted",
        "set the sequence of the ids to its end",
        "CREATE TABLE IF NOT EXISTS demo_log_ids AS SELECT last_value FROM demo_log_id_seq;"
        "SELECT setval('demo_log_id_seq', 2147483647);",
        """SELECT to_regclass('demo_log_ids') IS NOT NULL AS done \\gset
        \\if :done
        SELECT setval('demo_log_id_seq', last_value) FROM demo_log_ids; DROP TABLE demo_log_ids;
        \\endif
        """,
    ),
)


# ── a lock ───────────────────────────────────────────────────────────────────────────────────────────
_LOCK = "postgresql-lock"


def _hold_lock() -> None:
    psql(_ENSURE)
    sql = "BEGIN; LOCK TABLE demo_log IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3600);"
    processes.spawn(_LOCK, [str(layout.program("psql")), "-XAtq", "-d", control.admin_dsn(), "-c", sql])


def _release_lock() -> None:
    """The server notices only later that a client has gone which waits for nothing of it."""
    psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LOCK TABLE demo_log IN ACCESS%'"
        " AND pid <> pg_backend_pid();"
    )
    processes.end(_LOCK)


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────────
_TINY = layout.FOLDER / "tiny"


def _in_servers_mounts(script: str) -> None:
    """What is mounted so is seen by the server alone, and goes with it."""
    if record := processes.find("postgresql"):
        subprocess.run(["nsenter", f"--target={record.pid}", "--mount", "sh", "-ec", script], check=True)


def _fill_disk() -> None:
    """The table is on a file system of its own, of 64 kB, which is full."""
    if psql("SELECT to_regclass('demo_log_away') IS NOT NULL;") == "t":
        return
    _TINY.mkdir(exist_ok=True)
    owner = f"uid={processes.UNPRIVILEGED_UID},gid={processes.UNPRIVILEGED_UID}"
    _in_servers_mounts(f"mount -t tmpfs -o size=64k,{owner} none '{_TINY.resolve()}'")
    psql(f"CREATE TABLESPACE tiny LOCATION '{_TINY.resolve()}';")
    psql(
        f"{_ENSURE} ALTER TABLE demo_log RENAME TO demo_log_away; GRANT CREATE ON TABLESPACE tiny TO {USER};"
        f"SET ROLE {USER}; CREATE TABLE demo_log ({_COLUMNS}) TABLESPACE tiny;"
    )
    _in_servers_mounts(f"head -c 1M /dev/zero >'{_TINY.resolve()}/full' 2>&- || true")


def _empty_disk() -> None:
    if psql("SELECT count(*) FROM pg_tablespace WHERE spcname = 'tiny';") == "0":
        return
    psql("DROP TABLE IF EXISTS demo_log; ALTER TABLE IF EXISTS demo_log_away RENAME TO demo_log;")
    psql("DROP TABLESPACE tiny;")
    _in_servers_mounts(f"! mountpoint -q '{_TINY.resolve()}' || umount '{_TINY.resolve()}'")


FAULTS: tuple[Fault, ...] = (
    *_TABLE,
    Fault("postgresql-table-locked", "lock the table in another session", _hold_lock, _release_lock),
    Fault("postgresql-storage-full", "put the table on a disk that is full", _fill_disk, _empty_disk),
)
