"""Faults are switched by name, remembered in the lab's state, and compose."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli, switched_on
from lab.faults import FAULTS, switches
from lab.faults.fault import Fault


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switched_on, "FILE", tmp_path / "faults.json")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What two faults of no server do; the second cannot be switched off."""
    did: list[str] = []

    def stay() -> None:
        raise ConnectionRefusedError

    good = Fault("good", "", lambda: did.append("on"), lambda: did.append("off"), {"A": "1", "B": None})
    stuck = Fault("stuck", "", off=stay, environment={"A": "2"})
    monkeypatch.setattr(switches, "FAULTS", {"good": good, "stuck": stuck})
    return did


def test_an_unknown_name_is_answered_by_the_nearest_ones() -> None:
    """Exit code 2, and nothing is switched on."""
    result = CliRunner().invoke(cli.main, ["fault", "on", "kafka-broker-stopped", "kafka-readdta-denied"])
    assert result.exit_code == 2
    assert "there is no fault kafka-readdta-denied; near it are kafka-readdata-denied" in result.output
    assert switches.are_on() == []


def test_off_wants_names_or_all() -> None:
    assert CliRunner().invoke(cli.main, ["fault", "off"]).exit_code == 2


def test_faults_change_the_environment_one_after_the_other(done: list[str]) -> None:
    """The last one wins; None takes a variable away; off, everything is as before."""
    switches.on(["good", "stuck"])
    assert switched_on.applied_to({"A": "0", "B": "0", "C": "0"}) == {"A": "2", "C": "0"}
    switched_on.remove("stuck")
    assert switched_on.applied_to({"A": "0", "B": "0"}) == {"A": "1"}
    switches.off(["good"])
    assert switched_on.applied_to({"A": "0"}) == {"A": "0"}
    assert done == ["on", "off"]


def test_what_cannot_be_switched_off_stays_remembered(done: list[str]) -> None:
    switches.on(["good", "stuck"])
    assert switches.off_all() == ["stuck"]
    assert switches.are_on() == ["stuck"]


def test_every_fault_says_how_it_is_provoked() -> None:
    assert [fault.name for fault in FAULTS.values() if not fault.summary] == []
