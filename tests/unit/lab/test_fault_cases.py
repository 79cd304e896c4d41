"""Every fault of the lab has an entry of `tests/faults.yaml`, and every entry is a fault of the lab."""

from __future__ import annotations

from collections import Counter

from connectivity_operator.diagnosis.catalogue import CATALOGUE
from connectivity_operator.reasons import Reason, Rung, Service
from lab.faults import FAULTS
from tests import fault_cases
from tests.fault_cases import NOT_PROVOKED, Case, Expectation

CASES = fault_cases.load()


def expectations() -> list[tuple[Case, Expectation]]:
    return [(case, one) for case in CASES for one in [*case.expect, *case.check]]


def test_switches_and_entries_are_the_same() -> None:
    assert {name for case in CASES for name in case.switches} == set(FAULTS)


def test_names_are_used_once() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []


def test_entries_use_the_vocabulary() -> None:
    reasons, rungs = {*Reason, "Connected"}, {*Rung, None}
    for case, one in expectations():
        assert one.service in {*Service} - {Service.IDENTITY}, case.name
        assert one.reason in reasons, case.name
        assert one.rung in rungs, case.name
        assert {*one.warnings} <= {*Reason}, case.name


def test_a_failure_has_rung_and_remedy_and_anything_else_a_warning() -> None:
    for case, one in expectations():
        assert bool(one.rung and one.remedy) is (one.reason != "Connected"), case.name
        assert one.reason != "Connected" or one.warnings, case.name


def test_every_code_is_provoked_or_excused() -> None:
    """An entry of the identity's stands for what all three AWS services show at that rung."""
    provoked = set()
    for _, one in expectations():
        shared = one.rung == Rung.IDENTITY
        provoked |= {("identity" if shared else one.service, one.reason)} if one.rung else set()
        provoked |= {(service, warning) for warning in one.warnings for service in (one.service, "identity")}
    catalogue = {(str(service), str(reason)) for service, reason in CATALOGUE}
    assert catalogue - provoked - set(NOT_PROVOKED) == set()
    assert {*NOT_PROVOKED} & provoked == set(), "excused and provoked"
    assert {*NOT_PROVOKED} <= catalogue


def test_at_least_eighty_faults_are_told_apart() -> None:
    """(service, code, way of provoking it)."""
    assert len({(one.service, one.reason, case.switches[0]) for case in CASES for one in case.expect}) >= 80
