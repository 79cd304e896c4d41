"""Captures for the documents: what a person sees of five faults, as `check`, `kubectl describe` and a page show them.

``python -m lab.captures docs/captures`` with a running lab and ``chromium`` installed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import operator_env
from lab.faults import FAULTS
from lab.faults.fault import Fault
from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.operating import NAMESPACE, Operator, Resource, kubectl
from lab.part import PartError

CASES = (
    ("KafkaConnected", FAULTS["kafka-readdata-denied"]),
    ("PostgreSQLConnected", FAULTS["postgresql-rds-iam-not-granted"]),
    (
        "PostgreSQLConnected",
        Fault(
            "postgresql-ca-file-absent",
            "start the operator without POSTGRES_CA_FILE",
            environment={"POSTGRES_CA_FILE": None},
        ),
    ),
    ("OpenSearchConnected", FAULTS["opensearch-data-policy-missing"]),
    ("OpenAIConnected", FAULTS["openai-quota-exhausted"]),
)
"""The condition that becomes false, and why."""
RESOURCE = Resource(
    "orders", ("orders",), "connectivity-test-orders", spec={"intervalSeconds": 10, "timeoutSeconds": 5}
)
WINDOW = "860,900"


def main() -> None:
    """Capture every fault into the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(kafka.create_topic(RESOURCE.topics[0], 2))
    operator = Operator()
    operator.stop()
    try:
        for condition, fault in CASES:
            print(fault.name, flush=True)
            _capture(fault, condition, operator, folder)
    finally:
        asyncio.run(kafka.delete_topic(RESOURCE.topics[0]))
    sections = [_section(fault, folder) for _, fault in CASES]
    (folder / "README.md").write_text("\n\n".join([_INTRODUCTION, *sections]) + "\n")


_INTRODUCTION = """\
# Five faults as a person sees them

Written by `python -m lab.captures docs/captures`: each fault was switched on in the lab (whose AWS services and OpenAI
are emulated, see the README), `check` was run, the operator was given a resource and `kubectl describe` was called."""


def _section(fault: Fault, folder: Path) -> str:
    text = (folder / f"{fault.name}.check.txt").read_text().rstrip()
    return (
        f"## {fault.name}\n\nThe fault: {fault.summary}.\n\n```console\n{text}\n```\n\n"
        f"[`kubectl describe`]({fault.name}.describe.txt), and the top of `-o html`:\n\n"
        f"![The page of this check]({fault.name}.png)"
    )


def _capture(fault: Fault, condition: str, operator: Operator, folder: Path) -> None:
    fault.on()
    try:
        environment = {name: value or "" for name, value in fault.environment.items()}
        (folder / f"{fault.name}.check.txt").write_text(_check(environment, folder / f"{fault.name}.html"))
        operator.start(environment)
        RESOURCE.apply()
        for service in ("Kafka", "OpenAI", "OpenSearch", "PostgreSQL"):
            kind = f"{service}Connected"
            wanted = "False" if kind == condition else "True"
            kubectl(
                "wait",
                f"ctest/{RESOURCE.name}",
                "-n",
                NAMESPACE,
                f"--for=condition={kind}={wanted}",
                "--timeout=90s",
                limit=100,
            )
        described = kubectl("-n", NAMESPACE, "describe", f"ctest/{RESOURCE.name}")
        (folder / f"{fault.name}.describe.txt").write_text(described)
    finally:
        fault.off()
        RESOURCE.delete()
        operator.stop()
        opensearch.delete_index(RESOURCE.index)


def _check(environment: dict[str, str], page: Path) -> str:
    arguments = ("--topic", RESOURCE.topics[0], "--index", RESOURCE.index)
    argv, env = operator_env.command(
        ("connectivity-operator", "check", *arguments, "-o", f"html={page.resolve()}"), extra=environment
    )
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 1:
        raise PartError(f"check ended with {done.returncode} instead of 1: {done.stderr}")
    _screenshot(page)
    page.unlink()
    return f"$ connectivity-operator check {' '.join(arguments)}\n{done.stdout}"


def _screenshot(page: Path) -> None:
    quiet = ("no-first-run", "disable-background-networking", "disable-component-update", "disable-sync")
    plain = ("headless", "no-sandbox", "disable-gpu", "disable-quic", "hide-scrollbars")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                "chromium",
                *(f"--{option}" for option in (*plain, *quiet)),
                f"--user-data-dir={profile}",
                f"--window-size={WINDOW}",
                f"--screenshot={page.resolve().with_suffix('.png')}",
                page.resolve().as_uri(),
            ],
            env={"PATH": os.defpath, "HOME": profile},
            capture_output=True,
            timeout=120,
            check=True,
        )


if __name__ == "__main__":
    main()
