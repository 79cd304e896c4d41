"""The operator itself: what it says at start, what it may do, who it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import operator_env, paths, processes, world
from lab.operating import NAMESPACE, Operator, kubectl, rows, until
from tests.e2e.conftest import MakeResource


@pytest.fixture
def log(operator: Operator) -> list[dict[str, object]]:
    """The log of a fresh start."""
    operator.terminate()
    (paths.LOGS / "operator.log").unlink()
    operator.start()
    until(lambda: len(_rungs(operator)) >= 24, limit=30, what="the climb at start")
    return operator.log()


def _rungs(operator: Operator) -> set[tuple[str, str]]:
    return {(e["service"], e["rung"]) for e in operator.log(action="check") if "rung" in e}


def test_all_four_dependencies_are_climbed_before_any_resource(log: list[dict[str, object]]) -> None:
    """The first log lines answer the question for the operator itself, rung by rung."""
    rungs = {(e["service"], e["rung"]): e["status"] for e in log if e.get("action") == "check" and "rung" in e}
    assert set(rungs.values()) == {"ok"}
    for service in ("kafka", "openai", "opensearch", "postgresql"):
        for rung in ("configuration", "dns", "tcp", "tls", "authentication"):
            assert (service, rung) in rungs
    assert ("postgresql", "operation") in rungs
    assert ("openai", "operation") in rungs


def test_the_start_is_logged_with_version_and_settings_but_no_secret(log: list[dict[str, object]]) -> None:
    """Every setting is visible, the key is not."""
    started = next(e for e in log if e["event"] == "service started")
    assert started["version"]
    assert "b-1.demo" in json.dumps(started)
    assert "sk-lab" not in json.dumps(log)


def test_every_line_is_json_with_the_same_keys(log: list[dict[str, object]]) -> None:
    """A log pipeline can rely on them, kopf's own lines included."""
    lines = (paths.LOGS / "operator.log").read_text().splitlines()
    assert len(lines) == len(log)
    for event in log:
        assert list(event)[:6] == ["timestamp", "level", "event", "service", "action", "status"]


def test_the_operator_has_no_static_key() -> None:
    """Its AWS credentials come by web identity alone."""
    record = processes.find("operator")
    assert record is not None
    environment = Path(f"/proc/{record.pid}/environ").read_bytes().decode().split("\0")
    names = {entry.partition("=")[0] for entry in environment}
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" in names
    assert not names & {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}


def test_the_operators_rights_are_the_documented_ones_only(operator: Operator) -> None:
    """list, watch, patch the resources; patch their status; create events; list and watch CRDs."""
    listed = kubectl("auth", "can-i", "--list", "--as", f"system:serviceaccount:{NAMESPACE}:operator", "--no-headers")
    verbs = {
        line.split()[0]: set(line[line.rindex("[") + 1 : line.rindex("]")].split())
        for line in listed.splitlines()
        if line and not line.startswith("[") and not line.lstrip().startswith("[")
    }
    ours = {k: v for k, v in verbs.items() if not k.startswith("selfsubject")}
    assert ours == {
        "connectivitytests.connectivity.hyperoptic.com": {"list", "watch", "patch"},
        "connectivitytests.connectivity.hyperoptic.com/status": {"patch"},
        "events": {"create"},
        "customresourcedefinitions.apiextensions.k8s.io": {"list", "watch"},
    }


def _run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    wrapped, env = operator_env.command([sys.executable, "-m", "connectivity_operator", *arguments])
    return subprocess.run(
        wrapped, env={**env, "PYTHONPATH": "operator"}, input=stdin, capture_output=True, text=True, check=False
    )


def test_send_goes_with_the_operators_own_login(make_resource: MakeResource) -> None:
    """Prints partition and offset; standard input is one message a line."""
    resource = make_resource(partitions=1)
    resource.until_reading()
    sent = _run("send", resource.topics[0], "hello", "world")
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout == f"{resource.topics[0]} partition 0 offset 0\n{resource.topics[0]} partition 0 offset 1\n"
    assert _run("send", resource.topics[0], "-f", "-", stdin="one\ntwo\n").stdout.count("offset") == 2
    until(lambda: {r[3] for r in rows(resource.topics[0])} == {"hello", "world", "one", "two"}, limit=30, what="rows")


def test_send_is_refused_with_the_remedy(operator: Operator) -> None:
    """A topic that the role may not even see."""
    result = _run("send", "somebody-elses", "x")
    assert result.returncode == 1
    assert "kafka-cluster:DescribeTopic" in result.stderr
    assert world.ROLE_ARN in result.stderr


@pytest.mark.parametrize("output", ["table", "json"])
def test_check_climbs_once_without_a_cluster(make_resource: MakeResource, output: str) -> None:
    """Exit code 0 when every rung passed."""
    resource = make_resource()
    result = _run("check", "--topic", resource.topics[0], "--index", resource.index, "-o", output)
    assert result.returncode == 0, result.stdout + result.stderr
    if output == "json":
        found = json.loads(result.stdout)
        assert found["passed"] is True
        assert {s["name"] for s in found["services"]} == {"kafka", "openai", "opensearch", "postgresql"}
    else:
        assert "✓ operation" in result.stdout
        assert [line for line in result.stdout.splitlines() if len(line) > 80 and "arn:" not in line] == []


def test_check_fails_with_exit_code_1_and_names_the_cause(operator: Operator) -> None:
    """A topic that does not exist."""
    result = _run("check", "--only", "kafka", "--topic", "connectivity-test-absent", "-o", "json")
    assert result.returncode == 1
    kafka = json.loads(result.stdout)["services"][0]
    assert (kafka["reason"], kafka["rung"]) == ("TopicNotFound", "authorization")


@pytest.mark.parametrize("arguments", [["--only", "mysql"], ["-o", "xml"], ["-f", "no-such-file.yaml"]])
def test_check_refuses_wrong_usage_with_exit_code_2(lab: None, arguments: list[str]) -> None:
    """Not to be confused with a failure."""
    assert _run("check", *arguments).returncode == 2
