"""When a failure is told again, and what counts as the same failure."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog

from connectivity_operator.repeats import QUIET_SECONDS, Repeats


class Told:
    """Feeds events through `Repeats` under a clock of its own and keeps what comes out."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[dict[str, Any]] = []
        self._repeats = Repeats(write=lambda event: self.lines.append(dict(event)), clock=lambda: self.now)

    def tell(self, event: str = "failed", *, level: str = "error", **fields: Any) -> None:
        fields = {"service": "kafka", "action": "fetch", "status": "failed", **fields}
        with suppress(structlog.DropEvent):
            self.lines.append(dict(self._repeats(None, "", {"event": event, "level": level, **fields})))

    @property
    def counts(self) -> list[tuple[str, int | None]]:
        return [(line["event"], line.get("repeated")) for line in self.lines]


def test_the_first_of_its_kind_is_told_at_once() -> None:
    """Nobody waits for the news."""
    told = Told()
    told.tell()
    assert told.counts == [("failed", None)]


def test_it_is_told_again_after_a_minute_with_its_count() -> None:
    """A long outage stays visible: one line a minute, which says how many failures it stands for."""
    told = Told()
    for told.now in (0.0, 10.0, 20.0, QUIET_SECONDS, QUIET_SECONDS + 1):
        told.tell()
    assert told.counts == [("failed", None), ("failed", 3)]


def test_a_rare_failure_is_always_told() -> None:
    """Once in an hour is no repetition."""
    told = Told()
    for told.now in (0.0, 3600.0, 7200.0):
        told.tell()
    assert told.counts == [("failed", None)] * 3


def test_numbers_in_the_text_make_no_difference() -> None:
    """Ports, node ids and counts change between two tellings of the same failure."""
    told = Told()
    told.tell("node 1 at 0x7f3a: closed after 0.25 s")
    told.tell("node 2 at 0x7f3b: closed after 13 s")
    assert len(told.lines) == 1


def test_another_reason_resource_message_or_partition_is_another_failure() -> None:
    """Counting must not hide anything new."""
    told = Told()
    told.tell()
    for fields in (
        {"reason": "ConnectionRefused"}, {"reason": "ConnectionTimeout"}, {"name": "a"}, {"name": "b"}, {"offset": 1},
        {"offset": 2}, {"partition": 1}, {"document_id": "u-orders-0-1-1"}, {"document_id": "u-orders-0-2-1"},
        {"status": "retrying"}, {"action": "commit"}, {"service": "openai"}, {"rung": "tls"}, {"topic": "orders"},
    ):  # fmt: skip
        told.tell(**fields)
    assert len(told.lines) == 15


def test_failures_that_alternate_are_counted_each() -> None:
    """Two nodes that fail in turn are two kinds, not an endless change."""
    told = Told()
    for _ in range(100):
        told.tell("leader away")
        told.tell("coordinator away")
    assert told.counts == [("leader away", None), ("coordinator away", None)]


def test_success_ends_the_row() -> None:
    """What was held back is told first; the next failure is news again."""
    told = Told()
    told.tell()
    told.tell()
    told.tell()
    told.tell("fetched", level="info", status="ok")
    told.tell()
    assert told.counts == [("failed", None), ("failed", 2), ("fetched", None), ("failed", None)]


def test_success_of_something_else_ends_nothing() -> None:
    """Another resource's luck is not ours."""
    told = Told()
    told.tell(name="a")
    told.tell(name="a")
    told.tell("fetched", level="info", status="ok", name="b")
    told.tell(name="a")
    assert told.counts == [("failed", None), ("fetched", None)]


def test_what_is_no_failure_is_never_held_back() -> None:
    """A thousand consumed messages are a thousand lines."""
    told = Told()
    for _ in range(1000):
        told.tell("message consumed", level="info", status="ok")
    assert len(told.lines) == 1000


def test_a_change_of_the_status_is_never_held_back() -> None:
    """Two services that fail alike, or one that fails twice in a minute, are two pieces of news."""
    told = Told()
    for subject in ("kafka", "postgresql"):
        told.tell("transition", level="warning", subject=subject, reason="ConnectionTimeout")
    assert [line["subject"] for line in told.lines] == ["kafka", "postgresql"]


def test_memory_is_bounded() -> None:
    """Thousands of failing resources and texts do not pile up."""
    told = Told()
    for index in range(5000):
        told.tell(name=f"r-{index}")
    for index in range(500):
        told.tell("x" * index, name="one")
    scopes = told._repeats._scopes
    assert len(scopes) <= 2000
    assert max(len(rows) for rows in scopes.values()) <= 50
