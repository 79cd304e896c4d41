"""Where results go: JSON lines in an ignored folder, tables on the screen and, if wanted, in bench/README.md."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab import paths, world
from lab.administration import call
from lab.kubernetes import programs
from lab.postgresql import psql

FOLDER = Path(__file__).parent / "results"
README = Path(__file__).parent / "README.md"

LIBRARIES = ("kopf", "aiokafka", "openai", "opensearch-py", "requests-aws4auth", "asyncpg", "kubernetes", "orjson")


@dataclass(frozen=True)
class Result:
    """What one benchmark found: its runs (dataclasses) as they were, and the Markdown that says what they mean."""

    name: str
    runs: Iterable[Any]
    text: str


def keep(result: Result) -> None:
    """Replace the benchmark's file of JSON lines, one a run."""
    FOLDER.mkdir(exist_ok=True)
    lines = [json.dumps({"benchmark": result.name, **asdict(run)}) for run in result.runs]
    (FOLDER / f"{result.name}.jsonl").write_text("\n".join([*lines, ""]))


def publish(name: str, text: str) -> None:
    """Put a text between the README's markers of that name."""
    README.write_text(replaced(README.read_text(), name, text))


def replaced(document: str, name: str, text: str) -> str:
    """``document`` with ``text`` between the markers ``<!-- NAME -->`` and ``<!-- end of NAME -->``.

    Raises `ValueError` if it has no such markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(rf"(?<={re.escape(begin)}\n).*?(?={re.escape(end)})", re.DOTALL)
    changed, count = pattern.subn(lambda _: f"{text}\n", document)
    if count != 1:
        raise ValueError(f"{count} places are marked {begin} … {end}")
    return changed


def circumstances() -> str:
    """Date, machine and versions, with the lab up."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    servers = (
        f"Kubernetes {programs.VERSION}, Kafka {_kafka()}, OpenSearch {_opensearch()}, "
        f"PostgreSQL {psql('SHOW server_version').split()[0]}"
    )
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({_processor()}), {_memory():.0f} GiB, shared with "
        f"others (load average before the run {os.getloadavg()[2]:.1f}); Python {platform.python_version()}, "
        f"{libraries}; {servers}; all servers on the same cores."
    )


def _kafka() -> str:
    pom = (paths.ROOT / "lab" / "kafka" / "pom.xml").read_text()
    found = re.search(r"<groupId>org.apache.kafka</groupId>.*?<version>(.*?)</version>", pom, re.DOTALL)
    return found[1] if found else "?"


def _opensearch() -> str:
    return str(call(world.OPENSEARCH_BACKEND, "GET", "/")["version"]["number"])


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
