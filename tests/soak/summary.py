"""What a soak found, in words: for the test's output, and for a page that is kept."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.soak.watching import Change, flips


@dataclass(frozen=True)
class Traffic:
    """One resource's messages in the end."""

    name: str
    interval: int
    sent: int
    rows: int
    documents: int
    repeated: int
    """Rows and documents beyond one a message."""


@dataclass(frozen=True)
class Use:
    """What the operator's process holds."""

    resident: float
    """MiB."""
    threads: int


@dataclass(frozen=True)
class Soak:
    """Everything that a soak found."""

    began: datetime
    seconds: float
    disturbances: Counter[str]
    renewals: int
    logins: int
    versions: int
    warnings: int
    changes: Sequence[Change]
    history: Sequence[str]
    """Entries of the resources' histories that came meanwhile."""
    errors: Sequence[str]
    """Events of the operator's log of level ERROR or worse."""
    traffic: Sequence[Traffic]
    before: Use
    after: Use


def page(soak: Soak, command: str) -> str:
    """The summary as Markdown."""
    ready = [change for change in flips(soak.changes) if change.condition == "Ready"]
    load = os.getloadavg()[2]
    lines = [
        "# Soak: no false alarms",
        "",
        "Healthy resources under light traffic, while a harmless disturbance happens every few seconds: none may turn",
        "`Ready` into anything but True. Measured in the lab (its IAM, OpenAI and Serverless are emulated, see the",
        f"README), on {os.cpu_count()} cores shared with others (load average at the end {load:.1f}). This page is",
        "written by the run:",
        "",
        "```console",
        command,
        "```",
        "",
        (
            f"**{len(ready)} flips of `Ready`, {len(flips(soak.changes))} of any condition, in {soak.seconds / 60:.0f} "
            f"minutes with {soak.disturbances.total()} disturbances** "
            f"(begun {soak.began:%Y-%m-%d %H:%M} UTC; {len(soak.traffic)} resources; {soak.versions} versions of their "
            f"statuses seen by `kubectl get --watch`; {len(soak.history)} new entries in their histories)."
        ),
        "",
        *(f"- {change}" for change in soak.changes),
        *([""] if soak.changes else []),
        "| resource | checked every | messages in | rows out | documents out | repeated |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {t.name} | {t.interval} s | {t.sent:,} | {t.rows:,} | {t.documents:,} | {t.repeated} |"
            for t in soak.traffic
        ),
        "",
        "Repeated: rows and documents beyond one a message (at-least-once: an answer that is lost with its connection",
        "is asked for again).",
        "",
        "| disturbance | times |",
        "| --- | ---: |",
        *(f"| {name} | {times} |" for name, times in soak.disturbances.items()),
        f"| AWS credentials renewed | {soak.renewals} |",
        f"| Kafka sessions re-authenticated, and other logins to the brokers | {soak.logins} |",
        "",
        (
            f"Failures that passed before they became a verdict (warnings in the status): {soak.warnings}. "
            f"Errors in the operator's log: {len(soak.errors)}."
        ),
        (
            f"The operator's process: {soak.before.resident:.0f} MiB resident and {soak.before.threads} threads at the "
            f"beginning, {soak.after.resident:.0f} MiB and {soak.after.threads} at the end."
        ),
        "",
    ]
    return "\n".join(lines)
