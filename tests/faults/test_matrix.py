"""Every fault of the lab is named exactly, by a running operator and by `check`, and nothing else is disturbed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest

from lab import operating
from lab.faults import FAULTS, switches
from lab.operating import Load, rows
from tests import fault_cases
from tests.canaries import Collector, no_leaks
from tests.fault_cases import Case, Expectation
from tests.faults import report
from tests.faults.place import TOPICS, Check, Place, check_differs
from tests.faults.report import Outcome

pytestmark = pytest.mark.timeout(600)

CASES = fault_cases.load()
LIMIT = 60.0
"""Seconds for messages to go all the way."""

outcomes: dict[str, Outcome] = {}


def asks_operator(case: Case) -> bool:
    """Whether the running operator can see it."""
    return case.operator and not any(FAULTS[name].environment for name in case.switches)


def groups() -> list[list[Case]]:
    """Cases that are on at the same time; those with the same kind of credentials one after the other."""
    together: dict[str, list[Case]] = {}
    for case in CASES:
        together.setdefault(case.together or case.name, []).append(case)
    return sorted(together.values(), key=lambda cases: (cases[0].credentials == "short", cases[0].flowing))


@pytest.fixture(scope="module")
def produced(lab: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """All that the operator says in all of this."""
    with Collector(tmp_path_factory.mktemp("produced")) as collector:
        yield collector


@pytest.fixture(scope="module")
def place(produced: Collector) -> Iterator[Place]:
    """The operator with its resource, everything Connected."""
    made = Place()
    made.prepare()
    yield made
    made.clear()


@pytest.fixture(autouse=True)
def nothing_left_on(lab: None) -> Iterator[None]:
    """Whatever a failing test leaves behind."""
    yield
    assert switches.off_all() == []


@pytest.mark.parametrize("cases", groups(), ids=lambda cases: cases[0].together or cases[0].name)
def test_fault_is_named(cases: list[Case], place: Place) -> None:
    """Condition, rung, remedy and `check` as in `faults.yaml`; the others stay; off, everything is Connected."""
    began = time.monotonic()
    try:
        place.live_on(cases[0].credentials)
        seconds = flowing(cases, place) if cases[0].flowing else named(cases, place)
    except BaseException as error:
        _record(cases, time.monotonic() - began, wrong=str(error) or repr(error))
        raise
    _record(cases, seconds)


def named(cases: Sequence[Case], place: Place) -> float:
    """Switch on, look, switch off, look; seconds from the switch to the verdict."""
    names = [name for case in cases for name in case.switches]
    place.settled = all(FAULTS[name].environment for name in names)  # those touch nothing but what is started anew
    with switches.during(names):
        began = time.monotonic()
        check = Check.begin(cases[0].topics or TOPICS)
        asked = all(map(asks_operator, cases))
        if asked:
            expected = [one for case in cases for one in case.expect]
            seconds = shown(expected, place, limit=max(case.limit for case in cases))
        document = check.report()
        if not asked:
            seconds = time.monotonic() - began
        assert check_differs(document, [one for case in cases for one in case.check]) == []
    if not place.settled:
        place.connected()
    return seconds


def shown(expected: Sequence[Expectation], place: Place, *, limit: float) -> float:
    """Seconds until the resource shows it; the conditions of all other services have stayed as they were."""
    concerned = {one.service for one in expected}
    before = _without(place.transitions(), concerned)
    seconds = place.shows(expected, limit=limit)
    assert _without(place.transitions(), concerned) == before
    return seconds


def flowing(cases: Sequence[Case], place: Place) -> float:
    """The same while messages flow: they wait, and all arrive afterwards."""
    topic = TOPICS[0]
    starts = operating.ends(topic)
    with Load(topic):
        operating.until(lambda: _new_rows(topic, starts), limit=LIMIT, what="the first messages")
        seconds = named(cases, place)
    sent = sum(operating.ends(topic).values()) - sum(starts.values())
    operating.until(
        lambda: len(_new_rows(topic, starts)) == sent,
        limit=LIMIT,
        what=lambda: f"{sent} rows (there are {len(_new_rows(topic, starts))})",
    )
    return seconds


def test_no_secret_was_told(place: Place, produced: Collector) -> None:
    """No key, token, signature or message text in any status, Event, log line, metric or report of all the above."""
    for about, said in place.checks:
        produced.add(about, said)
    if place.operator.running:
        produced.metrics()
    no_leaks(produced)


def test_report_is_current() -> None:
    """`docs/diagnosis-report.md` says what this run found, apart from the seconds (`make diagnosis` writes it)."""
    found = {**report.remembered(CASES), **outcomes}
    if os.environ.get("DIAGNOSIS_REPORT") == "write" and len(found) == len(CASES):
        report.FILE.write_text(report.render([found[case.name] for case in CASES]))
    page = report.without_seconds(report.FILE.read_text())
    assert [row.split("`")[1] for row in page if row.startswith("| `")] == [case.name for case in CASES]
    lines = report.without_seconds(report.rows([found[case.name] for case in CASES if case.name in found]))
    assert [line for line in lines if line not in page] == []


def _new_rows(topic: str, starts: Mapping[int, int]) -> set[tuple[int, int]]:
    """(partition, offset) of the rows of messages that are not older than ``starts``."""
    places = {(partition, offset) for partition, offset, _, _ in rows(topic)}
    return {(partition, offset) for partition, offset in places if offset >= starts[partition]}


def _record(cases: Sequence[Case], seconds: float, wrong: str = "") -> None:
    for case in cases:
        outcomes[case.name] = Outcome(case, seconds, " ".join(wrong.split()).replace("|", "/")[:200])
    report.remember([outcomes[case.name] for case in cases])


def _without(transitions: dict[str, tuple[str, str]], concerned: set[str]) -> dict[str, tuple[str, str]]:
    return {service: shown for service, shown in transitions.items() if service not in concerned}
