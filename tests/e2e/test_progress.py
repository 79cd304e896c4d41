"""Messages that do not move: the status says why, or at least that, and nothing is lost."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import world
from lab.faults import packets
from lab.kafka import admin as kafka
from lab.openai import control as openai
from lab.opensearch import admin as opensearch
from lab.operating import Load, Operator, Resource, account, ends, kubectl, rows, send, texts, until
from tests.e2e.conftest import MakeResource

FAULT = "e2e-broker-away"
LARGE = 4000
"""Bytes; no certificate and no answer to a check is larger."""


@pytest.fixture
def two_leaders(operator: Operator) -> Iterator[Resource]:
    """A resource whose topic has one partition on either broker, and messages that flow."""
    name = f"connectivity-test-{secrets.token_hex(3)}"
    asyncio.run(kafka.create_topic(name, replicas=[[1, 2], [2, 1]]))
    resource = Resource(name, [name], name, spec={"intervalSeconds": 10, "timeoutSeconds": 8})
    resource.apply().until_reading()
    yield resource
    packets.clear(FAULT)
    resource.delete()
    asyncio.run(kafka.delete_topic(name))
    opensearch.delete_index(name)


def test_one_broker_of_two_is_away_while_the_consumer_says_nothing(two_leaders: Resource) -> None:
    """The consumer goes on with the other one and raises nothing; the broker is named, and all arrives in the end."""
    resource, topic = two_leaders, two_leaders.topics[0]
    with Load(topic):
        resource.until("Ready", "EndToEndVerified")
        packets.block(FAULT, world.BROKERS[2][1], 9098, packets.DROP)
        resource.until("KafkaConnected", "BrokerUnreachable", limit=90)
        [shown] = [service for service in resource.status["services"] if service["name"] == "kafka"]
        assert f"{world.BROKERS[2][0]}:9098" in shown["message"]
        assert topic in shown["message"]
        before = len(rows(topic))
        until(lambda: len(rows(topic)) > before + 10, limit=30, what="messages of the other broker")
        packets.clear(FAULT)
        resource.until("Ready", "EndToEndVerified")
    total = sum(ends(topic).values())
    until(lambda: len(account(topic, resource.index).rows) == total, limit=60, what=f"{total} rows", every=0.5)


def test_a_partition_that_falls_silent_is_named(two_leaders: Resource) -> None:
    """One broker's large answers are lost on the way: all checks pass, nothing raises, the other partition goes on."""
    resource, topic = two_leaders, two_leaders.topics[0]
    packets.drop_large_answers(FAULT, world.BROKERS[2][1], 9098, longest=LARGE)
    send(topic, [b"large " * LARGE], partition=1)
    with Load(topic, partition=0):
        resource.until("PipelineFlowing", "NotProgressing", limit=90)
        status = resource.status
        [flowing] = [c for c in status["conditions"] if c["type"] == "PipelineFlowing"]
        assert f"{topic}/1" in flowing["message"]
        assert {service["reason"] for service in status["services"]} == {"Connected"}
        before = len(rows(topic))
        until(lambda: len(rows(topic)) > before, limit=30, what="messages of the other partition")
        packets.clear(FAULT)
        resource.until("Ready", "EndToEndVerified", limit=120)
    total = sum(ends(topic).values())
    until(lambda: len(account(topic, resource.index).rows) == total, limit=60, what=f"{total} rows", every=0.5)


def test_messages_that_nobody_finishes_are_told(make_resource: MakeResource) -> None:
    """Messages wait for answers, and no step counts as failed yet: the first gives up after half a minute."""
    resource = make_resource()
    resource.until_reading()
    resource.until("Ready", "AllConnected")
    with openai.injected(delay_seconds=60):
        send(resource.topics[0], texts("slow", 5))
        resource.until("PipelineFlowing", "NotProgressing", limit=90)
    until(lambda: len(rows(resource.topics[0])) == 5, limit=120, what="the rows")
    resource.until("Ready", "EndToEndVerified")


def test_sparse_traffic_is_told_once(make_resource: MakeResource) -> None:
    """The second message after a silence is no news, and leaves the history to what is; the silence has a date."""
    resource = make_resource()
    resource.until_reading()
    send(resource.topics[0], texts("first", 1))
    resource.until("Ready", "EndToEndVerified")
    resource.until("Ready", "AllConnected", limit=90)
    shown = resource.status
    for condition in shown["conditions"]:
        if condition["type"] in ("Ready", "PipelineFlowing"):
            assert shown["pipeline"]["lastMessage"]["completedTime"] in condition["message"]
    send(resource.topics[0], texts("second", 1))
    resource.until("Ready", "EndToEndVerified")
    reasons = [line["reason"] for line in resource.status["history"]]
    assert [reasons.count(reason) for reason in ("Flowing", "EndToEndVerified")] == [1, 1]
    assert kubectl("-n", resource.namespace, "describe", "ctest", resource.name).count("Normal  EndToEndVerified") == 1


def test_what_the_policy_holds_back_is_told_and_is_no_failure(
    operator: Operator, make_resource: MakeResource, tmp_path: Path
) -> None:
    """Sixty messages a minute: the rest waits as lag, `PipelineFlowing` says why, `Ready` stays True."""
    everything = {"namespaces": ["*"], "topics": ["*"], "indices": ["*"], "models": ["*"]}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"rules": [{**everything, "maxMessagesPerMinute": 60}]}))
    operator.stop()
    operator.start({"POLICY_FILE": str(tmp_path / "policy.yaml")})
    resource = make_resource()
    resource.until_reading()
    send(resource.topics[0], texts("flood", 60))
    resource.until("PipelineFlowing", "Throttled", limit=60)
    assert resource.condition("Ready") == ("True", "EndToEndVerified")
    assert resource.status["pipeline"]["lag"] > 0
    operator.stop()
