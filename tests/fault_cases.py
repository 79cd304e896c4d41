"""`tests/faults.yaml` as values: what the operator must say of each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("faults.yaml")


NOT_PROVOKED = {
    ("identity", "NotConfigured"): "a missing region stops every ladder that needs it at its configuration rung",
    ("identity", "UnexpectedAnswer"): "tests/lab/test_aws_identity.py puts a web page in the place of STS",
    ("identity", "ProxyUnreachable"): "tests/lab/test_aws_identity.py; the proxies of the matrix exempt STS",
    ("identity", "ProxyAuthenticationRequired"): "tests/lab/test_aws_identity.py; the proxies of the matrix exempt STS",
    ("identity", "ProxyRefused"): "tests/lab/test_aws_identity.py; the proxies of the matrix exempt STS",
    ("kafka", "WriteDataDenied"): "only `send` writes: tests/lab/test_kafka_prober.py",
    ("kafka", "TooLarge"): "only `send` writes: tests/lab/test_kafka_prober.py",
    ("kafka", "CoordinatorUnavailable"): "would cost the lab every committed offset; tests/lab/test_kafka_adapter.py",
    (
        "kafka",
        "UnsupportedCompression",
    ): "every codec of Kafka is installed; tests/lab/test_kafka_adapter.py removes one",
    ("kafka", "RequestTimeout"): "a broker that is paused does not finish TLS either; tests/lab/test_kafka_prober.py",
    (
        "kafka",
        "ServiceUnavailable",
    ): "a real broker gives no such answer to these questions; tests/unit/test_kafka_errors.py",
    ("opensearch", "CreateIndexDenied"): "probing creates no index; tests/lab/test_opensearch_adapter.py",
    ("opensearch", "IndexNotFound"): "an absent index is a warning to probes; tests/lab/test_opensearch_adapter.py",
    ("opensearch", "DocumentRejected"): "about one message's document: tests/lab/test_opensearch_adapter.py",
    ("postgresql", "TLSNotSpoken"): "PostgreSQL agrees to TLS before it begins; tests/lab/test_postgresql_ladder.py",
    ("postgresql", "ServiceUnavailable"): "a real server gives no such answer; tests/unit/test_postgresql_failures.py",
}
"""(service, code) that no switch of the lab provokes -> why, and which test does."""


@dataclass(frozen=True)
class Expectation:
    """What is shown of one service."""

    service: str
    reason: str
    rung: str | None = None
    remedy: Sequence[str] = ()
    message: Sequence[str] = ()
    warnings: Sequence[str] = ()

    def differences(self, shown: Mapping[str, Any]) -> list[str]:
        """What is not as expected in an entry of ``services``, of the status or of `check -o json`."""
        found = []
        for kind, texts in (("remedy", self.remedy), ("message", self.message)):
            said = str(shown.get(kind) or "")
            found += [f"{kind} lacks {text!r}: {said}" for text in texts if text not in said]
        if (shown["reason"], shown.get("rung")) != (self.reason, self.rung):
            found.append(f"{shown['reason']} at {shown.get('rung')}, not {self.reason} at {self.rung}")
        warned = {warning["reason"] for warning in shown.get("warnings") or ()}
        if missing := set(self.warnings) - warned:
            found.append(f"warns of {sorted(warned)}, not of {sorted(missing)}")
        return found


@dataclass(frozen=True)
class Case:
    """One entry."""

    name: str
    expect: Sequence[Expectation]
    check: Sequence[Expectation]
    switches: Sequence[str]
    operator: bool = True
    together: str | None = None
    credentials: str = "long"
    topics: Sequence[str] = ()
    flowing: bool = False
    note: str = ""


def load() -> list[Case]:
    """All entries in the order of the file. `TypeError` for a field that does not exist."""
    return [_case(**entry) for entry in yaml.safe_load(FILE.read_text())]


def _case(name: str, expect: list[dict[str, Any]], **more: Any) -> Case:
    expected = [Expectation(**item) for item in expect]
    check = [Expectation(**item) for item in more.pop("check", ())] or expected
    return Case(name, expected, check, more.pop("switches", [name]), **more)
