"""No secret is told by the reports that people pass on, nor by a log that was made verbose to find a fault."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import operator_env, paths
from lab.iam import control as iam
from lab.kafka import admin as kafka
from lab.openai import control as openai
from lab.opensearch import admin as opensearch
from lab.operating import Operator, Resource, rows, send, texts, until
from tests.canaries import Collector, no_leaks

NAME = "connectivity-test-canaries"
CHECK_REQUESTED = "connectivity.hyperoptic.com/check-requested"
FORMATS = ("table", "json", "junit", "html")


@pytest.fixture
def operator(lab: None) -> Iterator[Operator]:
    """It runs, as verbose as can be."""
    operator = Operator()
    operator.stop()
    operator.start({"LOG_LEVEL": "DEBUG"})
    yield operator
    operator.stop()


@pytest.fixture
def resource(operator: Operator) -> Iterator[Resource]:
    """A resource that reads a topic of its own."""
    asyncio.run(kafka.create_topic(NAME))
    made = Resource("canaries", [NAME], NAME, spec={"intervalSeconds": 20, "timeoutSeconds": 12})
    made.apply().until_reading()
    yield made
    made.delete()
    asyncio.run(kafka.delete_topic(NAME))
    opensearch.delete_index(NAME)


@contextmanager
def everything_refused() -> Iterator[None]:
    """Each dependency refuses what it is shown: key, tokens and signatures are in the hands of those who complain."""
    denied = iam.without("kafka-cluster:ReadData", "kafka-cluster:Connect", "aoss:APIAccessAll", "rds-db:connect")
    try:
        with denied:
            openai.accept_keys()
            yield
    finally:
        openai.reset()


def test_no_report_and_no_verbose_log_tells_a_secret(lab: None, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The operator and `check` in every format, at LOG_LEVEL=DEBUG, through four refusals while messages flow."""
    with Collector(tmp_path) as produced:
        resource: Resource = request.getfixturevalue("resource")
        send(NAME, texts("canary", 3))
        until(lambda: len(rows(NAME)) == 3, limit=60, what="the messages' rows")
        with everything_refused():
            send(NAME, texts("canary, refused", 3))
            for form in FORMATS:
                produced.add(f"check -o {form}", _check(form))
            resource.patch({"metadata": {"annotations": {CHECK_REQUESTED: "now"}}})
            resource.until("OpenAIConnected", "APIKeyInvalid")
            resource.until("KafkaConnected", "ClusterAccessDenied")
            produced.metrics()
        until(lambda: len(rows(NAME)) == 6, limit=90, what="the rows of the messages that waited")
    found = dict(produced.places())
    assert '"log_level":"DEBUG"' in found["the operator's log"]
    assert "ClusterAccessDenied" in found["connectivitytests meanwhile"]
    assert all("APIKeyInvalid" in found[f"check -o {form}"] for form in FORMATS)
    no_leaks(produced)


def _check(form: str) -> str:
    """All that it prints."""
    argv = [sys.executable, "-m", "connectivity_operator", "check", "-o", form, "--index", NAME, "--topic", NAME]
    wrapped, env = operator_env.command(argv, extra={"LOG_LEVEL": "DEBUG"})
    done = subprocess.run(wrapped, env=env, cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stderr
    return done.stdout + done.stderr
