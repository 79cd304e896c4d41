"""Logs: one JSON object a line on standard output, from structlog and from every library alike.

Our own events go straight through the processors to the stream; the records of libraries (kopf, aiokafka …)
come through the standard library's root logger and the same processors. Every line has ``timestamp``,
``level``, ``event``, ``service``, ``action`` and ``status``, in this order, then what identifies the resource
and the message. Secrets are taken out of every text, and identical failures are counted, not repeated.

Use: ``structlog.get_logger().info("row inserted", service="postgresql", action="insert", status="ok", …)``.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from connectivity_operator.redaction import Redactor
from connectivity_operator.repeats import Repeats

ORDER = (
    "timestamp", "level", "event", "service", "action", "status", "namespace", "name", "topic", "partition",
    "offset", "document_id", "reason", "remedy", "duration_ms",
)  # fmt: skip
"""Keys that come first, in this order, where an event has them."""

OURS_TO_NAME = frozenset({"timestamp", "level", "service", "action", "status", "namespace", "name", "topic", "reason"})
"""Keys whose values are from closed sets or bound by the resource's schema: nothing to take out of them."""

TEXT_LIMIT = 8192
"""Characters of one text in a line; what is cut off a traceback is its beginning."""

QUIET = {
    # Every successful probe, every watch event that was handled (one for each write of a status).
    "aiohttp.access": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "kopf.activities.probe": logging.WARNING,
    "kopf.objects": logging.WARNING,
    # One line a request at INFO; whole bodies, headers and with them tokens at DEBUG.
    "opensearch": logging.WARNING,
    "opensearchpy.trace": logging.CRITICAL,
    "openai": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpcore2": logging.WARNING,
    "urllib3": logging.WARNING,
    "botocore": logging.WARNING,
    # A traceback for every renewal that fails, which the identity rung reports anyway.
    "botocore.credentials": logging.CRITICAL,
    "boto3": logging.WARNING,
    "kubernetes": logging.WARNING,
    "aws_msk_iam_sasl_signer": logging.WARNING,
    # The group's protocol, join by join; its many errors are counted by `Repeats`.
    "aiokafka": logging.WARNING,
    # Whole objects at DEBUG.
    "kopf": logging.INFO,
    "asyncio": logging.INFO,
}
"""Loggers of libraries -> the level below which they are silent, whatever LOG_LEVEL says."""

_SERVICES = {
    "aiokafka": "kafka",
    "aws_msk_iam_sasl_signer": "kafka",
    "opensearch": "opensearch",
    "asyncpg": "postgresql",
    "openai": "openai",
    "botocore": "identity",
    "boto3": "identity",
}

_redactor = Redactor()


def configure(
    level: str = "INFO",
    format: Literal["json", "console"] = "json",  # noqa: A002 (LOG_FORMAT)
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and the standard library, replacing what was set up before. ``stream``: standard output."""
    stream = stream or sys.stdout
    sink = _Sink(stream)
    render: Processor = render_json
    if format == "console":
        render = structlog.dev.ConsoleRenderer(colors=stream.isatty(), sort_keys=False)
    repeats = Repeats(write=lambda event: sink.write(_finish(event, render)))
    ours: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    common: list[Processor] = [_complete, repeats, structlog.processors.format_exc_info, redact, in_order]
    structlog.configure(
        processors=[*ours, *common, render],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*ours, structlog.stdlib.add_logger_name, _from_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *common, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quietest in QUIET.items():
        logging.getLogger(name).setLevel(max(quietest, getattr(logging, level)))
    logging.captureWarnings(capture=True)


def hide(*secrets: str) -> None:
    """From now on never show these values either (secrets are recognised by their shape anyway)."""
    global _redactor  # noqa: PLW0603 (one process, one set of secrets)
    _redactor = Redactor(secrets)


class _Sink:
    """The stream; a structlog logger whose every method writes one line at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = fatal = msg = write


class _Handler(logging.Handler):
    """The standard library's way to the same stream."""

    def __init__(self, sink: _Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except structlog.DropEvent:
            return
        except Exception:  # a log line must never stop the program
            self.handleError(record)
            return
        self._sink.write(line)


def _complete(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Give an event the keys that every line has, where its writer had nothing special to say."""
    event.setdefault("service", "operator")
    event.setdefault("action", "run")
    event.setdefault("status", "failed" if event.get("level") in ("error", "critical") else "ok")
    return event


def _from_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Adapt a record of the standard library; kopf's know their object."""
    library = str(event.get("logger", "")).partition(".")[0]
    event["service"] = _SERVICES.get(library, "operator")
    event["action"] = library or "run"
    if library == "aiokafka" and event.get("level") == "error" and not event.get("exc_info"):
        # A broker that restarts costs dozens of its errors, each of which it tries again by itself.
        event["level"], event["status"] = "warning", "retrying"
    # Not `ExtraAdder`: kopf hangs its whole settings into `extra`.
    reference = getattr(event.get("_record"), "k8s_ref", None)
    if isinstance(reference, Mapping):
        event["namespace"], event["name"] = reference.get("namespace"), reference.get("name")
    return event


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take secrets out of every text of an event, whatever it is nested in."""
    for key, value in event.items():
        if key not in OURS_TO_NAME and not isinstance(value, (int, float)):
            event[key] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    match value:
        case str():
            text = _redactor(value)
            return text if len(text) <= TEXT_LIMIT else "…" + text[-TEXT_LIMIT:]
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case _:
            return _redactor(str(value))


def in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The keys of `ORDER` first."""
    first = {key: event[key] for key in ORDER if key in event}
    return {**first, **event}


def render_json(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    try:
        return orjson.dumps(event).decode()
    except TypeError:
        # Integers beyond 64 bits, lone surrogates (file names): orjson refuses what JSON can say.
        return json.dumps(event, default=str)


def _finish(event: EventDict, render: Processor) -> str:
    """The line of an event that was held back after `_complete`."""
    finished: Any = event
    for process in (structlog.processors.format_exc_info, redact, in_order, render):
        finished = process(None, "", finished)
    return str(finished)
