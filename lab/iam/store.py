"""The account's state and the credentials that were issued, kept in one file so that a restart changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lab.iam import defaults, state
from lab.iam.credentials import Credentials
from lab.iam.state import Document, State

_REMEMBERED_SECONDS = 24 * 3600
"""Expired credentials are known that much longer, so that their use is `expired` and not `invalid`."""


class Store:
    """The one owner of what changes. Not shared between processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._issued: dict[str, Credentials] = {}
        self.asked: Counter[str] = Counter()
        """How often: STS's actions by name, and what the servers had verified (msk, rds, aoss), since the start."""
        self.document: Document = defaults.document()
        self._load()
        self.state: State = state.read(self.document)

    def now(self) -> float:
        """AWS's clock, epoch seconds."""
        return time.time() + self.state.faults.clock_skew_seconds

    def replace(self, document: Document) -> None:
        """Make this the state. Raises `MalformedStateError` and changes nothing if it cannot be."""
        self.state = state.read(document)
        self.document = document
        self._save()

    def patch(self, patch: Document) -> None:
        """Merge into the state (RFC 7396). Raises `MalformedStateError`."""
        self.replace(state.merge(self.document, patch))

    def reset(self) -> None:
        """Back to the default state; credentials that were issued stay good."""
        self.replace(defaults.document())

    def credentials(self, access_key: str) -> Credentials | None:
        """The credentials with that access key: issued ones, or a user's."""
        issued = self._issued.get(access_key)
        if issued:
            return issued
        users = (user.credentials for user in self.state.users.values())
        return next((c for c in users if c.access_key == access_key), None)

    def remember(self, credentials: Credentials) -> None:
        """Keep issued credentials; forget those that expired long ago."""
        limit = self.now() - _REMEMBERED_SECONDS
        self._issued = {k: c for k, c in self._issued.items() if c.expires is None or c.expires > limit}
        self._issued[credentials.access_key] = credentials
        self._save()

    def expire_issued(self) -> int:
        """End all issued credentials now; the number of those that were still good."""
        now = self.now()
        ended = [c for c in self._issued.values() if c.expires is None or c.expires > now]
        for c in ended:
            self._issued[c.access_key] = replace(c, expires=now)
        self._save()
        return len(ended)

    def _load(self) -> None:
        if not self._file.exists():
            return
        saved: dict[str, Any] = json.loads(self._file.read_text())
        if saved["defaults"] != _digest(defaults.document()):
            return  # another version of the lab wrote it: its roles may lack what this one promises
        self.document = saved["state"]
        self._issued = {c["access_key"]: Credentials(**c) for c in saved["issued"]}

    def _save(self) -> None:
        content = {
            "defaults": _digest(defaults.document()),
            "state": self.document,
            "issued": [asdict(c) for c in self._issued.values()],
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            json.dump(content, output)
        temporary.replace(self._file)


def _digest(document: Document) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
