"""Every message has its own line for every step, whether it travelled in a batch or alone."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import structlog

from connectivity_operator import logs
from connectivity_operator.errors import ContentRefused
from connectivity_operator.pipeline.journal import Journal
from connectivity_operator.pipeline.watermark import Watermark
from connectivity_operator.pipeline.work import Message
from connectivity_operator.ports import Record
from connectivity_operator.reasons import Reason, Service
from tests.fakes.pipeline import WORK, down


@pytest.fixture
def stream(lines: io.StringIO) -> io.StringIO:
    return lines


def message(offset: int, *, topic: str = "orders", document: str | None = None) -> Message:
    record = Record(topic, 1, offset, 0, b"secret text")
    return Message(record, Watermark(0, committed=None), "id", 0.0, 0, "secret text", 11, document_id=document)


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_s_lines_are_those_of_its_messages(stream: io.StringIO, count: int) -> None:
    """Rendered once and filled in, a line has all keys of one that was rendered by itself, in the same order."""
    messages = [message(n, document=f"1%3A0%3Adoc{n}") for n in range(count)]
    Journal(WORK).written(messages, 0.0123)
    expected = {
        "level": "info",
        "event": "document written",
        "service": "opensearch",
        "action": "index",
        "status": "ok",
        "namespace": "demo",
        "name": "orders",
        "topic": "orders",
        "partition": 1,
        "duration_ms": 12,
        "index": "connectivity-test",
    }
    written = parsed(stream)
    assert [line["offset"] for line in written] == list(range(count))
    for n, line in enumerate(written):
        assert line.items() >= {**expected, "document_id": f"1%3A0%3Adoc{n}"}.items()
        assert list(line)[:8] == ["timestamp", "level", "event", "service", "action", "status", "namespace", "name"]


def test_each_topic_has_its_own_lines(stream: io.StringIO) -> None:
    """A batch may hold several."""
    Journal(WORK).consumed([message(1), message(2, topic="payments"), message(3)])
    assert {(line["topic"], line["offset"]) for line in parsed(stream)} == {
        ("orders", 1),
        ("payments", 2),
        ("orders", 3),
    }


def test_a_row_without_a_document_names_none(stream: io.StringIO) -> None:
    """Of a skipped message."""
    Journal(WORK).inserted([message(1), message(2, document="x")], 0.0)
    assert [("document_id" in line, line["offset"]) for line in parsed(stream)] == [(False, 1), (True, 2)]


def test_an_embedding_s_line_tells_model_dimensions_and_tokens(stream: io.StringIO) -> None:
    """Tokens and inputs are those of the request it travelled in: the API tells no others."""
    Journal(WORK).embedded([message(1), message(2)], 1536, 17, 2, 0.08)
    for line in parsed(stream):
        assert line.items() >= {
            "event": "embedding generated", "service": "openai", "action": "embed", "status": "ok",
            "model": "text-embedding-test", "dimensions": 1536, "tokens": 17, "inputs": 2, "duration_ms": 80,
        }.items()  # fmt: skip


def test_message_text_is_never_logged(stream: io.StringIO) -> None:
    """It goes to OpenAI, the index and the table, and nowhere else."""
    journal = Journal(WORK)
    one = message(1, document="d")
    one.reject(Reason.INPUT_REJECTED)
    journal.consumed([one])
    journal.embedded([one], 4, 1, 1, 0.0)
    journal.written([one], 0.0)
    journal.inserted([one], 0.0)
    journal.skipped(one)
    journal.rejected(one, ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED, evidence={"model": "m"}))
    assert len(parsed(stream)) == 6
    assert "secret" not in stream.getvalue()


def test_a_retry_tells_reason_and_delay(stream: io.StringIO) -> None:
    """Rate limits too, with what the server asked for."""
    error = down(Service.OPENAI, Reason.RATE_LIMITED, retry_after=20.0)
    Journal(WORK).retrying(Service.OPENAI, "embed", error, 20.0)
    (line,) = parsed(stream)
    assert line.items() >= {
        "level": "warning", "service": "openai", "action": "embed", "status": "retrying",
        "reason": "RateLimited", "retry_after": "20", "delay_ms": 20000,
    }.items()  # fmt: skip


def test_a_quiet_level_costs_nothing_and_says_nothing() -> None:
    """LOG_LEVEL=WARNING."""
    stream = io.StringIO()
    logs.configure("WARNING", stream=stream)
    Journal(WORK).consumed([message(1), message(2)])
    assert stream.getvalue() == ""


def test_the_console_format_has_every_message_as_well() -> None:
    """LOG_FORMAT=console."""
    stream = io.StringIO()
    logs.configure(format="console", stream=stream)
    Journal(WORK).consumed([message(41), message(42)])
    assert [f"offset={n}" in line for n, line in zip((41, 42), stream.getvalue().splitlines(), strict=True)] == [
        True
    ] * 2


def test_captured_events_are_whole() -> None:
    """Where events are not rendered to text (tests), each message is an event."""
    with structlog.testing.capture_logs() as events:
        Journal(WORK).consumed([message(1), message(2)])
    assert [(event["event"], event["offset"]) for event in events] == [("message consumed", 1), ("message consumed", 2)]


def test_evidence_never_hides_what_a_line_says_itself(stream: io.StringIO) -> None:
    """An HTTP status is no status of ours, and a topic that a server names is not where the message came from."""
    evidence = {
        "status": "400",
        "service": "x",
        "topic": "x",
        "offset": "x",
        "action": "x",
        "reason": "x",
        "model": "m",
    }
    error = ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED, evidence=evidence)
    one = message(7)
    one.reject(Reason.INPUT_REJECTED)
    Journal(WORK).rejected(one, error)
    Journal(WORK).retrying(Service.OPENAI, "embed", error, 1.0)
    rejected, retrying = parsed(stream)
    expected = {"service": "openai", "reason": "InputRejected", "http_status": "400", "model": "m"}
    assert rejected.items() >= {**expected, "status": "failed", "topic": "orders", "offset": 7}.items()
    assert retrying.items() >= {**expected, "status": "retrying", "action": "embed"}.items()
