"""Prometheus metrics on a port of their own.

What is known of a resource is taken from its status when Prometheus asks: nothing can be forgotten to be
counted down, series disappear with their resource, and counters survive a restart of the operator because the
status does. Labels of a resource are its namespace and name only: one more would multiply every series.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectivity_operator.conditions import CONNECTED
from connectivity_operator.ports import ObjectRef
from connectivity_operator.reasons import Rung, Service
from connectivity_operator.status import NAMES, READY, Counters, Status, moment

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: a rung takes milliseconds in a VPC, and never longer than its limit of a few seconds."""

MESSAGES = (
    ("consume", "ok", "consumed"),
    ("embed", "ok", "embedded"),
    ("index", "ok", "indexed"),
    ("log", "ok", "logged"),
    ("log", "skipped", "skipped"),
    ("log", "rejected", "rejected"),
)
"""(stage, result, field of `Counters`). Skipped and rejected messages end as a row in the table, too."""

SUSPENDED = "Suspended"


@dataclass(frozen=True, slots=True)
class _Known:
    """A resource as it was composed last."""

    uid: str
    status: Status


class Metrics:
    """The metrics of one operator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._resources = _Resources()
        self.registry.register(self._resources)
        self._probes = Histogram(
            "connectivitytest_probe_duration_seconds",
            "Time that one rung of a dependency's ladder took, passed or not.",
            ["service", "rung"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._supervisors = Gauge(
            "connectivity_operator_supervisors",
            "Supervisors of resources by state.",
            ["state"],
            registry=self.registry,
        )
        self._loop_lag = Gauge(
            "connectivity_operator_event_loop_lag_seconds",
            "How late the event loop was with its last timer: a blocked loop checks nothing.",
            registry=self.registry,
        )
        self._server: tuple[WSGIServer, threading.Thread] | None = None

    def observe(self, ref: ObjectRef, status: Status) -> None:
        """Take over what is known of a resource now; cheap, called with every composed status."""
        self._resources.known[ref.namespace, ref.name] = _Known(ref.uid, status)

    def forget(self, ref: ObjectRef) -> None:
        """Drop the series of a resource that is gone; those of a new one with the same name stay."""
        known = self._resources.known.get((ref.namespace, ref.name))
        if known and known.uid == ref.uid:
            del self._resources.known[ref.namespace, ref.name]

    def probed(self, service: Service, rung: Rung, seconds: float) -> None:
        """One climbed rung."""
        self._probes.labels(service, rung).observe(seconds)

    def supervisors(self, state: str, count: int) -> None:
        """How many supervisors are in a state (``running``, ``stuck``, ``missing``)."""
        self._supervisors.labels(state).set(count)

    def loop_lag(self, seconds: float) -> None:
        self._loop_lag.set(seconds)

    @property
    def port(self) -> int | None:
        """Where the metrics are served; None while they are not."""
        return self._server[0].server_port if self._server else None

    def serve(self, port: int, address: str) -> None:
        """Start answering in a thread; port 0 takes a free one. Raises `OSError` when the port is taken."""
        self._server = start_http_server(port, address, registry=self.registry)

    def close(self) -> None:
        """Stop answering; nothing happens when nothing was started."""
        if self._server:
            server, thread = self._server
            self._server = None
            server.shutdown()
            thread.join()
            server.server_close()


class _Resources(Collector):
    """What Prometheus is told of the resources, made from their statuses when it asks."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], _Known] = {}

    def collect(self) -> Iterator[Metric]:
        """Called in the server's thread, hence the copy."""
        known = sorted((key, entry.status) for key, entry in list(self.known.items()))
        statuses = [(list(key), status) for key, status in known]
        resource = ["namespace", "name"]

        ready = GaugeMetricFamily(
            "connectivitytest_ready",
            "1: everything works. 0: something does not. Absent: not known yet, or suspended.",
            labels=resource,
        )
        up = GaugeMetricFamily(
            "connectivitytest_service_up",
            "1: proven at the operation level. 0: not, for the reason. Absent: not known yet, or suspended.",
            labels=[*resource, "service", "reason"],
        )
        messages = CounterMetricFamily(
            "connectivitytest_messages",
            "Messages since the resource was created, by pipeline stage and result.",
            labels=[*resource, "stage", "result"],
        )
        lag = GaugeMetricFamily("connectivitytest_lag", "Messages that wait to be consumed.", labels=resource)
        checked = GaugeMetricFamily(
            "connectivitytest_last_check_timestamp_seconds",
            "When the dependencies were checked last.",
            labels=resource,
        )
        for labels, status in statuses:
            for value in _ready(status):
                ready.add_metric(labels, value)
            for service, reason, value in _services(status):
                up.add_metric([*labels, service, reason], value)
            for stage, result, count in _messages(status.pipeline.counters):
                messages.add_metric([*labels, stage, result], count)
            lag.add_metric(labels, status.pipeline.lag)
            if at := moment(status.last_check_time):
                checked.add_metric(labels, at.timestamp())
        yield from (ready, up, messages, lag, checked)


def _ready(status: Status) -> Iterator[float]:
    condition = status.conditions.get(READY)
    if condition and condition.status != "Unknown" and condition.reason != SUSPENDED:
        yield float(condition.status == "True")


def _services(status: Status) -> Iterator[tuple[str, str, float]]:
    """Suspended resources keep their verdicts, but nobody renews them: no alert should fire for them."""
    ready = status.conditions.get(READY)
    if ready and ready.reason == SUSPENDED:
        return
    for service, name in NAMES.items():
        condition = status.conditions.get(name + CONNECTED)
        if condition and condition.status != "Unknown":
            yield service, condition.reason, float(condition.status == "True")


def _messages(counters: Counters) -> Iterator[tuple[str, str, int]]:
    for stage, result, field in MESSAGES:
        yield stage, result, getattr(counters, field)
