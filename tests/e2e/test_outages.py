"""Each dependency stops for half a minute and starts again: its condition says so, everything recovers by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import runner
from lab.operating import Load, Resource, account, ends, until
from tests.e2e.conftest import MakeResource

OUTAGE = 30.0
REASONS = {
    "ConnectionRefused", "ConnectionReset", "ConnectionTimeout", "BrokerUnreachable", "CoordinatorUnavailable",
    "LeaderUnavailable", "DatabaseStarting", "ServiceUnavailable", "RequestTimeout", "TLSHandshakeFailed",
}  # fmt: skip
"""Codes that a person would call right for a server that is not there."""


@contextmanager
def away(part: str) -> Iterator[None]:
    began = time.monotonic()
    runner.stop(part)
    try:
        yield
        time.sleep(max(0.0, OUTAGE - (time.monotonic() - began)))
    finally:
        runner.start(part)


@pytest.mark.parametrize(
    ("part", "condition"),
    [
        ("kafka", "KafkaConnected"),
        ("openai", "OpenAIConnected"),
        ("opensearch", "OpenSearchConnected"),
        ("postgresql", "PostgreSQLConnected"),
    ],
)
def test_a_dependency_goes_and_comes_back(make_resource: MakeResource, part: str, condition: str) -> None:
    """Seen by an idle resource and by one under traffic; the other conditions stay; nothing is lost."""
    idle, busy = make_resource(), make_resource()
    for resource in (idle, busy):
        resource.until_reading()
        resource.until("Ready", "AllConnected")
    with Load(busy.topics[0]) as load:
        busy.until("Ready", "EndToEndVerified")
        with away(part):
            for resource in (idle, busy):
                until(lambda r=resource: r.condition(condition)[0] == "False", limit=OUTAGE, what=f"{condition} False")
                assert resource.condition(condition)[1] in REASONS
                others = {
                    c["type"]: c["status"] for c in resource.status["conditions"] if c["type"].endswith("Connected")
                }
                assert [t for t, s in others.items() if s == "False"] == [condition]
        for resource in (idle, busy):
            until(lambda r=resource: r.condition(condition)[0] == "True", limit=60, what=f"{condition} True again")
    _nothing_lost(busy, load.sent)
    busy.until("Ready", "EndToEndVerified")
    until(lambda: idle.condition("Ready")[0] == "True", limit=60, what="the idle one Ready")


def _nothing_lost(resource: Resource, sent: int) -> None:
    topic = resource.topics[0]
    total = sum(ends(topic).values())
    assert total >= sent > 0
    until(lambda: len(account(topic, resource.index).rows) == total, limit=90, what=f"{total} rows", every=0.5)
    until(
        lambda: len(account(topic, resource.index).documents) == total, limit=30, what=f"{total} documents", every=0.5
    )
