"""What the handlers need of the program."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol


class Host(Protocol):
    """The program behind the handlers. Bodies are objects as the API server sent them; nobody changes them."""

    async def startup(self) -> None:
        """Open what is shared. An exception ends the process with exit code 1."""

    async def cleanup(self) -> None:
        """Close it; called after every supervisor has ended."""

    async def run_supervisor(self, body: Mapping[str, Any], stop: asyncio.Event) -> None:
        """Supervise one object until ``stop`` is set and its work is put down.

        Returns earlier only when the object is certainly gone. May be cancelled when it takes too long to end.
        """

    def resource_changed(self, body: Mapping[str, Any]) -> None:
        """There is an object, new or changed, its status included. Cheap; called before its supervisor starts."""

    def resource_gone(self, body: Mapping[str, Any]) -> None:
        """An object is no longer there (or no longer ours: another label)."""

    async def release_all(self) -> None:
        """Let every object in deletion go: its kind is being deleted, and no supervisor runs any more."""

    def healthy(self) -> Mapping[str, str]:
        """Facts for the answer of the liveness probe; raises when the process should be restarted."""
