"""What the soak would notice."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

from tests.soak.watching import Seen, documents, flips

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def body(status: str, reason: str, *warnings: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "orders"},
        "status": {
            "conditions": [{"type": "Ready", "status": status, "reason": reason, "message": "m"}],
            "services": [{"name": "kafka", "warnings": [{"reason": w} for w in warnings]}],
        },
    }


def test_a_flip_and_its_return_are_two_flips_and_a_reason_is_none() -> None:
    """However short it was; another reason of the same status is a change, no flip."""
    seen = Seen([])
    for version in (
        body("True", "AllConnected"),
        body("True", "EndToEndVerified"),
        body("False", "KafkaFailed"),
        body("True", "EndToEndVerified"),
    ):
        seen.take(version, AT)
    assert len(seen.changes) == 3
    assert [change.after[1] for change in flips(seen.changes)] == ["KafkaFailed", "EndToEndVerified"]


def test_a_warning_counts_once_for_as_long_as_it_stands() -> None:
    """It is in every version of the status meanwhile."""
    seen = Seen([])
    for version in (
        body("True", "A"),
        body("True", "A", "ConnectionRefused"),
        body("True", "A", "ConnectionRefused"),
        body("True", "A"),
        body("True", "A", "ConnectionRefused"),
    ):
        seen.take(version, AT)
    assert seen.warnings == 2


def test_kubectls_stream_is_read_object_by_object() -> None:
    """Indented objects, one after the other, the last one perhaps cut off."""
    text = "".join(json.dumps(body("True", str(n)), indent=4) + "\n" for n in range(3))
    assert len(list(documents(io.StringIO(text + '{\n    "metadata"')))) == 3
