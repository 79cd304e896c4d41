"""Where the matrix happens: an operator, one resource that has everything, `check` beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import operator_env, paths
from lab.faults import switches
from lab.iam import control
from lab.opensearch import admin as opensearch
from lab.operating import Operator, Resource, send, texts
from tests.fault_cases import Expectation

TOPICS = ("connectivity-test", "orders", "payments")
"""Those of the lab, which switches are about; either broker leads a part of them."""
INDEX = "connectivity-test-faults"
CONDITIONS = {
    "kafka": "KafkaConnected",
    "openai": "OpenAIConnected",
    "opensearch": "OpenSearchConnected",
    "postgresql": "PostgreSQLConnected",
}
CHECK = (sys.executable, "-m", "connectivity_operator", "check", "-o", "json", "--index", INDEX)
CHECK_LIMIT = 60.0

SHORT = 100
"""Seconds that credentials live in the part of the matrix about identity: less than the operator waits to the last
(two minutes), so that a refresh that fails shows as soon as it is tried."""

ASK_AGAIN = 6.0
"""Seconds; the operator asks STS for new credentials every five seconds at most."""


@dataclass
class Place:
    """The running operator and its resource."""

    operator: Operator = field(default_factory=Operator)
    resource: Resource = field(
        default_factory=lambda: Resource("faults", TOPICS, INDEX, spec={"intervalSeconds": 20, "timeoutSeconds": 12})
    )
    credentials: str = ""
    checks: list[tuple[str, str]] = field(default_factory=list)
    """What each `check` was about, and all that it printed."""

    def prepare(self) -> None:
        """An index and a table, which come with the first message."""
        self.clear()
        self.operator.start()
        self.resource.apply().until_reading()
        send(TOPICS[0], texts("first", 1))
        self.resource.until("Ready", "EndToEndVerified")

    def clear(self) -> None:
        """Nothing is left."""
        self.operator.stop()
        switches.off_all()
        control.reset()
        self.operator.start()
        self.resource.delete()
        self.operator.stop()
        opensearch.delete_index(INDEX)

    def live_on(self, credentials: str) -> None:
        """The operator runs, on credentials of that kind, and everything is Connected."""
        if credentials != self.credentials or not self.operator.running:
            self.operator.stop()
            control.patch_state({"faults": {"credentials_cap_seconds": SHORT if credentials == "short" else None}})
            self.operator.start()
            self.credentials = credentials
            self.resource.apply()
            self.settled = False
        if not self.settled:
            self.connected()

    def connected(self, limit: float = 60.0) -> None:
        """Ask until everything is Connected and warns of nothing."""
        healthy = [Expectation(service, "Connected") for service in CONDITIONS]
        self.shows(healthy, limit=limit, quiet=True)
        self.settled = True

    def shows(self, expected: Sequence[Expectation], *, limit: float, quiet: bool = False) -> float:
        """Ask until the status shows just this; seconds that it took. ``quiet``: no warnings besides.

        Fails with what it shows instead.
        """
        began = time.monotonic()
        asked = float("-inf")
        while True:
            if time.monotonic() - asked > ASK_AGAIN:
                self.resource.request_check()
                asked = time.monotonic()
            status = self.resource.status
            differences = differing(status, expected, quiet=quiet)
            if not differences:
                return time.monotonic() - began
            if time.monotonic() - began > limit:
                raise AssertionError(f"after {limit:.0f} s the resource shows\n  " + "\n  ".join(differences))
            time.sleep(0.3)

    def transitions(self) -> dict[str, tuple[str, str]]:
        """Service -> (reason, last transition) of its condition."""
        conditions = {c["type"]: c for c in self.resource.status["conditions"]}
        return {
            service: (conditions[kind]["reason"], conditions[kind]["lastTransitionTime"])
            for service, kind in CONDITIONS.items()
        }


def differing(status: dict[str, Any], expected: Sequence[Expectation], *, quiet: bool = False) -> list[str]:
    """What a status shows otherwise, in its conditions and in its services."""
    services = {service["name"]: service for service in status.get("services") or ()}
    conditions = {c["type"]: c["reason"] for c in status.get("conditions") or ()}
    found = []
    for one in expected:
        if one.service not in services:
            found.append(f"{one.service}: nothing yet")
            continue
        shown = services[one.service]
        found += [f"{one.service}: {text}" for text in one.differences(shown)]
        if conditions[CONDITIONS[one.service]] != one.reason:
            found.append(f"condition {CONDITIONS[one.service]} has the reason {conditions[CONDITIONS[one.service]]}")
        if quiet and shown.get("warnings"):
            found.append(f"{one.service} warns of {[w['reason'] for w in shown['warnings']]}")
    return found


@dataclass
class Check:
    """One run of `connectivity-operator check`, beside whatever else goes on."""

    process: subprocess.Popen[str]
    said: str = ""
    """All that it printed, once it has ended."""

    @classmethod
    def begin(cls, topics: Sequence[str] = TOPICS) -> Check:
        """Start it in the operator's place."""
        argv = [*CHECK, *(word for topic in topics for word in ("--topic", topic))]
        wrapped, env = operator_env.command(argv)
        return cls(
            subprocess.Popen(
                wrapped, env=env, cwd=paths.ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        )

    def report(self) -> dict[str, Any]:
        """What it printed, once it has ended; its exit code must agree."""
        output, errors = self.process.communicate(timeout=CHECK_LIMIT)
        self.said = output + errors
        try:
            document: dict[str, Any] = json.loads(output)
        except ValueError as error:
            raise AssertionError(f"check printed no JSON: {output}\n{errors}") from error
        assert self.process.returncode == (0 if document["passed"] else 1), (document, errors)
        return document


def check_differs(document: dict[str, Any], expected: Sequence[Expectation]) -> list[str]:
    """What `check` shows otherwise; a service that nothing is expected of must be Connected."""
    services = {service["name"]: service for service in document["services"]}
    named = {one.service: one for one in expected}
    found = []
    for name, shown in services.items():
        one = named.get(name, Expectation(name, "Connected"))
        found += [f"check: {name}: {text}" for text in one.differences(shown)]
    return found
