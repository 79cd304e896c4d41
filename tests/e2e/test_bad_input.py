"""Bad messages are recorded and never block; what is missing is told, and taken up when it appears."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from lab.kafka import admin as kafka
from lab.operating import documents, rows, send, until
from lab.postgresql import psql
from tests.e2e.conftest import MakeResource


def test_bad_messages_become_rows_and_the_partition_moves_on(make_resource: MakeResource) -> None:
    """Undecodable and oversized: ERROR, rejected. Tombstones and empty ones: WARNING, skipped."""
    resource = make_resource(partitions=1)
    resource.until_reading()
    topic = resource.topics[0]
    oversized = ("parcel and cable " * 6000).encode()  # far beyond 8,192 tokens
    send(topic, [b"good one", b"\xff\xfe\x00bad", oversized, None, b"", b"good two", "né\x00 with NUL".encode()])
    until(lambda: len(rows(topic)) == 7, limit=60, what="seven rows")
    levels = {offset: level for _, offset, level, _ in rows(topic)}
    assert levels == {0: "INFO", 1: "ERROR", 2: "ERROR", 3: "WARNING", 4: "WARNING", 5: "INFO", 6: "INFO"}
    assert sorted(int(d.rsplit("-", 2)[1]) for d in documents(resource.index)) == [0, 5, 6]
    until(lambda: resource.status["pipeline"]["logged"] >= 3, limit=60, what="the counters")
    pipeline = resource.status["pipeline"]
    assert (pipeline["rejected"], pipeline["skipped"]) == (2, 2)
    assert pipeline["lastRejected"]["offset"] == 2
    resource.until("Ready", "EndToEndVerified")


def test_a_missing_topic_is_told_and_read_when_it_appears(make_resource: MakeResource) -> None:
    """The daemon lives; no topic is created by looking."""
    resource = make_resource(apply=False)
    topic = resource.topics[0]
    asyncio.run(kafka.delete_topic(topic))
    resource.apply()
    resource.until("KafkaConnected", "TopicNotFound")
    remedy = next(s["remedy"] for s in resource.status["services"] if s["name"] == "kafka")
    assert topic in remedy
    asyncio.run(kafka.create_topic(topic, 1))
    resource.until("KafkaConnected", "Connected")
    resource.until_reading()
    send(topic, [b"at last"])
    until(lambda: len(rows(topic)) == 1, limit=60, what="the row")


def test_a_missing_database_is_told_and_used_when_it_appears(make_resource: MakeResource) -> None:
    """DatabaseNotFound, and messages wait."""
    resource = make_resource()
    resource.until("Ready", "AllConnected")
    resource.until_reading()
    psql("ALTER DATABASE connectivity ALLOW_CONNECTIONS false", database="postgres")
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'connectivity'", database="postgres")
    psql("ALTER DATABASE connectivity RENAME TO connectivity_away", database="postgres")
    try:
        send(resource.topics[0], [b"waits"])
        resource.until("PostgreSQLConnected", "DatabaseNotFound")
    finally:
        psql("ALTER DATABASE connectivity_away RENAME TO connectivity", database="postgres")
        psql("ALTER DATABASE connectivity ALLOW_CONNECTIONS true", database="postgres")
    resource.until("PostgreSQLConnected", "Connected")
    until(lambda: len(rows(resource.topics[0])) == 1, limit=60, what="the row")


def test_wrong_settings_are_listed_all_at_once() -> None:
    """By variable name, exit code 2, before anything starts."""
    wrong = {
        **os.environ,
        "PYTHONPATH": "operator",
        "KAFKA_BOOTSTRAP_SERVERS": "b-1.example",
        "POSTGRES_PORT": "many",
        "OPENSEARCH_ENDPOINT": "http://plain.example",
    }
    result = subprocess.run(
        [sys.executable, "-m", "connectivity_operator", "run"], env=wrong, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "POSTGRES_PORT", "OPENSEARCH_ENDPOINT"):
        assert name in result.stderr
    assert "Traceback" not in result.stderr
