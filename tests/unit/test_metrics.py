"""What Prometheus is told."""

from __future__ import annotations

import socket
import urllib.request
from dataclasses import replace

import pytest

from connectivity_operator.metrics import MESSAGES, Metrics
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import Rung, Service
from connectivity_operator.status import Condition, Counters, PipelineStatus, Status

REF = ObjectRef("search", "orders", "uid-1")
LABELS = {"namespace": "search", "name": "orders"}


def condition(type_: str, status: str, reason: str) -> Condition:
    return Condition(type_, status, reason)


def status(*conditions: Condition, **fields: object) -> Status:
    return replace(Status(conditions={c.type: c for c in conditions}), **fields)  # type: ignore[arg-type]


FAILED = status(
    condition("Ready", "False", "KafkaFailed"),
    condition("KafkaConnected", "False", "ReadDataDenied"),
    condition("OpenAIConnected", "True", "Connected"),
    condition("OpenSearchConnected", "Unknown", "Pending"),
    last_check_time="2026-11-23T16:00:00Z",
    pipeline=PipelineStatus(Counters(consumed=5, embedded=4, indexed=3, logged=2, skipped=1, rejected=6), lag=7),
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, series: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(series, labels)


def test_a_resource_is_shown_as_its_status_has_it(metrics: Metrics) -> None:
    """Ready, every service with its reason, counters, lag and the time of the check."""
    metrics.observe(REF, FAILED)
    up = "connectivitytest_service_up"
    assert value(metrics, "connectivitytest_ready", **LABELS) == 0
    assert value(metrics, up, service="kafka", reason="ReadDataDenied", **LABELS) == 0
    assert value(metrics, up, service="openai", reason="Connected", **LABELS) == 1
    assert value(metrics, "connectivitytest_lag", **LABELS) == 7
    assert value(metrics, "connectivitytest_last_check_timestamp_seconds", **LABELS) == 1795449600
    counts = [
        value(metrics, "connectivitytest_messages_total", stage=stage, result=result, **LABELS)
        for stage, result, _ in MESSAGES
    ]
    assert counts == [5, 4, 3, 2, 1, 6]


def test_what_is_not_known_is_not_shown(metrics: Metrics) -> None:
    """Unknown is neither 0 nor 1."""
    metrics.observe(REF, FAILED)
    up = "connectivitytest_service_up"
    assert value(metrics, up, service="opensearch", reason="Pending", **LABELS) is None
    metrics.observe(REF, status(condition("Ready", "Unknown", "Pending")))
    assert value(metrics, "connectivitytest_ready", **LABELS) is None


def test_a_suspended_resource_fires_no_alert(metrics: Metrics) -> None:
    """It keeps its verdicts in the status, but nobody renews them."""
    metrics.observe(REF, status(condition("Ready", "False", "Suspended"), FAILED.conditions["KafkaConnected"]))
    assert value(metrics, "connectivitytest_ready", **LABELS) is None
    reason = "ReadDataDenied"
    assert value(metrics, "connectivitytest_service_up", service="kafka", reason=reason, **LABELS) is None


def test_a_new_reason_replaces_the_old_one(metrics: Metrics) -> None:
    """Two reasons at a time would be counted as two failures."""
    metrics.observe(REF, FAILED)
    metrics.observe(REF, status(condition("KafkaConnected", "True", "Connected")))
    up = "connectivitytest_service_up"
    assert value(metrics, up, service="kafka", reason="ReadDataDenied", **LABELS) is None
    assert value(metrics, up, service="kafka", reason="Connected", **LABELS) == 1


def test_a_resource_that_is_gone_leaves_no_series(metrics: Metrics) -> None:
    """Nothing with its name remains anywhere."""
    metrics.observe(REF, FAILED)
    metrics.forget(REF)
    samples = [s for family in metrics.registry.collect() for s in family.samples if s.labels.get("name") == "orders"]
    assert samples == []


def test_a_recreated_resource_keeps_its_series(metrics: Metrics) -> None:
    """The old one's supervisor may end after the new one's has begun."""
    metrics.observe(REF, FAILED)
    metrics.observe(REF._replace(uid="uid-2"), status(condition("Ready", "True", "AllConnected")))
    metrics.forget(REF)
    assert value(metrics, "connectivitytest_ready", **LABELS) == 1


def test_metrics_of_the_process(metrics: Metrics) -> None:
    """Probes by service and rung, supervisors by state, the event loop's lag, the process itself."""
    metrics.probed(Service.KAFKA, Rung.TLS, 0.02)
    metrics.supervisors("running", 3)
    metrics.loop_lag(0.5)
    assert value(metrics, "connectivitytest_probe_duration_seconds_count", service="kafka", rung="tls") == 1
    assert value(metrics, "connectivity_operator_supervisors", state="running") == 3
    assert value(metrics, "connectivity_operator_event_loop_lag_seconds") == 0.5
    assert (value(metrics, "process_resident_memory_bytes") or 0) > 0


def can_listen_on(address: str) -> bool:
    try:
        socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(("address", "host"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
def test_they_are_served_until_closed(metrics: Metrics, address: str, host: str) -> None:
    """On a port of their own, in either family; closing frees it and can be repeated."""
    if not can_listen_on(address):
        pytest.skip(f"this machine has no {address}")
    metrics.observe(REF, FAILED)
    metrics.serve(0, address)
    url = f"http://{host}:{metrics.port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    assert 'connectivitytest_ready{name="orders",namespace="search"} 0.0' in text
    metrics.close()
    metrics.close()
    assert metrics.port is None
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_every_name_has_the_products_prefix_and_a_help_text(metrics: Metrics) -> None:
    """Names are part of the API: alerts and dashboards hold them."""
    metrics.observe(REF, FAILED)
    ours = [f for f in metrics.registry.collect() if not f.name.startswith(("process_", "python_"))]
    assert {f.name for f in ours} == {
        "connectivitytest_ready",
        "connectivitytest_service_up",
        "connectivitytest_messages",
        "connectivitytest_lag",
        "connectivitytest_last_check_timestamp_seconds",
        "connectivitytest_probe_duration_seconds",
        "connectivity_operator_supervisors",
        "connectivity_operator_event_loop_lag_seconds",
    }
    assert all(f.documentation for f in ours)
