"""The lab's resolver gives another answer for single names; what each fault changes is kept, so that faults compose."""

from __future__ import annotations

import json

from lab import dns, paths, world

FILE = paths.STATE / "fault-names.json"


def override(fault: str, answers: dict[str, str | None]) -> None:
    """Name -> another address; None: the name does not exist."""
    _publish({**_read(), fault: answers})


def restore(fault: str) -> None:
    """Answer as before the fault."""
    _publish({other: answers for other, answers in _read().items() if other != fault})


def _publish(changes: dict[str, dict[str, str | None]]) -> None:
    FILE.write_text(json.dumps(changes))
    names: dict[str, str | None] = dict(world.names())
    for answers in changes.values():
        names.update(answers)
    dns.publish({name: address for name, address in names.items() if address is not None})


def _read() -> dict[str, dict[str, str | None]]:
    try:
        found: dict[str, dict[str, str | None]] = json.loads(FILE.read_text())
    except FileNotFoundError:
        return {}
    return found
