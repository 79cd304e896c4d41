"""The JUnit XML as CI servers read it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.reports import Report, junit
from tests.fakes.reports import READ_DATA_DENIED, REPORTS, ROLE, failed, made, passed

ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "timestamp", "time", "tests", "failures", "errors", "skipped"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
    "system-out": set(),
}
"""Elements and attributes that the schemas of Ant's task and of Jenkins' plugin both have."""


def suites(report: Report) -> dict[str, TestSuite]:
    return {suite.name: suite for suite in JUnitXml.fromstring(junit.render(report).encode())}


def cases(report: Report) -> dict[tuple[str, str], TestCase]:
    return {(case.classname, case.name): case for suite in suites(report).values() for case in suite}


@pytest.mark.parametrize("name", REPORTS)
def test_only_what_all_readers_know_is_used(name: str) -> None:
    """Some servers refuse a file for one attribute that they do not know."""
    for element in ET.fromstring(junit.render(REPORTS[name])).iter():
        assert set(element.attrib) <= ALLOWED[element.tag]


@pytest.mark.parametrize("name", REPORTS)
def test_the_counts_are_those_of_the_cases(name: str) -> None:
    """A reader may believe either."""
    for suite in suites(REPORTS[name]).values():
        counted = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert counted == (suite.tests, suite.failures, suite.errors, suite.skipped)
        assert suite.tests > 0


def test_each_rung_is_a_case_with_its_argument() -> None:
    """classname is the service; a right is tried on topics, an index or a model."""
    found = cases(REPORTS["failures and a warning"])
    assert ("kafka", "tls") in found
    assert ("kafka", "authorization [orders, payments]") in found
    assert ("openai", "operation [text-embedding-3-small]") in found
    assert ("opensearch", "authorization [documents]") in found
    assert ("postgresql", "operation") in found


def test_the_names_of_cases_do_not_depend_on_what_fails() -> None:
    """History of a case needs a name that stays."""
    assert set(cases(made(READ_DATA_DENIED))) == set(cases(made(passed(Service.KAFKA))))


def test_a_failure_has_reason_message_and_remedy() -> None:
    """The list of failures of a CI server is enough to act on."""
    [failure] = cases(REPORTS["failures and a warning"])["kafka", "authorization [orders, payments]"].result
    assert isinstance(failure, Failure)
    assert failure.type == "ReadDataDenied"
    assert "refuses to hand out" in failure.message
    assert "Fix: Allow kafka-cluster:ReadData on arn:aws:kafka" in failure.text
    assert ROLE in failure.text


def test_skipped_rungs_say_why() -> None:
    """Because one failed, because nothing was asked for, because of an interruption."""
    for name, case, why in (
        ("failures and a warning", ("postgresql", "operation"), "authentication failed (IAMNotGranted)"),
        ("nothing asked", ("kafka", "operation"), "give --topic"),
        ("interrupted", ("kafka", "identity"), "interrupted"),
    ):
        [skipped] = cases(REPORTS[name])[case].result
        assert isinstance(skipped, Skipped)
        assert why in skipped.message


def test_warnings_do_not_fail_a_case() -> None:
    """They stand in its output."""
    case = cases(REPORTS["failures and a warning"])["opensearch", "authorization [documents]"]
    assert case.is_passed
    assert "IndexAbsent" in case.system_out


@pytest.mark.parametrize(
    ("name", "case", "said"),
    [("could not begin", "set-up", "POSTGRES_PORT"), ("interrupted", "end", "interrupted")],
)
def test_a_check_without_an_end_is_an_error(name: str, case: str, said: str) -> None:
    """CI must not take it for a success."""
    [error] = cases(REPORTS[name])["check", case].result
    assert isinstance(error, Error)
    assert said in error.text


def test_characters_that_xml_cannot_hold_do_not_break_it() -> None:
    """Evidence comes from servers."""
    hostile = failed(
        Service.OPENAI, Reason.MODEL_NOT_FOUND, Rung.AUTHORIZATION, {"model": "a\x00<b>\ufffe", "host": "h"}
    )
    assert cases(made(hostile))
