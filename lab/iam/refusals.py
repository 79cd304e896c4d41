"""The true reasons of refusals: in the server's log and in a short memory for tests, never in an answer."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

_log = logging.getLogger(__name__)


class Refusals:
    """The last refusals, newest last."""

    def __init__(self, size: int = 500) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=size)

    def record(self, service: str, reason: str, **details: str) -> None:
        """Note that ``service`` refused and why."""
        self._entries.append({"time": time.time(), "service": service, "reason": reason, **details})
        _log.warning("%s refused: %s %s", service, reason, details or "")

    def entries(self) -> list[dict[str, Any]]:
        """All that are still remembered."""
        return list(self._entries)
