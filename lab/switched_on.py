"""Which faults are switched on, and what they change in the operator's environment: one file in the lab's state.

Apart from `lab.faults`, which knows every server, so that whatever only runs programs need not load it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from lab import paths

FILE = paths.STATE / "faults.json"

Environment = Mapping[str, str | None]
"""Variable -> value; None takes it away."""


def read() -> dict[str, Environment]:
    """Name of each fault that is on -> the variables that it changes, in the order in which they were switched on."""
    try:
        found: dict[str, Environment] = json.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    return found


def add(name: str, environment: Environment) -> None:
    """Remember a fault."""
    _write({**read(), name: environment})


def remove(name: str) -> None:
    """Forget a fault."""
    _write({other: environment for other, environment in read().items() if other != name})


def applied_to(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment as the faults that are on leave it."""
    changed: dict[str, str | None] = dict(environment)
    for change in read().values():
        changed.update(change)
    return {variable: value for variable, value in changed.items() if value is not None}


def _write(content: Mapping[str, Environment]) -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    new = FILE.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1))
    new.replace(FILE)
