"""Two operators watch the same resources: one looks after each, the other says so and stays away until it is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from connectivity_operator.status import timestamp
from lab import operator_env, paths, processes
from lab.operating import Operator, Resource, committed, kubectl, rows, send, texts, until
from tests.e2e.conftest import MakeResource

SECOND = "operator-2"
AWAY = "another operator looks after this resource"


@contextmanager
def second_operator() -> Iterator[str]:
    """Another release: another name, and other ports, because both are processes of one machine. How it signs."""
    names = {"OPERATOR_NAMESPACE": "elsewhere", "OPERATOR_NAME": "second"}
    argv, env = operator_env.command(
        operator_env.OPERATOR_COMMAND, extra={**names, "HEALTH_PORT": "18090", "METRICS_PORT": "0"}
    )
    log = paths.LOGS / f"{SECOND}.log"
    log.unlink(missing_ok=True)
    processes.spawn(SECOND, argv, env=env, inherit=False, cwd=paths.ROOT)
    try:
        until(lambda: log.exists() and said(SECOND, event="service started"), limit=60, what="the second operator")
        yield "elsewhere/second"
    finally:
        processes.end(SECOND, grace=20)


def said(process: str, since: int = 0, **wanted: str) -> list[dict[str, Any]]:
    """Events in the log of a process, from a position in it on."""
    text = (paths.LOGS / f"{process}.log").read_bytes()[since:].decode(errors="replace")
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
    return [event for event in events if wanted.items() <= event.items()]


def overdue(resource: Resource) -> None:
    """Let the time pass after which the status is not valid any more."""
    past = timestamp(datetime.now(UTC) - timedelta(seconds=1))
    patch = json.dumps({"status": {"validUntil": past}})
    where = ("ctest", resource.name, "-n", resource.namespace)
    kubectl("patch", *where, "--subresource=status", "--type=merge", "-p", patch)


def test_the_second_stays_away_and_takes_over_when_the_first_is_gone(
    operator: Operator, make_resource: MakeResource
) -> None:
    """No message is handled twice; the first, when it is back, stays away in its turn."""
    resource = make_resource()
    resource.until("Ready", "AllConnected")
    resource.until_reading()
    first = resource.status["operator"]
    with second_operator() as second:
        until(lambda: said(SECOND, name=resource.name, event=AWAY), limit=30, what="the second to stay away")
        [away] = said(SECOND, name=resource.name, event=AWAY)
        assert away["operator"] == first != second
        send(resource.topics[0], texts("first", 3))
        until(lambda: len(rows(resource.topics[0])) == 3, limit=60, what="three rows")
        assert not said(SECOND, name=resource.name, service="kafka"), "it has nothing to do with the messages"

        # What was finished and not committed would come again after the kill, as it must.
        until(lambda: sum(committed(resource).values()) == 3, limit=30, what="the offsets of three messages")
        operator.kill()
        overdue(resource)
        until(lambda: resource.status["operator"] == second, limit=60, what="the second to take over")
        send(resource.topics[0], texts("second", 3))
        until(lambda: len(rows(resource.topics[0])) == 6, limit=90, what="six rows")
        resource.until("Ready", "EndToEndVerified")

        position = (paths.LOGS / "operator.log").stat().st_size
        operator.start()
        until(
            lambda: said("operator", position, name=resource.name, event=AWAY), limit=60, what="the first to keep away"
        )
        assert resource.status["operator"] == second


def test_one_of_two_gets_a_resource_that_both_see_at_once(operator: Operator, make_resource: MakeResource) -> None:
    """Whoever has signed last keeps it; the other one notices, and puts down what it had begun."""
    with second_operator() as second:
        position = (paths.LOGS / "operator.log").stat().st_size
        resource = make_resource()
        resource.until("Ready", "AllConnected")

        def away() -> set[str]:
            last = {
                name: said(name, start, name=resource.name) for name, start in (("operator", position), (SECOND, 0))
            }
            return {name for name, events in last.items() if any(event["event"] == AWAY for event in events)}

        until(lambda: len(away()) == 1, limit=60, what="one of them to stay away")
        owner = resource.status["operator"]
        assert (owner == second) == (away() == {"operator"})
        send(resource.topics[0], texts("contested", 2))
        until(lambda: len(rows(resource.topics[0])) == 2, limit=90, what="two rows")
        assert resource.status["operator"] == owner
