"""`tests/faults.yaml` as values: what the operator must say of each fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("faults.yaml")


NOT_PROVOKED = {
    (key.partition("/")[0], key.partition("/")[2]): f"{entry['why']}; see `{entry['test'].partition('::')[0]}`"
    for key, entry in yaml.safe_load(FILE.with_name("provoked.yaml").read_text()).items()
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
    limit: float = 60.0
    note: str = ""


def load() -> list[Case]:
    """All entries in the order of the file. `TypeError` for a field that does not exist."""
    return [_case(**entry) for entry in yaml.safe_load(FILE.read_text())]


def _case(name: str, expect: list[dict[str, Any]], **more: Any) -> Case:
    expected = [Expectation(**item) for item in expect]
    check = [Expectation(**item) for item in more.pop("check", ())] or expected
    return Case(name, expected, check, more.pop("switches", [name]), **more)
