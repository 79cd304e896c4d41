"""Every fault of the lab has an entry of `tests/faults.yaml`, and every entry is a fault of the lab."""

from __future__ import annotations

from collections import Counter

from connectivity_operator.reasons import Reason, Rung, Service
from lab.faults import FAULTS
from tests import fault_cases
from tests.fault_cases import Case, Expectation

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
