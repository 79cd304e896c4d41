"""The report as one page to attach to a ticket: no request leaves it, no script runs in it, light, dark and on paper.

Built as a tree, so that every text is escaped by the serializer; the only style is `check.css`, allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib import resources
from xml.etree import ElementTree as ET

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES, Explanation
from connectivity_operator.diagnosis.ladder import RungOutcome
from connectivity_operator.reasons import Result
from connectivity_operator.reports import Report, ServiceReport, explain_commands, pictures, remedy, table
from connectivity_operator.reports.tree import tag
from connectivity_operator.status import timestamp

SAID_ELSEWHERE = {"caller_arn", "account", "partition", "address"}
"""Evidence that is in the page's head or in other evidence."""
CLASSES = {Result.PASSED: "good", Result.WARNED: "warn", Result.FAILED: "bad", Result.SKIPPED: "off"}


def render(report: Report) -> str:
    """The whole page."""
    style = resources.files(__package__).joinpath("check.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    verdict = table.summary(report)
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="referrer", content="no-referrer"),
            tag("title", f"Connectivity check: {verdict}"),
            tag("style", style),
        ),
        tag("body", *_body(report, verdict)),
        lang="en",
    )
    return "<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode", method="html") + "\n"


def _body(report: Report, verdict: str) -> Iterator[ET.Element]:
    yield tag("h1", "Connectivity check")
    yield tag("p", verdict, {"class": "verdict good" if report.passed else "verdict"})
    yield _facts(report)
    if report.services:
        yield tag("table", tag("tbody", *map(_overview, report.services)), {"class": "overview"})
    longest = max((service.seconds for service in report.services), default=0.0)
    for service in sorted(report.services, key=_urgency):  # the overview keeps the usual order
        yield _service(service, longest)
    if commands := explain_commands(report):
        yield tag("p", "Step by step, how to confirm and to fix:")
        yield tag("pre", "\n".join(commands))
    yield tag(
        "footer",
        "A click on a framed block selects all of it. A <placeholder> stands for what cannot be known from where the "
        "check ran. The page holds no key, token or signature.",
    )


def _facts(report: Report) -> ET.Element:
    identity = report.identity
    facts = {
        "Identity": f"{identity[0]} ({identity[1]})" if identity else None,
        "Started": timestamp(report.started),
        "Took": f"{report.seconds:.1f} s",
        "Version": report.version,
        "Resource": report.options.file,
    }
    items = [tag(kind, text) for name, value in facts.items() if value for kind, text in (("dt", name), ("dd", value))]
    command = [tag("dt", "Command"), tag("dd", tag("code", report.options.command()))]
    return tag("dl", *items, *command, {"class": "facts"})


def _overview(service: ServiceReport) -> ET.Element:
    link = tag("a", SERVICE_NAMES[service.service], href=f"#{service.service}")
    return tag(
        "tr",
        tag("td", link),
        tag("td", service.reason, {"class": f"reason {_class(service)}"}),
        tag("td", pictures.ladder(service.climb.outcomes, CLASSES), {"class": "ladder"}),
    )


def _service(service: ServiceReport, longest: float) -> ET.Element:
    head = tag(
        "header",
        tag("h2", SERVICE_NAMES[service.service]),
        tag("span", service.reason, {"class": f"reason {_class(service)}"}),
        {"class": "service"},
    )
    told = [_told(service.failure, "told")] if service.failure else []
    told += [_told(warning, "told warn") for warning in service.warnings]
    return tag("section", head, *told, _rungs(service, longest), id=str(service.service))


def _urgency(service: ServiceReport) -> int:
    """What is to be fixed comes first, then what deserves attention."""
    return 0 if not service.passed else 1 if service.warnings else 2


def _class(service: ServiceReport) -> str:
    if service.failure:
        return "bad"
    return "warn" if service.interrupted else "good"


def _told(told: Explanation, kind: str) -> ET.Element:
    parts = [tag("pre", part.text) if part.paste else _prose(part.text) for part in remedy.parts(told.remedy)]
    runbook = [tag("p", tag("a", told.runbook, href=told.runbook, rel="noreferrer"))] if told.runbook else []
    return tag(
        "div",
        tag("h3", f"{told.reason} at {told.rung}"),
        _prose(told.message),
        tag("p", "Fix", {"class": "fix"}),
        *parts,
        *runbook,
        {"class": kind},
    )


def _prose(text: str) -> ET.Element:
    """A paragraph; what stands between backticks is code."""
    pieces = text.split("`")
    balanced = len(pieces) % 2 == 1
    return tag("p", *(tag("code", p) if number % 2 and balanced else p for number, p in enumerate(pieces)))


def _rungs(service: ServiceReport, longest: float) -> ET.Element:
    names = (("name", "rung"), ("time", "time"), ("bar", "when"), ("learnt", "seen"))
    head = tag("tr", *(tag("th", text, {"class": name}) for name, text in names))
    rows: list[ET.Element] = []
    begin, note = 0.0, service.note
    for outcome in service.climb.outcomes:
        skipped = outcome.result is Result.SKIPPED
        rows.append(_rung(outcome, begin, longest, (note if skipped else None) or ""))
        note = None if skipped else note
        begin += outcome.seconds or 0.0
    return tag("table", tag("thead", head), tag("tbody", *rows), {"class": "rungs"})


def _rung(outcome: RungOutcome, begin: float, longest: float, note: str) -> ET.Element:
    style = CLASSES[outcome.result]
    mark = tag("span", table.MARKS[outcome.result][0], {"class": f"mark {style}", "title": str(outcome.result)})
    learnt = [
        tag("span", f"{name.replace('_', ' ')}: {value}")
        for name, value in outcome.evidence.items()
        if value and name not in SAID_ELSEWHERE
    ]
    bar = [] if outcome.seconds is None else [pictures.bar(begin, outcome.seconds, longest, style)]
    return tag(
        "tr",
        tag("td", mark, tag("span", str(outcome.rung)), {"class": "name"}),
        tag("td", table.duration(outcome.seconds), {"class": "time"}),
        tag("td", *bar, {"class": "bar"}),
        tag("td", note, *learnt, {"class": "learnt"}),
    )
