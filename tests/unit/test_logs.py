"""What a line of the log is: one JSON object, always the same keys first, from us and from libraries alike."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import kopf
import pytest
import structlog

from connectivity_operator import logs
from connectivity_operator.settings import Settings

SIX = ["timestamp", "level", "event", "service", "action", "status"]


class Log:
    """A configured log that is kept in memory."""

    def __init__(self, level: str = "INFO") -> None:
        self.stream = io.StringIO()
        logs.configure(level, "json", stream=self.stream)
        self.ours = structlog.get_logger()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's: other tests find it as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in logs.QUIET}
    yield
    structlog.reset_defaults()
    logs.hide()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def log() -> Log:
    return Log()


def test_an_event_is_one_json_line_with_its_keys_in_order(log: Log) -> None:
    """Who reads lines by eye finds the same things at the same places."""
    log.ours.info(
        "row inserted", duration_ms=3, topic="orders", rows=1, name="a", namespace="n", status="ok",
        action="insert", service="postgresql", offset=7, partition=0,
    )  # fmt: skip
    assert len(log.lines) == 1
    assert list(log.lines[0]) == [*SIX, "namespace", "name", "topic", "partition", "offset", "duration_ms", "rows"]
    assert log.lines[0]["level"] == "info"
    assert log.lines[0]["timestamp"].endswith("Z")


def test_every_line_has_the_six_keys(log: Log) -> None:
    """Also where the writer had nothing special to say; an error is `failed` unless said otherwise."""
    log.ours.info("a")
    log.ours.error("b")
    log.ours.error("c", status="retrying")
    logging.getLogger("some.library").error("d %s", 1)
    assert [list(line)[:6] for line in log.lines] == [SIX] * 4
    assert [line["status"] for line in log.lines] == ["ok", "failed", "retrying", "failed"]


def test_libraries_lines_say_which_service_they_are_about(log: Log) -> None:
    """aiokafka's complaints are found by `service: kafka`."""
    for name in ("aiokafka.conn", "botocore.endpoint", "opensearch", "openai._base_client", "asyncpg.pool", "kopf"):
        logging.getLogger(name).warning("x")
    services = [line["service"] for line in log.lines]
    assert services == ["kafka", "identity", "opensearch", "openai", "postgresql", "operator"]
    assert log.lines[0]["logger"] == "aiokafka.conn"


def test_kopfs_lines_name_their_object(log: Log) -> None:
    """kopf hangs the object's reference on the record (and its settings, which are nobody's business)."""
    reference = {"namespace": "search", "name": "orders", "uid": "u", "apiVersion": "v", "kind": "K"}
    logging.getLogger("kopf.objects").warning("x", extra={"k8s_ref": reference, "settings": kopf.OperatorSettings()})
    assert (log.lines[0]["namespace"], log.lines[0]["name"]) == ("search", "orders")
    assert "settings" not in log.lines[0]


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
@pytest.mark.parametrize("name", [*logs.QUIET, "opensearchpy.trace"])
def test_noisy_libraries_stay_quiet_at_every_level(level: str, name: str) -> None:
    """Their DEBUG and INFO lines hold bodies, headers and tokens."""
    log = Log(level)
    logging.getLogger(name).debug("body")
    assert log.lines == []


def test_the_level_of_the_settings_holds(log: Log) -> None:
    """LOG_LEVEL is about us and about libraries."""
    log.ours.debug("no")
    logging.getLogger("library").debug("no")
    assert log.lines == []
    warned = Log("WARNING")
    warned.ours.info("no")
    logging.getLogger("library").info("no")
    warned.ours.warning("yes")
    assert [line["event"] for line in warned.lines] == ["yes"]


def test_secrets_are_hidden_in_every_text_of_a_line(log: Log) -> None:
    """In the event, in values however deep, in exceptions and their causes, in libraries' records."""
    secret = "sk-c4nary5ecret"

    def call() -> None:
        cause = ValueError(f"Illegal header value b'Bearer {secret}'")
        raise RuntimeError("Connection error.") from cause

    try:
        call()
    except RuntimeError:
        log.ours.exception(f"call with {secret}", detail={"headers": [f"Bearer {secret}"]}, cause=ValueError(secret))
        logging.getLogger("httpx").exception("failed with %s", secret)
    text = log.stream.getvalue()
    assert "c4nary" not in text
    assert "Illegal header value" in log.lines[0]["exception"]
    assert "Illegal header value" in log.lines[1]["exception"]


def test_secrets_of_the_settings_are_hidden_by_their_value(log: Log) -> None:
    """A password has no shape that could be recognised."""
    logs.hide("tr0ub4dor")
    log.ours.info("login with tr0ub4dor refused")
    assert "tr0ub4dor" not in log.stream.getvalue()


def test_the_start_line_shows_settings_without_secrets(log: Log) -> None:
    """`Settings.visible()` is made for the log."""
    settings = Settings.load({"OPENAI_API_KEY": "c4nary", "KAFKA_BOOTSTRAP_SERVERS": "b-1.example:9098"})
    log.ours.info("service started", settings=settings.visible())
    assert log.lines[0]["settings"]["kafka_bootstrap_servers"] == ["b-1.example:9098"]
    assert "c4nary" not in log.stream.getvalue()


def test_values_that_json_cannot_say_do_not_break_a_line(log: Log) -> None:
    """A log line must never stop the program."""
    log.ours.info("x", big=2**70, odd=object, surrogate="\udcff", data={1: {2}}, line="a\nb")
    assert len(log.lines) == 1
    assert log.lines[0]["big"] == 2**70


def test_a_text_of_any_length_is_cut(log: Log) -> None:
    """Answers of servers can be megabytes."""
    log.ours.info("x", detail="y" * 1_000_000)
    assert len(log.stream.getvalue()) < 10_000


async def test_context_of_a_task_is_in_its_lines_only(log: Log) -> None:
    """Resources are supervised side by side: each one's lines carry its own name."""

    async def supervise(name: str) -> None:
        structlog.contextvars.bind_contextvars(name=name)
        await asyncio.sleep(0)
        log.ours.info("checked")

    await asyncio.gather(*(asyncio.create_task(supervise(name)) for name in ("a", "b")))
    log.ours.info("outside")
    assert [line.get("name") for line in log.lines] == ["a", "b", None]


def test_console_lines_are_for_people() -> None:
    """LOG_FORMAT=console: no JSON, secrets hidden all the same."""
    stream = io.StringIO()
    logs.configure("INFO", "console", stream=stream)
    structlog.get_logger().info("row inserted", service="postgresql", key="sk-c4nary5ecret")
    assert "row inserted" in stream.getvalue()
    assert "c4nary" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_identical_failures_are_counted(log: Log) -> None:
    """Ten refusals in a row are one line, then one with the count before the success that ends them."""
    failing = log.ours.bind(service="postgresql", action="insert", namespace="n", name="a")
    for attempt in range(10):
        failing.warning("insert failed", status="retrying", reason="ConnectionRefused", attempt=attempt)
    failing.info("row inserted", status="ok")
    assert [(line["event"], line.get("repeated")) for line in log.lines] == [
        ("insert failed", None),
        ("insert failed", 9),
        ("row inserted", None),
    ]


def test_a_flood_of_a_library_is_one_line(log: Log) -> None:
    """aiokafka repeats itself for ever when a broker is away; only numbers change."""
    for port in range(200):
        logging.getLogger("aiokafka").error("Unable connect to node with id %s: ConnectionError", port)
    assert len(log.lines) == 1


def test_what_a_library_tries_again_by_itself_is_a_warning(log: Log) -> None:
    """Whoever is alarmed by errors is not woken for a broker's restart; a crash inside the library is an error."""
    logging.getLogger("aiokafka.consumer.fetcher").error("Failed fetch messages from 2: NodeNotReadyError")
    try:
        {}["a defect"]
    except KeyError:
        logging.getLogger("aiokafka.consumer.fetcher").exception("Unexpected error in fetcher routine")
    assert [(line["level"], line["status"]) for line in log.lines] == [("warning", "retrying"), ("error", "failed")]
