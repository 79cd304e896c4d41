"""The doctor names what is missing and how to get it; `install` asks for nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab import cli, commands, java, machine
from lab.machine import Need
from lab.part import PartError

THERE = Need("Go", "builds Kubernetes", lambda: "go1.26.8", advice="install Go")
MISSING = Need("Maven", "fetches Kafka", lambda: None, packages=("maven",))


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have run."""
    calls: list[list[str]] = []

    def run(argv: list[str], **_: Any) -> str:
        calls.append(argv)
        return ""

    monkeypatch.setattr(commands, "run", run)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr(machine, "CREATE_NO_CLUSTER", tmp_path / "postgresql-common" / "createcluster.conf")
    return calls


def test_a_complete_machine_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDS", (THERE,))
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 0
    assert result.output == "Go           ok       go1.26.8\n"


def test_what_is_missing_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDS", (THERE, MISSING))
    result = CliRunner().invoke(cli.main, ["doctor"])
    assert result.exit_code == 1
    assert result.output.splitlines()[1] == "Maven        MISSING  fetches Kafka. Get it: apt-get install maven"


def test_programs_are_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "SYSTEM_FOLDERS", str(tmp_path))
    monkeypatch.setattr(java, "find", lambda *_, **__: None)
    missing = {finding.need.name for finding in machine.examine() if finding.found is None}
    assert missing >= {"Go", "JDK", "Maven", "C compiler", "dnsmasq", "namespaces", "ip"}


@pytest.mark.parametrize(("version", "verdict"), [("go1.25.9", None), ("go1.26", "go1.26"), ("go2.0.1", "go2.0.1")])
def test_go_must_be_new_enough(
    version: str, verdict: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho {version}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (need,) = (need for need in machine.NEEDS if need.name == "Go")
    assert need.look() == verdict


def test_every_need_can_be_met() -> None:
    assert all(need.packages or need.advice for need in machine.NEEDS)


def test_only_what_is_missing_is_installed(apt: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDS", (THERE, MISSING))
    result = CliRunner().invoke(cli.main, ["install"])
    assert result.output == "installing maven\n"
    assert [argv[:2] for argv in apt] == [["apt-get", "update"], ["apt-get", "install"]]
    assert apt[1][-1] == "maven"


def test_nothing_missing_asks_nothing_of_the_network(apt: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "NEEDS", (THERE,))
    assert CliRunner().invoke(cli.main, ["install"]).output == "nothing to install\n"
    assert apt == []


def test_debian_starts_no_database_of_its_own(apt: list[list[str]]) -> None:
    machine.install(["postgresql"])
    assert machine.CREATE_NO_CLUSTER.read_text() == "create_main_cluster = false\n"


def test_an_existing_rule_about_databases_is_kept(apt: list[list[str]]) -> None:
    machine.CREATE_NO_CLUSTER.parent.mkdir()
    machine.CREATE_NO_CLUSTER.write_text("ssl = on\n")
    machine.install(["postgresql"])
    assert machine.CREATE_NO_CLUSTER.read_text() == "ssl = on\n"


def test_without_root_the_command_is_said(apt: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(PartError, match="apt-get install maven"):
        machine.install(["maven"])
    assert apt == []
