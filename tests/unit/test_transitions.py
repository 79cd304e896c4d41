"""What a change of the status tells people: each thing once, causes before their effect, and no ebb and flow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectivity_operator.conditions import CONNECTED, Facts, Flow, Judged, compose
from connectivity_operator.reasons import DEPENDENCIES, Reason, Rung, Service
from connectivity_operator.status import PipelineStatus, Status, read

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FINE = {s: Judged(CONNECTED, 1) for s in DEPENDENCIES}
BROKEN = {**FINE, Service.KAFKA: Judged("ReadDataDenied", 1, rung=Rung.OPERATION, message="No.", failures=2)}
SEEN = PipelineStatus(last_message={"completedTime": "2026-11-24T11:58:00Z"})
QUIET = Flow(starting=False, pipeline=SEEN, finished_ago=600, accepted_ago=600)
FLOWS = replace(QUIET, finished_ago=1, accepted_ago=1)
COMING = replace(QUIET, pipeline=replace(SEEN, lag=1))
STARTS = Flow(starting=True, pipeline=SEEN)


def told(status: Status, moments: Iterable[dict[str, object]]) -> tuple[Status, list[str]]:
    """The reasons that are told while these facts follow each other, one a minute."""
    reasons: list[str] = []
    for turn, changes in enumerate(moments):
        base = Facts(NOW + timedelta(minutes=turn), 1, "operator/connectivity", 60, judged=FINE, flow=QUIET)
        status, news = compose(status, replace(base, **changes))  # type: ignore[arg-type]
        reasons += [t.reason for t in news if t.service in ("resource", "pipeline")]
    return status, reasons


VERIFIED, _ = told(Status(), [{}, {"flow": FLOWS}])


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([{}, {"flow": COMING}, {"flow": FLOWS}] * 5, []),
        ([{"flow": STARTS}, {}, {"flow": FLOWS}], []),
        ([{}, {"judged": BROKEN}, {"judged": BROKEN}, {}], ["KafkaFailed", "AllConnected"]),
        (
            [{"judged": BROKEN}, {}, {"flow": FLOWS}, {}, {"flow": FLOWS}],
            ["KafkaFailed", "AllConnected", "EndToEndVerified"],
        ),
        (
            [{"flow": replace(QUIET, lagging_for=121)}, {"flow": FLOWS}, {}, {"flow": FLOWS}],
            ["NotProgressing", "PipelineFailed", "Flowing", "EndToEndVerified"],
        ),
        ([{"suspended": True}, {"flow": FLOWS}, {}], ["Suspended", "EndToEndVerified"]),
    ],
    ids=["sparse", "restarted", "failed", "failed and recovered", "stuck", "suspended"],
)
def test_sparse_traffic_is_no_news(moments: list[dict[str, object]], expected: list[str]) -> None:
    """Once verified, quiet and messages that come again tell nothing; after a failure the recovery is told again."""
    status, reasons = told(VERIFIED, moments)
    assert reasons == expected
    assert [line["reason"] for line in status.history if line["service"] in ("resource", "pipeline")][
        : len(expected)
    ] == expected[::-1]


def test_the_first_message_is_told_once() -> None:
    """Before it, silence is told as silence."""
    _, reasons = told(Status(), [{"judged": {}, "flow": STARTS}, {}, {}, {"flow": FLOWS}, {}, {"flow": FLOWS}])
    assert reasons == ["NoMessages", "AllConnected", "Flowing", "EndToEndVerified"]


def test_a_restart_does_not_tell_again() -> None:
    """The memory of what was told is the history in the object."""
    asleep, _ = told(VERIFIED, [{}])
    assert told(read(asleep.body()), [{"judged": {}, "flow": STARTS}, {"flow": FLOWS}, {}])[1] == []


def test_a_new_generation_is_verified_anew() -> None:
    """Whoever has changed the index waits for the words that it works, too."""
    new = {"generation": 2, "judged": {s: Judged(CONNECTED, 2) for s in DEPENDENCIES}}
    unjudged = {"generation": 2, "judged": {}, "flow": STARTS}
    _, reasons = told(
        VERIFIED, [unjudged, {**new, "flow": STARTS}, {**new, "flow": FLOWS}, new, {**new, "flow": FLOWS}]
    )
    assert reasons == ["AllConnected", "EndToEndVerified"]


def test_the_cause_is_told_before_its_effect() -> None:
    """Events in the order in which a person asks why; history, newest first, the other way round."""
    notice = (Service.KAFKA, str(Reason.OFFSETS_EXPIRED), "Gone.")
    facts = Facts(NOW, 1, "operator/connectivity", 60, judged=BROKEN, flow=QUIET, notices=(notice,))
    status, news = compose(VERIFIED, facts)
    assert [(t.service, t.reason) for t in news] == [
        ("kafka", "OffsetsExpired"),
        ("kafka", "ReadDataDenied"),
        ("resource", "KafkaFailed"),
    ]
    assert [line["reason"] for line in status.history[:3]] == ["KafkaFailed", "ReadDataDenied", "OffsetsExpired"]
    assert [t.message for t in news[1:]] == ["kafka: No.", "Not ready: kafka ReadDataDenied."]  # not twice the same


def test_what_has_no_other_event_is_told_in_full() -> None:
    """A refusal by the policy stands in `Ready` alone; so does what is left when another failure has healed."""
    refusal = "Rule 1 refuses it. Ask for something else."
    _, news = compose(VERIFIED, Facts(NOW, 1, "o/c", 60, flow=QUIET, not_allowed=refusal))
    assert [t.message for t in news] == [refusal]
    both = {**BROKEN, Service.OPENAI: Judged("QuotaExhausted", 1, message="No credit.", failures=2)}
    broken, _ = compose(VERIFIED, Facts(NOW, 1, "o/c", 60, flow=QUIET, judged=both))
    _, news = compose(broken, Facts(NOW, 1, "o/c", 60, flow=QUIET, judged={**both, Service.KAFKA: FINE[Service.KAFKA]}))
    assert [t.message for t in news][-1] == "openai: QuotaExhausted. No credit."


@pytest.mark.parametrize(
    ("flow", "words"),
    [(QUIET, "The last message came through at 2026-11-24T11:58:00Z"), (Flow(starting=False), "No message has come")],
)
def test_silence_says_when_the_last_message_came(flow: Flow, words: str) -> None:
    """A topic that fell quiet is not one from which nothing ever came; and the text stands still."""
    status, _ = told(Status(), [{"flow": flow}])
    later, _ = told(status, [{"flow": flow, "now": NOW + timedelta(hours=1)}])
    for kind in ("PipelineFlowing", "Ready"):
        assert words in status.conditions[kind].message
        assert later.conditions[kind] == status.conditions[kind]
