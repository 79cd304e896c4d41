"""The pipeline's log events. Message text never comes near them.

Every message has its own line for every step, as if it had been handled alone. Running each line through all
of structlog's processors would cost a third of the pipeline's speed, so a batch renders one line per topic
and step and fills partition, offset and document id of each message into it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog

from connectivity_operator.errors import DependencyError
from connectivity_operator.pipeline.progress import Trouble
from connectivity_operator.pipeline.work import Message, Work
from connectivity_operator.ports import TopicPartition
from connectivity_operator.reasons import Service

_PARTITION, _OFFSET, _DOCUMENT = 987_654_321_987_654_321, 987_654_321_987_654_322, "id-of-the-document-goes-here"
"""What stands in a rendered line where a message's own values come: nothing that occurs otherwise."""


class Journal:
    """Writes log events about one resource."""

    def __init__(self, work: Work) -> None:
        self._log: Any = structlog.get_logger().bind(namespace=work.namespace, name=work.name)
        self._work = work

    # ── one line a message ───────────────────────────────────────────────────────────────────────────
    def consumed(self, messages: Sequence[Message]) -> None:
        self._each("message consumed", messages, service="kafka", action="consume")

    def embedded(self, messages: Sequence[Message], dimensions: int, tokens: int, inputs: int, seconds: float) -> None:
        """``tokens`` and ``inputs`` are those of the request that the messages travelled in."""
        self._each(
            "embedding generated", messages, service="openai", action="embed", duration_ms=_ms(seconds),
            model=self._work.model, dimensions=dimensions, tokens=tokens, inputs=inputs,
        )  # fmt: skip

    def written(self, messages: Sequence[Message], seconds: float) -> None:
        self._each(
            "document written", messages, service="opensearch", action="index", duration_ms=_ms(seconds),
            index=self._work.index,
        )  # fmt: skip

    def inserted(self, messages: Sequence[Message], seconds: float) -> None:
        self._each("row inserted", messages, service="postgresql", action="insert", duration_ms=_ms(seconds))

    def skipped(self, message: Message) -> None:
        """A tombstone or an empty value."""
        self._log.info("message skipped: it has no text", action="consume", status="skipped", **_where(message))

    def rejected(self, message: Message, error: DependencyError | None) -> None:
        """It can never succeed; ``error`` is the refusal, None when its bytes are no text."""
        service = error.service if error else Service.KAFKA
        facts = _facts(error) if error else {}
        own = {"action": "reject", "status": "failed", "reason": str(message.reason), **_where(message)}
        self._log.error("message rejected", **{**facts, **own, "service": str(service)})

    # ── what happens to the whole ────────────────────────────────────────────────────────────────────
    def retrying(self, service: Service, action: str, error: DependencyError, delay: float) -> None:
        """Identical ones in a row are counted by the log's own processors."""
        own = {"service": str(service), "action": action, "status": "retrying", "reason": str(error.reason)}
        if error.retry_after is not None:
            own["retry_after"] = f"{error.retry_after:g}"
        self._log.warning(f"{action} failed, trying again", **{**_facts(error), **own, "delay_ms": _ms(delay)})

    def recovered(self, service: Service, action: str, trouble: Trouble) -> None:
        self._log.info(
            f"{action} works again", service=str(service), action=action, status="ok",
            reason=str(trouble.error.reason), failures=trouble.tries,
        )  # fmt: skip

    def index_created(self, dimensions: int) -> None:
        self._log.info(
            "index created", service="opensearch", action="create", status="ok",
            index=self._work.index, dimensions=dimensions,
        )  # fmt: skip

    def placed(self, starts: Mapping[TopicPartition, int]) -> None:
        for partition, offset in starts.items():
            self._log.info(
                "position fixed", service="kafka", action="position", status="ok",
                topic=partition.topic, partition=partition.partition, offset=offset,
            )  # fmt: skip

    def note(self, event: str, action: str, **values: object) -> None:
        """Something about the consumer as a whole that went as it should."""
        self._log.info(event, service="kafka", action=action, status="ok", **values)

    def warn(self, event: str, action: str, **values: object) -> None:
        """Something about the consumer as a whole that a person should know."""
        self._log.warning(event, service="kafka", action=action, **values)

    def crashed(self, error: BaseException, delay: float) -> None:
        """A fault of this program; nothing is lost, the pipeline is built anew."""
        self._log.error(
            "pipeline failed unexpectedly, starting again", action="run", status="retrying", delay_ms=_ms(delay),
            exc_info=error,
        )  # fmt: skip

    def _each(self, event: str, messages: Sequence[Message], **values: object) -> None:
        if not messages or not self._log.is_enabled_for(logging.INFO):
            return
        for (topic, with_document), alike in _alike(messages).items():
            shape = {"status": "ok", **values, "topic": topic, "partition": _PARTITION, "offset": _OFFSET}
            line = self._line(event, {**shape, "document_id": _DOCUMENT} if with_document else shape)
            if line:
                self._log._logger.info("\n".join([line % _own(m) for m in alike]))  # noqa: SLF001
            else:
                for message in alike:
                    own = {"document_id": message.document_id} if with_document else {}
                    self._log.info(event, **{**shape, **_where(message), **own})

    def _line(self, event: str, values: Mapping[str, object]) -> str | None:
        """A rendered line as a format for `_own`; None where events are collected instead of rendered (tests)."""
        if any(isinstance(p, structlog.testing.LogCapture) for p in structlog.get_config()["processors"]):
            return None
        # Open to wrapper classes by structlog's documentation, underscore or not.
        (line, *_), _ = self._log._process_event("info", event, dict(values))  # noqa: SLF001
        line = str(line).replace("%", "%%").replace(str(_PARTITION), "%(p)d").replace(str(_OFFSET), "%(o)d")
        return line.replace(_DOCUMENT, "%(d)s")


def _facts(error: DependencyError) -> dict[str, str]:
    """The evidence; ``status`` is another word of ours in a log line."""
    return {"http_status" if name == "status" else name: value for name, value in error.evidence.items()}


def _alike(messages: Sequence[Message]) -> Mapping[tuple[str, bool], list[Message]]:
    """By topic and by whether they have a document: what the lines of a batch differ in beside their numbers."""
    found: dict[tuple[str, bool], list[Message]] = {}
    for message in messages:
        found.setdefault((message.record.topic, message.document_id is not None), []).append(message)
    return found


def _own(message: Message) -> Mapping[str, object]:
    record, document = message.record, message.document_id
    # Ids are the server's own; quoted as JSON, should one ever hold a quote.
    return {"p": record.partition, "o": record.offset, "d": orjson.dumps(document).decode()[1:-1] if document else ""}


def _where(message: Message) -> dict[str, str | int]:
    record = message.record
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
