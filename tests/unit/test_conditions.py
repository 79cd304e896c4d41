"""The condition table: what each condition says, which reason Ready takes, what a restart changes (nothing)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectivity_operator.conditions import CONNECTED, Facts, Flow, Judged, compose
from connectivity_operator.reasons import DEPENDENCIES, Reason, Rung, Service
from connectivity_operator.status import Counters, PipelineStatus, Status, read, timestamp

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FINE = {s: Judged(CONNECTED, 1) for s in DEPENDENCIES}
BROKEN = Judged("ReadDataDenied", 1, rung=Rung.OPERATION, message="No.", remedy="Allow it.", failures=2)
IDLE = Flow(starting=False)
FLOWING = replace(IDLE, finished_ago=5, accepted_ago=5)


def facts(**changes: object) -> Facts:
    base = Facts(now=NOW, generation=1, operator="operator/connectivity", interval=60, judged=FINE, flow=IDLE)
    return replace(base, **changes)  # type: ignore[arg-type]


def said(status: Status, kind: str = "Ready") -> tuple[str, str]:
    condition = status.conditions[kind]
    return condition.status, condition.reason


def test_every_condition_is_there_from_the_first_write_on() -> None:
    """An absent condition prints an empty column and hangs `kubectl wait`."""
    first, _ = compose(Status(), facts(judged={}, flow=Flow()))
    assert {c: (v.status, v.reason) for c, v in first.conditions.items()} == {
        "Ready": ("Unknown", "Pending"),
        "KafkaConnected": ("Unknown", "Pending"),
        "OpenAIConnected": ("Unknown", "Pending"),
        "OpenSearchConnected": ("Unknown", "Pending"),
        "PostgreSQLConnected": ("Unknown", "Pending"),
        "PipelineFlowing": ("Unknown", "Starting"),
    }
    assert first.observed_generation == 0  # nothing has been judged yet


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("True", "AllConnected")),
        ({"flow": FLOWING}, ("True", "EndToEndVerified")),
        ({"judged": {**FINE, Service.KAFKA: BROKEN}}, ("False", "KafkaFailed")),
        ({"judged": {**FINE, Service.OPENAI: BROKEN}}, ("False", "OpenAIFailed")),
        ({"judged": {**FINE, Service.OPENAI: BROKEN, Service.POSTGRESQL: BROKEN}}, ("False", "OpenAIFailed")),
        ({"judged": {**FINE, Service.OPENSEARCH: replace(BROKEN, rung=Rung.IDENTITY)}}, ("False", "IdentityFailed")),
        ({"judged": {Service.KAFKA: Judged(CONNECTED, 1)}}, ("Unknown", "Pending")),
        ({"judged": {Service.KAFKA: BROKEN}}, ("False", "KafkaFailed")),
        ({"suspended": True}, ("False", "Suspended")),
        ({"suspended": True, "not_allowed": "no"}, ("False", "NotAllowed")),
        ({"flow": replace(IDLE, trouble=(Service.OPENAI, Reason.RATE_LIMITED, 61.0))}, ("False", "PipelineFailed")),
    ],
)
def test_ready_takes_the_first_reason_that_holds(changes: dict[str, object], expected: tuple[str, str]) -> None:
    """NotAllowed, Suspended, IdentityFailed, a service in the order of the columns, the pipeline."""
    assert said(compose(Status(), facts(**changes))[0]) == expected


def test_ready_names_every_service_that_failed() -> None:
    """A person fixing two things should not find the second one only after the first."""
    judged = {**FINE, Service.KAFKA: BROKEN, Service.OPENSEARCH: replace(BROKEN, reason="DataAccessDenied")}
    message = compose(Status(), facts(judged=judged))[0].conditions["Ready"].message
    assert "kafka: ReadDataDenied" in message
    assert "opensearch: DataAccessDenied" in message


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (Flow(), ("Unknown", "Starting")),
        (IDLE, ("Unknown", "NoMessages")),
        (FLOWING, ("True", "Flowing")),
        (replace(FLOWING, starting=True), ("True", "Flowing")),
        (replace(IDLE, finished_ago=181, accepted_ago=181), ("Unknown", "NoMessages")),
        (replace(IDLE, finished_ago=5), ("False", "MessagesRejected")),
        (replace(IDLE, finished_ago=5, accepted_ago=181), ("False", "MessagesRejected")),
        (replace(FLOWING, trouble=(Service.KAFKA, Reason.CONNECTION_RESET, 59.0)), ("True", "Flowing")),
        (replace(FLOWING, trouble=(Service.KAFKA, Reason.CONNECTION_RESET, 61.0)), ("False", "Retrying")),
        (replace(IDLE, lagging_for=121), ("False", "NotProgressing")),
        (replace(FLOWING, silent=("orders/2", 119.0)), ("True", "Flowing")),
        (replace(FLOWING, silent=("orders/2", 121.0)), ("False", "NotProgressing")),
        (replace(FLOWING, throttled_for=59.0), ("True", "Flowing")),
        (replace(FLOWING, throttled_for=61.0), ("True", "Throttled")),
        (replace(IDLE, finished_ago=300, accepted_ago=300, throttled_for=400.0), ("True", "Throttled")),
        (replace(IDLE, finished_ago=5, accepted_ago=300, throttled_for=400.0), ("False", "MessagesRejected")),
        (
            replace(FLOWING, throttled_for=61.0, trouble=(Service.OPENAI, Reason.RATE_LIMITED, 61.0)),
            ("False", "Retrying"),
        ),
        (replace(IDLE, lagging_for=100, pipeline=PipelineStatus(lag=3)), ("Unknown", "Starting")),
    ],
)
def test_pipeline_flowing(flow: Flow, expected: tuple[str, str]) -> None:
    """Flowing needs a finished message within three intervals; waiting is judged by the interval."""
    assert said(compose(Status(), facts(flow=flow))[0], "PipelineFlowing") == expected


def test_a_short_interval_does_not_make_a_passing_fault_a_failure() -> None:
    """A broker that restarts within fifteen seconds flips nothing, the pipeline's condition included."""
    for seconds, expected in ((14.0, "Flowing"), (16.0, "Retrying")):
        flow = replace(FLOWING, trouble=(Service.KAFKA, Reason.CONNECTION_RESET, seconds))
        assert said(compose(Status(), facts(flow=flow, interval=10))[0], "PipelineFlowing")[1] == expected


def test_what_the_policy_holds_back_is_ready_all_the_same() -> None:
    """The rate is somebody's will, not a fault; the condition says why the lag grows."""
    after = compose(Status(), facts(flow=replace(FLOWING, throttled_for=300.0)))[0]
    assert said(after) == ("True", "EndToEndVerified")
    assert "maxMessagesPerMinute" in after.conditions["PipelineFlowing"].message


def test_a_silent_partition_is_named() -> None:
    """Whoever has sixteen topics wants to know which one."""
    after = compose(Status(), facts(flow=replace(FLOWING, silent=("orders/2", 300.0))))[0]
    assert "orders/2" in after.conditions["Ready"].message


def test_one_rejected_message_among_good_ones_does_not_change_ready() -> None:
    """A poison message is its sender's problem, not the connectivity's."""
    flow = replace(FLOWING, pipeline=PipelineStatus(counters=Counters(consumed=9, logged=9, rejected=1)))
    assert said(compose(Status(), facts(flow=flow))[0]) == ("True", "EndToEndVerified")


def test_a_restart_changes_nothing_by_itself() -> None:
    """Verdicts, transition times, history and counters continue; nothing goes back to Pending; no Event."""
    flow = replace(FLOWING, pipeline=PipelineStatus(counters=Counters(logged=412), topics=frozenset({"orders"})))
    settled, _ = compose(Status(), facts(flow=flow, judged={**FINE, Service.KAFKA: BROKEN}))
    found = read(settled.body())
    assert found == settled
    later = NOW + timedelta(minutes=1)
    unsettled = Flow(pipeline=found.pipeline, starting=True, finished_ago=65, accepted_ago=65)
    after, transitions = compose(found, facts(now=later, judged={}, flow=unsettled))
    assert transitions == []
    assert after.conditions == settled.conditions
    assert after.services == settled.services
    assert after.history == settled.history
    assert after.pipeline.counters.logged == 412


def test_a_new_generation_is_observed_only_when_it_was_judged() -> None:
    """`kubectl wait` must not take the old spec's verdict for the new one's."""
    old, _ = compose(Status(), facts())
    waiting, _ = compose(old, facts(generation=2, judged={}))
    assert waiting.observed_generation == 1
    partly, _ = compose(waiting, facts(generation=2, judged={Service.KAFKA: Judged(CONNECTED, 2)}))
    assert partly.observed_generation == 1
    fully, _ = compose(partly, facts(generation=2, judged={s: Judged(CONNECTED, 2) for s in DEPENDENCIES}))
    assert fully.observed_generation == 2


def test_transition_times_change_with_the_status_only() -> None:
    """Another reason for the same False is no transition in the sense of Kubernetes' conventions."""
    first, _ = compose(Status(), facts(judged={**FINE, Service.KAFKA: BROKEN}))
    other = replace(BROKEN, reason="DescribeTopicDenied")
    second, events = compose(first, facts(now=NOW + timedelta(hours=1), judged={**FINE, Service.KAFKA: other}))
    before, after = first.conditions["KafkaConnected"], second.conditions["KafkaConnected"]
    assert after.reason == "DescribeTopicDenied"
    assert after.last_transition_time == before.last_transition_time
    assert [e.reason for e in events] == ["DescribeTopicDenied"]  # but people are told


def test_events_and_history_come_on_transitions_only() -> None:
    """A steady state says nothing."""
    first, events = compose(Status(), facts())
    assert {e.reason for e in events} >= {"Connected", "AllConnected"}
    again, silence = compose(first, facts(now=NOW + timedelta(minutes=5)))
    assert silence == []
    assert again.history == first.history


def test_suspending_keeps_the_verdicts() -> None:
    """What was true when it was suspended stays readable."""
    before, _ = compose(Status(), facts(flow=FLOWING, judged={**FINE, Service.KAFKA: BROKEN}))
    after, _ = compose(before, facts(generation=2, judged={}, suspended=True, flow=Flow(pipeline=before.pipeline)))
    assert said(after) == ("False", "Suspended")
    assert after.conditions["KafkaConnected"] == before.conditions["KafkaConnected"]
    assert said(after, "PipelineFlowing") == ("True", "Flowing")
    assert after.observed_generation == 2


def test_a_resource_suspended_before_its_first_check_says_so() -> None:
    """Unknown, with the reason."""
    after, _ = compose(Status(), facts(judged={}, suspended=True, flow=Flow()))
    assert said(after, "KafkaConnected") == ("Unknown", "Suspended")


def test_what_the_policy_refuses_is_stalled() -> None:
    """kstatus: only an edit can heal it; and the mark goes when it is healed."""
    refused, _ = compose(Status(), facts(judged={}, not_allowed="spec.topics: …"))
    assert said(refused, "Stalled") == ("True", "NotAllowed")
    allowed, _ = compose(refused, facts(generation=2, judged={}))
    assert "Stalled" not in allowed.conditions


def test_history_is_bounded_and_newest_first() -> None:
    """At most twenty lines, or the object would grow for ever."""
    status = Status()
    for turn in range(30):
        judged = {**FINE, Service.KAFKA: BROKEN} if turn % 2 else FINE
        status, _ = compose(status, facts(now=NOW + timedelta(minutes=turn), judged=judged))
    assert len(status.history) == 20
    assert status.history[0]["time"] == "2026-11-24T12:29:00Z"


def test_messages_fit_the_schema() -> None:
    """The API server refuses a longer one, and with it the whole status."""
    long = {s: replace(BROKEN, message="x" * 500) for s in DEPENDENCIES}
    body = compose(Status(), facts(judged=long))[0].body()
    assert max(len(c["message"]) for c in body["conditions"]) <= 512


def test_a_message_of_the_old_generation_proves_nothing_of_the_new_one() -> None:
    """Another index, another topic: `EndToEndVerified` must be earned again."""
    old, _ = compose(Status(), facts(flow=FLOWING))
    judged = {s: Judged(CONNECTED, 2) for s in DEPENDENCIES}
    new, _ = compose(old, facts(generation=2, judged=judged, flow=Flow(starting=True)))
    assert said(new) == ("True", "AllConnected")
    assert said(new, "PipelineFlowing") == ("Unknown", "Starting")


def test_a_slow_restart_does_not_take_flowing_away() -> None:
    """The last finished message is written every half minute only; a verdict stands until there is a new one."""
    old, _ = compose(Status(), facts(flow=FLOWING, interval=10))
    again, transitions = compose(old, facts(judged={}, interval=10, flow=Flow(finished_ago=45, accepted_ago=45)))
    assert said(again) == ("True", "EndToEndVerified")
    assert transitions == []


def test_failures_go_on_counting_over_a_restart() -> None:
    """A counter that starts anew would tell an old outage for a young one."""
    old, _ = compose(Status(), facts(judged={**FINE, Service.KAFKA: replace(BROKEN, failures=40)}))
    new, _ = compose(old, facts(judged={**FINE, Service.KAFKA: replace(BROKEN, failures=2)}))
    assert new.services["kafka"].consecutive_failures == 40


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"checked": NOW - timedelta(seconds=20)}, 160),
        ({"checked": NOW - timedelta(seconds=10), "interval": 10}, 80),  # it is written every half minute
        ({"checked": NOW - timedelta(hours=1), "suspended": True}, 180),
        ({"checked": NOW - timedelta(hours=1), "not_allowed": "no"}, 180),
        ({"judged": {}}, 180),
        ({"checked": NOW - timedelta(hours=1)}, 180 - 3600),
    ],
)
def test_a_living_operators_status_is_valid_until_its_next_write(changes: dict[str, object], seconds: int) -> None:
    """Otherwise another operator would take the resource over in between; verdicts that nobody renews do expire."""
    status, _ = compose(Status(), facts(**changes))
    assert status.valid_until == timestamp(NOW + timedelta(seconds=seconds))
