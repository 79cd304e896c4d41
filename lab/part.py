"""What a part of the lab is. The runner (`lab/runner.py`) prepares and starts parts side by side."""

from __future__ import annotations

from typing import Protocol


class NotReady(Exception):
    """The part is not ready yet; the text says what is being waited for (shown to the user)."""


class PartError(Exception):
    """The part cannot be prepared or has died; the text is for a person and names the fix or the log to read."""


class Part(Protocol):
    """One server (or a few that belong together).

    ``prepare`` fetches and builds into the cache (``lab.paths.CACHE``), is idempotent and fast when
    nothing changed. ``start`` launches processes by ``lab.processes.spawn`` and returns at once.
    ``ready`` raises ``NotReady`` until the part answers for real. ``seed`` makes what the lab promises
    (topics, roles, database …) once everything it needs is ready; idempotent.
    ``stop`` is needed only where terminating the recorded processes is not enough.
    """

    name: str
    needs: tuple[str, ...]
    """Names of the parts that must be ready before this one is started."""

    def prepare(self) -> None: ...
    def start(self) -> None: ...
    def ready(self) -> None: ...
    def seed(self) -> None: ...
    def stop(self) -> None: ...
