"""A resource's life as a user sees it: applied, changed, suspended, deleted; the operator restarted; the API away."""

from __future__ import annotations

import json
import time

from lab import runner, world
from lab.operating import (
    NAMESPACE,
    Load,
    Operator,
    Resource,
    committed,
    ends,
    kubectl,
    rows,
    send,
    texts,
    until,
)
from tests.e2e.conftest import MakeResource


def test_from_apply_to_verified_to_deleted(make_resource: MakeResource) -> None:
    """The main job; `kubectl delete` finishes within ten seconds."""
    resource = make_resource()
    kubectl(
        "-n", resource.namespace, "wait", "--for=condition=Ready", f"ctest/{resource.name}", "--timeout=60s", limit=70
    )
    resource.until_reading()
    send(resource.topics[0], texts("life", 10))
    resource.until("Ready", "EndToEndVerified")
    until(lambda: resource.status["pipeline"]["logged"] == 10, limit=60, what="ten logged messages in the status")
    status = resource.status
    assert status["observedGeneration"] == resource.get()["metadata"]["generation"]
    assert status["identity"]["method"] == "WebIdentity"
    assert status["model"] == {"name": "text-embedding-3-small", "dimensions": 1536}
    assert {s["name"]: s["reason"] for s in status["services"]} == dict.fromkeys(
        ("kafka", "openai", "opensearch", "postgresql"), "Connected"
    )
    began = time.monotonic()
    resource.delete()
    assert time.monotonic() - began < 10


def test_a_namespace_with_a_resource_can_be_deleted(make_resource: MakeResource) -> None:
    """No finalizer is left behind."""
    kubectl("create", "namespace", "e2e-going")
    resource = make_resource(namespace="e2e-going")
    resource.until("Ready", "AllConnected")
    kubectl("delete", "namespace", "e2e-going", "--timeout=60s", limit=70)


def test_changed_topics_are_taken_over_without_a_restart(make_resource: MakeResource) -> None:
    """The new topic is read, the old one is not."""
    resource = make_resource(topics=2, apply=False)
    first, second = resource.topics
    resource.topics = [first]
    resource.apply().until_reading()
    resource.topics = [second]
    resource.apply().until_reading()
    send(first, texts("old", 3))
    send(second, texts("new", 3))
    until(lambda: len(rows(second)) == 3, limit=30, what="the new topic's rows")
    assert rows(first) == []
    until(
        lambda: resource.status["observedGeneration"] == resource.get()["metadata"]["generation"],
        limit=30,
        what="the new generation judged",
    )
    resource.topics = [first, second]  # for the clean-up


def test_suspend_stops_consumption_and_keeps_the_verdicts(make_resource: MakeResource) -> None:
    """What is sent meanwhile waits; resuming reads it."""
    resource = make_resource()
    resource.until("Ready", "AllConnected")
    resource.until_reading()
    resource.patch({"spec": {"suspend": True}})
    resource.until("Ready", "Suspended")
    send(resource.topics[0], texts("suspended", 4))
    time.sleep(5)
    assert rows(resource.topics[0]) == []
    assert resource.condition("KafkaConnected") == ("True", "Connected")
    resource.patch({"spec": {"suspend": False}})
    until(lambda: len(rows(resource.topics[0])) == 4, limit=60, what="the messages sent meanwhile")
    resource.until("Ready", "EndToEndVerified")


def test_suspend_toggled_twenty_times_ends_in_the_right_state(make_resource: MakeResource) -> None:
    """A quick suspend and resume must not leave the resource without a daemon."""
    resource = make_resource()
    resource.until_reading()
    for last in ("true", "false"):
        began = time.monotonic()
        states = ("false", "true") if last == "true" else ("true", "false")
        for n in range(20):
            resource.patch({"spec": {"suspend": states[n % 2] == "true"}})
            time.sleep(max(0.0, 0.25 * (n + 1) - (time.monotonic() - began)))
        if last == "true":
            resource.until("Ready", "Suspended")
    send(resource.topics[0], texts("after", 3))
    until(lambda: len(rows(resource.topics[0])) == 3, limit=60, what="messages after the last resume")
    resource.until("Ready", "EndToEndVerified")


def _shown(resource: Resource) -> object:
    status = resource.status
    return [(c["type"], c["status"], c["reason"], c["lastTransitionTime"]) for c in status["conditions"]]


def _events(resource: Resource) -> list[str]:
    found = json.loads(
        kubectl("-n", resource.namespace, "get", "events", "-o", "json", "--field-selector",
                f"involvedObject.name={resource.name}")
    )  # fmt: skip
    return sorted(f"{e['reason']} {e['metadata']['name']}" for e in found["items"])


def test_three_restarts_under_traffic_change_nothing(operator: Operator, make_resource: MakeResource) -> None:
    """No condition, no transition time, no Event, no counter goes back."""
    resource = make_resource()
    resource.until_reading()
    with Load(resource.topics[0]) as load:
        resource.until("Ready", "EndToEndVerified")
        until(lambda: resource.status["pipeline"]["logged"] > 0, limit=60, what="the first messages in the status")
        shown, events, history = _shown(resource), _events(resource), resource.status["history"]
        logged = 0
        for _ in range(3):
            operator.terminate()
            assert resource.status["pipeline"]["logged"] >= logged
            logged = resource.status["pipeline"]["logged"]
            time.sleep(2)
            operator.start()
            until(
                lambda n=logged: resource.status["pipeline"]["logged"] > n, limit=60, what=f"more than {logged} logged"
            )
            assert _shown(resource) == shown
        time.sleep(12)  # an interval: every dependency has been judged anew
        assert _shown(resource) == shown
        assert _events(resource) == events
        assert resource.status["history"] == history
    until(lambda: resource.status["pipeline"]["logged"] == load.sent, limit=60, what=f"{load.sent} logged")
    assert len(rows(resource.topics[0])) == load.sent


def test_sigterm_ends_the_operator_with_offsets_committed(operator: Operator, make_resource: MakeResource) -> None:
    """Within fifteen seconds; what has a row is committed, so that nothing comes again."""
    resource = make_resource(partitions=3, startFrom="Earliest")
    resource.until_reading()
    send(resource.topics[0], texts("term", 1500))
    until(lambda: len(rows(resource.topics[0])) > 100, limit=60, what="the first rows")
    assert operator.terminate() < 15
    done = len(rows(resource.topics[0]))
    assert sum(committed(resource).values()) == done
    operator.start()
    until(lambda: len(rows(resource.topics[0])) >= 1500, limit=90, what="all rows")
    until(lambda: sum(committed(resource).values()) == sum(ends(resource.topics[0]).values()), limit=30, what="commits")
    assert len(rows(resource.topics[0])) == 1500


def test_a_check_on_request_is_made_and_echoed(make_resource: MakeResource) -> None:
    """The annotation's text comes back when all four have looked again."""
    resource = make_resource(intervalSeconds=3600)
    resource.until("Ready", "AllConnected")
    before = resource.status["lastCheckTime"]
    time.sleep(1.1)
    kubectl(
        "-n", resource.namespace, "annotate", "ctest", resource.name,
        "connectivity.hyperoptic.com/check-requested=please",
    )  # fmt: skip
    until(lambda: resource.status.get("lastRequestHandled") == "please", limit=30, what="the echo")
    assert resource.status["lastCheckTime"] > before


def test_a_hundred_resources_at_once_become_ready(operator: Operator, make_resource: MakeResource) -> None:
    """Checks and requests are shared: no thread and no client a resource, and nobody waits for ever."""
    first = make_resource(partitions=1)
    first.until("Ready", "AllConnected")
    servers = [name[1] for name in (world.OPENAI, world.OPENSEARCH, world.POSTGRESQL, world.STS)]
    threads, clients = operator.threads(), operator.connections(*servers)
    many = [Resource(f"{first.name}-{n}", first.topics, first.index, spec=first.spec) for n in range(100)]
    kubectl("apply", "-f", "-", stdin="\n---\n".join(resource.manifest() for resource in many))
    try:
        until(lambda: _ready(first.name) == 101, limit=90, what=lambda: f"101 ready ones ({_ready(first.name)} are)")
        assert operator.threads() - threads < 50
        assert operator.connections(*servers) - clients < 20
    finally:
        kubectl("-n", first.namespace, "delete", "ctest", *(r.name for r in many), limit=120)


def _ready(prefix: str) -> int:
    shown = kubectl("-n", NAMESPACE, "get", "ctest", "--no-headers").splitlines()
    return sum(1 for line in shown if line.startswith(prefix) and line.split()[1] == "True")


def test_an_api_server_away_for_a_minute_loses_nothing(operator: Operator, make_resource: MakeResource) -> None:
    """Messages go on meanwhile; the newest status is written when it is back."""
    resource = make_resource()
    resource.until_reading()
    topic = resource.topics[0]
    runner.stop("kubernetes-apiserver")
    try:
        for turn in range(6):
            send(topic, texts(f"api {turn}", 10))
            time.sleep(10)
        assert len(rows(topic)) == 60
    finally:
        runner.start("kubernetes-apiserver")
    until(lambda: resource.status["pipeline"]["logged"] == 60, limit=90, what="the counters after the outage")
    resource.until("Ready", "EndToEndVerified")
    send(topic, texts("after", 5))
    until(lambda: len(rows(topic)) == 65, limit=30, what="messages after the outage")
