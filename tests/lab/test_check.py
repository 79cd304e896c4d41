"""`connectivity-operator check` as people and CI run it: the real command, the lab's real servers, every exit code."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from lab import operator_env
from lab.iam import control

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/check.schema.json").read_text())
TOPIC = "connectivity-test"
LIMIT = 60.0

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account")]


def check(*arguments: str, stdin: str | None = None, **extra: str) -> subprocess.CompletedProcess[str]:
    argv, env = operator_env.command(("connectivity-operator", "check", *arguments), extra=extra)
    return subprocess.run(argv, env=env, input=stdin, capture_output=True, text=True, timeout=LIMIT, check=False)


@contextmanager
def checking(*arguments: str, output: int | IO[Any] = subprocess.PIPE, **extra: str) -> Iterator[subprocess.Popen[str]]:
    argv, env = operator_env.command(("connectivity-operator", "check", *arguments), extra=extra)
    with subprocess.Popen(argv, env=env, stdout=output, stderr=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.kill()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and says nothing: PostgreSQL's TLS rung waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(LIMIT)
        yield server


def at(server: socket.socket) -> dict[str, str]:
    return {"POSTGRES_HOST": "localhost", "POSTGRES_PORT": str(server.getsockname()[1])}


def test_everything_passes_and_every_format_says_so(tmp_path: Path) -> None:
    """One climb, four reports; exit code 0; the absent index is a warning and stays absent."""
    files = {name: tmp_path / f"check.{name}" for name in ("json", "junit", "html")}
    outputs = [word for name, file in files.items() for word in ("-o", f"{name}={file}")]
    done = check("--topic", TOPIC, "--index", "connectivity-test-absent", *outputs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("Every rung passed, 1 warning, in ")
    assert "IndexAbsent" in done.stdout
    document = json.loads(files["json"].read_text())
    jsonschema.validate(document, SCHEMA)
    assert {s["name"]: s["reason"] for s in document["services"]} == dict.fromkeys(
        ("kafka", "openai", "opensearch", "postgresql"), "Connected"
    )
    suites = ET.parse(files["junit"]).getroot()
    assert [int(suite.get("failures", "1")) for suite in suites] == [0, 0, 0, 0]
    assert "Every rung passed" in files["html"].read_text()


def test_a_failure_has_exit_code_1_and_names_what_to_do() -> None:
    """Only the selected services are climbed."""
    with control.without("kafka-cluster:ReadData"):
        done = check("--topic", TOPIC, "--only", "kafka,openai", "-o", "json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert [(s["name"], s["reason"]) for s in document["services"]] == [
        ("kafka", "ReadDataDenied"),
        ("openai", "Connected"),
    ]
    assert "kafka-cluster:ReadData" in document["services"][0]["remedy"]


def test_a_selected_service_that_is_not_configured_is_a_failure() -> None:
    """Whoever selects it means it; and without topic or index a ladder says what to give."""
    done = check("--only", "kafka", "--only", "postgresql", POSTGRES_HOST="")
    assert done.returncode == 1
    assert "not climbed: give --topic" in done.stdout
    assert "NotConfigured: PostgreSQL is not configured: there is no POSTGRES_HOST." in " ".join(done.stdout.split())


def test_a_resource_is_checked_as_the_operator_would() -> None:
    """From standard input, its time limit included."""
    body = {
        "apiVersion": "connectivity.hyperoptic.com/v1alpha1",
        "kind": "ConnectivityTest",
        "spec": {"topics": [TOPIC], "index": "connectivity-test-absent"},
    }
    done = check("-f", "-", "--only", "kafka", "-o", "json", stdin=json.dumps(body))
    assert done.returncode == 0
    assert json.loads(done.stdout)["options"]["topics"] == [TOPIC]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_check_tells_what_it_has(number: signal.Signals, code: int, silent: socket.socket) -> None:
    """A valid document before the limit of what it waits for: the rung is skipped, not failed."""
    with checking("--only", "postgresql", "-o", "json", **at(silent)) as program:
        connection, _ = silent.accept()
        with connection:
            connection.recv(8)  # the request for TLS: the rung is under way
            program.send_signal(number)
            stdout, stderr = program.communicate(timeout=LIMIT)
    assert (program.returncode, stderr) == (code, "")
    document = json.loads(stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["interrupted"]
    [service] = document["services"]
    results = {rung["name"]: rung["result"] for rung in service["rungs"]}
    assert (service["reason"], results["tcp"], results["tls"]) == ("Interrupted", "Passed", "Skipped")


def test_a_reader_that_goes_away_is_no_trouble() -> None:
    """`check | head`: no trace, and the exit code is still the check's."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone, checking("--only", "openai", output=gone) as program:
        _, stderr = program.communicate(timeout=LIMIT)
    assert (program.returncode, stderr) == (0, "")


def test_progress_is_shown_on_a_terminal_and_nowhere_else(silent: socket.socket) -> None:
    """Standard output into a pipe has the report alone, whatever standard error is."""
    ours, theirs = pty.openpty()
    argv, env = operator_env.command(
        ("connectivity-operator", "check", "--only", "postgresql", "-o", "json"), extra={**at(silent), "TERM": "xterm"}
    )
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=theirs, text=True) as program:
        os.close(theirs)
        seen = b""
        try:
            connection, _ = silent.accept()
            with connection:
                while b"tls" not in seen:
                    seen += os.read(ours, 4096)
                program.send_signal(signal.SIGINT)
                stdout, _ = program.communicate(timeout=LIMIT)
        finally:
            program.kill()
            os.close(ours)
    assert json.loads(stdout)["interrupted"]
    assert b"PostgreSQL" in seen
