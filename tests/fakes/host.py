"""A program behind the handlers that records what it is asked, and fails when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any


class FakeHost:
    """`handlers.Host`. Each supervisor runs until its stop, unless a script says otherwise."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.running: dict[str, asyncio.Event] = {}
        """Name -> the stop of its supervisor."""
        self.bodies: list[Mapping[str, Any]] = []
        """What supervisors were started with."""
        self.changed: list[str] = []
        self.gone: list[str] = []
        self.failures: list[BaseException] = []
        """The next supervisors raise these, in order."""
        self.vanish = False
        """Supervisors return at once, as for an object that is gone."""
        self.ending: float | None = None
        """Seconds that a supervisor takes to end; None: at once."""
        self.unhealthy: Exception | None = None

    async def startup(self) -> None:
        self.calls.append("startup")

    async def cleanup(self) -> None:
        self.calls.append(f"cleanup with {len(self.running)} running")

    async def run_supervisor(self, body: Mapping[str, Any], stop: asyncio.Event) -> None:
        name = body["metadata"]["name"]
        self.bodies.append(body)
        self.calls.append(f"run {name}")
        if self.failures:
            raise self.failures.pop(0)
        if self.vanish:
            return
        self.running[name] = stop
        try:
            await stop.wait()
            if self.ending:
                await asyncio.sleep(self.ending)
            self.calls.append(f"ended {name}")
        except asyncio.CancelledError:
            self.calls.append(f"cancelled {name}")
            raise
        finally:
            del self.running[name]

    def resource_changed(self, body: Mapping[str, Any]) -> None:
        self.changed.append(body["metadata"]["name"])

    def resource_gone(self, body: Mapping[str, Any]) -> None:
        self.gone.append(body["metadata"]["name"])

    async def release_all(self) -> None:
        self.calls.append(f"release all with {len(self.running)} running")

    def healthy(self) -> Mapping[str, str]:
        if self.unhealthy:
            raise self.unhealthy
        return {"supervisors": str(len(self.running))}
