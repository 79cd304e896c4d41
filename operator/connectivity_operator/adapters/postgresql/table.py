"""The table ``demo_log``: how it is made, and whether one that exists can take our rows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CREATE = """
CREATE TABLE demo_log (
    id SERIAL PRIMARY KEY,
    timestamp TIMESTAMPTZ DEFAULT NOW(),
    kafka_topic TEXT NOT NULL,
    kafka_partition INT NOT NULL,
    kafka_offset BIGINT NOT NULL,
    message_content TEXT,
    embedding_model TEXT,
    embedding_dimensions INT,
    opensearch_index TEXT,
    opensearch_doc_id TEXT,
    log_level TEXT DEFAULT 'INFO'
)
"""

# By name, as the search path finds it. Not IF NOT EXISTS: that needs CREATE on the schema even if the table exists.
LOOK = """
SELECT c.relkind::text AS kind, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' AS filled,
       (SELECT array_agg(format('%s: %s', i.indexrelid::regclass,
                                (SELECT string_agg(k.attname, ' ' ORDER BY k.attnum) FROM pg_attribute k
                                 WHERE k.attrelid = c.oid AND k.attnum = ANY (i.indkey))))
        FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey)) AS keys
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = to_regclass('demo_log') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""

INSERT = """
INSERT INTO demo_log (kafka_topic, kafka_partition, kafka_offset, message_content, embedding_model,
                      embedding_dimensions, opensearch_index, opensearch_doc_id, log_level)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::int[], $7::text[], $8::text[],
                     $9::text[])
"""
"""One parameter for each field of `ports.Row`, in its order, each an array with one value a row."""

PROBE = """
INSERT INTO demo_log (kafka_topic, kafka_partition, kafka_offset, message_content, log_level)
VALUES ('connectivity-check', 0, 0, 'connectivity check', 'INFO')
"""

_INTEGERS = frozenset({"integer", "bigint"})
_TEXTS = frozenset({"text", "character varying"})
_TYPES = {
    "id": _INTEGERS,
    "timestamp": frozenset({"timestamp with time zone"}),
    "kafka_topic": _TEXTS,
    "kafka_partition": _INTEGERS,
    "kafka_offset": frozenset({"bigint"}),
    "message_content": _TEXTS,
    "embedding_model": _TEXTS,
    "embedding_dimensions": _INTEGERS,
    "opensearch_index": _TEXTS,
    "opensearch_doc_id": _TEXTS,
    "log_level": _TEXTS,
}
"""Types that hold whatever ours holds, by PostgreSQL's own names for them."""

_DEFAULTS = ("id", "timestamp")
"""Never given by us."""
_ALWAYS_GIVEN = ("kafka_topic", "kafka_partition", "kafka_offset", "log_level")
"""Never NULL in our rows."""

_REPEATED = frozenset({"kafka_topic", "kafka_partition", "kafka_offset", "opensearch_index"})
"""The same in each row of a message that comes again, as it may after a crash (at-least-once)."""

_KINDS = {"r": "table", "p": "partitioned table"}


class Column(NamedTuple):
    """A column of an existing relation, as `LOOK` finds it."""

    kind: str
    """pg_class.relkind of the relation."""
    name: str
    type: str
    not_null: bool
    filled: bool
    """Has a default, is an identity or is generated."""
    keys: Sequence[str] | None = None
    """The unique indices that it is part of, each ``name: columns``."""


class Mismatch(NamedTuple):
    """Why our rows do not fit."""

    column: str
    detail: str


def mismatch(columns: Sequence[Column]) -> Mismatch | None:
    """The first reason why an existing relation cannot take our rows; None when it can."""
    if columns[0].kind not in _KINDS:
        return Mismatch("", "it is no table but a view or the like")
    present = {column.name: column for column in columns}
    for name, types in _TYPES.items():
        column = present.get(name)
        if column is None:
            return Mismatch(name, f"column {name} is missing")
        if column.type not in types:
            return Mismatch(name, f"column {name} is {column.type} instead of {max(types)}")
        if name in _DEFAULTS and not column.filled:
            return Mismatch(name, f"column {name} has no default")
    for column in columns:
        if column.not_null and not column.filled and column.name not in _ALWAYS_GIVEN:
            return Mismatch(column.name, f"column {column.name} is NOT NULL and not always given")
        for name, _, members in (key.rpartition(": ") for key in column.keys or ()):
            if _REPEATED.issuperset(members.split()):
                return Mismatch(column.name, f"unique key {name} refuses a message that comes again; drop the key")
    return None
