"""The report as JUnit XML for CI: a suite a service, a test case a rung.

Only elements and attributes that the schemas of Jenkins, GitLab and Ant's JUnit task have in common.
"""

from __future__ import annotations

from datetime import UTC
from xml.etree import ElementTree as ET

from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.diagnosis.ladder import RungOutcome
from connectivity_operator.reasons import Result, Rung, Service
from connectivity_operator.reports import Report, ServiceReport, clean


def render(report: Report) -> str:
    """One XML document; the names of its cases depend on the options alone, never on what fails."""
    root = ET.Element("testsuites", name="connectivity-operator check", time=_time(report.seconds))
    for service in report.services:
        root.append(_suite(report, service))
    if report.error is not None or report.interrupted:
        root.append(_unfinished(report))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(report: Report, service: ServiceReport) -> ET.Element:
    cases = [_case(report, service, outcome) for outcome in service.climb.outcomes]
    suite = _empty_suite(report, service.service, service.seconds)
    properties = ET.SubElement(suite, "properties")
    facts = {"version": report.version, "command": report.options.command()}
    if report.identity:
        facts |= {"identity": report.identity[0], "method": report.identity[1]}
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=value)
    suite.extend(cases)
    _count(suite)
    return suite


def _unfinished(report: Report) -> ET.Element:
    """Why there is nothing to tell, or no more."""
    suite = _empty_suite(report, "check", report.seconds)
    case = ET.SubElement(
        suite, "testcase", classname="check", name="set-up" if report.error else "end", time=_time(report.seconds)
    )
    kind, message = ("SetUpFailed", report.error) if report.error else ("Interrupted", "The check was interrupted.")
    error = ET.SubElement(case, "error", type=kind, message=_one_line(message or ""))
    error.text = clean(message or "")
    _count(suite)
    return suite


def _empty_suite(report: Report, name: str, seconds: float) -> ET.Element:
    # Ant's schema has a timestamp without a zone.
    timestamp = report.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return ET.Element("testsuite", name=name, timestamp=timestamp, time=_time(seconds))


def _count(suite: ET.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(element) is not None for case in cases)))


def _case(report: Report, service: ServiceReport, outcome: RungOutcome) -> ET.Element:
    case = ET.Element(
        "testcase", classname=service.service, name=_name(report, service, outcome), time=_time(outcome.seconds or 0.0)
    )
    failure = service.failure
    if outcome.result is Result.SKIPPED:
        ET.SubElement(case, "skipped", message=_why_skipped(service))
    elif outcome.result is Result.FAILED and failure:
        element = ET.SubElement(case, "failure", type=failure.reason, message=_one_line(failure.message))
        element.text = _words(failure)
    if warnings := [warning for warning in service.warnings if warning.rung is outcome.rung]:
        ET.SubElement(case, "system-out").text = "\n\n".join(map(_words, warnings))
    return case


def _name(report: Report, service: ServiceReport, outcome: RungOutcome) -> str:
    """The rung, with what it was tried on: topics, an index, a model."""
    options = report.options
    asked = {Service.KAFKA: ", ".join(options.topics), Service.OPENAI: options.model, Service.OPENSEARCH: options.index}
    argument = asked.get(service.service) if outcome.rung in (Rung.AUTHORIZATION, Rung.OPERATION) else None
    return clean(f"{outcome.rung} [{argument}]" if argument else str(outcome.rung))


def _why_skipped(service: ServiceReport) -> str:
    if service.failure:
        return f"not climbed: {service.failure.rung} failed ({service.failure.reason})"
    return service.note or "not climbed"


def _words(told: Explanation) -> str:
    runbook = f"\nSee: {told.runbook}" if told.runbook else ""
    return f"{told.reason}: {told.message}\nFix: {told.remedy}{runbook}"


def _one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"
