"""Every change of every resource as the API server tells it, and what of it a person would notice."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Self

from lab.kubernetes import access, programs
from lab.operating import NAMESPACE


@dataclass(frozen=True)
class Change:
    """One condition of one resource has another status or another reason."""

    at: datetime
    name: str
    condition: str
    before: tuple[str, str]
    """(status, reason)."""
    after: tuple[str, str]
    message: str

    @property
    def flip(self) -> bool:
        """The status itself has changed: what `kubectl wait`, alerts and people look at."""
        return self.before[0] != self.after[0]

    def __str__(self) -> str:
        arrow = f"{'/'.join(self.before)} → {'/'.join(self.after)}"
        return f"{self.at:%H:%M:%S} {self.name} {self.condition}: {arrow}: {self.message}"


@dataclass
class Seen:
    """All versions of some resources, one after the other."""

    changes: list[Change]
    versions: int = 0
    warnings: int = 0
    """Warnings that came up: failures that were seen, and passed before they became a verdict."""

    def __post_init__(self) -> None:
        self._conditions: dict[tuple[str, str], tuple[str, str]] = {}
        self._warned: dict[str, set[tuple[str, str]]] = {}

    def take(self, body: Mapping[str, Any], at: datetime) -> None:
        """One more version of a resource."""
        self.versions += 1
        name, status = body["metadata"]["name"], body.get("status") or {}
        for condition in status.get("conditions") or []:
            now = (condition["status"], condition["reason"])
            before = self._conditions.get((name, condition["type"]))
            if before is not None and before != now:
                self.changes.append(Change(at, name, condition["type"], before, now, condition["message"]))
            self._conditions[name, condition["type"]] = now
        warned = {(s["name"], w["reason"]) for s in status.get("services") or [] for w in s.get("warnings") or []}
        self.warnings += len(warned - self._warned.get(name, set()))
        self._warned[name] = warned


class Watch:
    """Follows resources of the operator's namespace with `kubectl get --watch` for as long as the block lasts."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.seen = Seen([])
        self._ended = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._process:
            self._process.terminate()
        self._thread.join()

    def _run(self) -> None:
        # The API server ends every watch after half an hour or more. What would change while nobody looks is in
        # the resource's history.
        command = [str(programs.kubectl()), "-n", NAMESPACE, "get", "ctest", "--watch", "-o", "json"]
        while not self._ended.is_set():
            self._process = subprocess.Popen(
                command, env={**os.environ, "KUBECONFIG": str(access.ADMIN)}, stdout=subprocess.PIPE, text=True
            )
            assert self._process.stdout is not None
            for body in documents(self._process.stdout):
                if body["metadata"]["name"] in self._names:
                    self.seen.take(body, datetime.now(UTC))
            self._process.wait()


def documents(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream in which one indented object follows the other."""
    lines: list[str] = []
    for line in stream:
        lines.append(line)
        if line == "}\n":
            yield json.loads("".join(lines))
            lines = []


def flips(changes: Sequence[Change]) -> list[Change]:
    """Those that change a status."""
    return [change for change in changes if change.flip]
