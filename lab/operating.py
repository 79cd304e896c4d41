"""What a user of the operator does: run it, apply resources, send messages, count what came of them.

The demo, the end-to-end tests and the benchmarks all go this way (kubectl, Kafka, SQL), on the lab's real servers.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from lab import operator_env, paths, processes, world
from lab.kafka import admin as kafka
from lab.kubernetes import access, programs
from lab.opensearch import admin as opensearch
from lab.part import PartError
from lab.postgresql import psql

T = TypeVar("T")

NAMESPACE = world.OPERATOR_NAMESPACE
HEALTH = "http://127.0.0.1:8080/health"
READY_LIMIT = 60.0


class WaitedInVain(PartError):
    """Something did not come within its limit; the text says what."""


def until(look: Callable[[], T], *, limit: float, what: str | Callable[[], str], every: float = 0.2) -> T:
    """The first true answer of ``look``; fails after ``limit`` seconds saying what was waited for."""
    deadline = time.monotonic() + limit
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            awaited = what if isinstance(what, str) else what()
            raise WaitedInVain(f"waited {limit:.0f} s in vain for {awaited}; see `python -m lab logs operator`")
        time.sleep(every)


def delete_resources() -> None:
    """Delete every ConnectivityTest of the cluster; no operator runs that would have to let go of them."""
    for resource in json.loads(kubectl("get", "ctest", "--all-namespaces", "-o", "json"))["items"]:
        name, namespace = resource["metadata"]["name"], resource["metadata"]["namespace"]
        kubectl("-n", namespace, "patch", "ctest", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("delete", "ctest", "--all", "--all-namespaces")


def kubectl(*arguments: str, stdin: str | None = None, limit: float = 60.0, check: bool = True) -> str:
    """What kubectl prints, as the cluster's administrator."""
    result = subprocess.run(
        [str(programs.kubectl()), *arguments],
        env={**os.environ, "KUBECONFIG": str(access.ADMIN)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    if check and result.returncode:
        raise PartError(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout


class Operator:
    """The operator as a process of the lab, under its own ServiceAccount."""

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is healthy."""
        operator_env.spawn_operator(extra)
        until(self.healthy, limit=READY_LIMIT, what="the operator's /health")

    def healthy(self) -> bool:
        processes.check("operator")
        try:
            with urllib.request.urlopen(HEALTH, timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    @property
    def running(self) -> bool:
        return processes.find("operator") is not None

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        processes.end("operator", force=True)

    def terminate(self, limit: float = 30.0) -> float:
        """SIGTERM; seconds until it has ended by itself."""
        record = processes.find("operator")
        if record is None:
            raise PartError("the operator is not running")
        began = time.monotonic()
        os.kill(record.pid, signal.SIGTERM)
        until(lambda: not processes.alive(record), limit=limit, what="the operator's end after SIGTERM", every=0.05)
        took = time.monotonic() - began
        processes.end("operator")
        return took

    def stop(self) -> None:
        processes.end("operator", grace=20)

    def threads(self) -> int:
        """Threads of its process."""
        return len(list((self._proc() / "task").iterdir()))

    def connections(self, *addresses: str) -> int:
        """Established TCP connections of its process to these addresses."""
        own = set(_targets(self._proc() / "fd"))
        # /proc/net/tcp writes an address as the number that its bytes are on this machine.
        wanted = {f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}" for address in addresses}
        found = 0
        for line in (self._proc() / "net" / "tcp").read_text().splitlines()[1:]:
            _, _, remote, state, *_, inode = line.split()[:10]
            found += state == "01" and remote.partition(":")[0] in wanted and f"socket:[{inode}]" in own
        return found

    def _proc(self) -> Path:
        record = processes.find("operator")
        if record is None:
            raise PartError("the operator is not running")
        return Path("/proc") / str(record.pid)

    def log(self, **wanted: str) -> list[dict[str, Any]]:
        """Events of the log (of all its starts) that have these values."""
        events = []
        for line in (paths.LOGS / "operator.log").read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if all(event.get(key) == value for key, value in wanted.items()):
                events.append(event)
        return events


def _targets(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(entry.readlink())


@dataclass
class Resource:
    """One ConnectivityTest with topics and an index of its own."""

    name: str
    topics: Sequence[str]
    index: str
    namespace: str = NAMESPACE
    spec: dict[str, Any] = field(default_factory=dict)

    def manifest(self) -> str:
        return json.dumps(
            {
                "apiVersion": "connectivity.hyperoptic.com/v1alpha1",
                "kind": "ConnectivityTest",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": {"topics": list(self.topics), "index": self.index, **self.spec},
            }
        )

    def apply(self) -> Resource:
        kubectl("apply", "-f", "-", stdin=self.manifest())
        return self

    def get(self) -> dict[str, Any]:
        text = kubectl("-n", self.namespace, "get", "ctest", self.name, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else {}

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.get().get("status") or {})

    def condition(self, kind: str) -> tuple[str, str]:
        """(status, reason)."""
        for condition in self.status.get("conditions") or []:
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def patch(self, body: Mapping[str, Any]) -> None:
        kubectl("-n", self.namespace, "patch", "ctest", self.name, "--type=merge", "-p", json.dumps(body))

    def request_check(self) -> None:
        """Ask for a check of everything now, instead of waiting for the next."""
        mark = {"connectivity.hyperoptic.com/check-requested": secrets.token_hex(4)}
        self.patch({"metadata": {"annotations": mark}})

    def delete(self, limit: float = 60.0) -> None:
        kubectl("-n", self.namespace, "delete", "ctest", self.name, "--ignore-not-found", limit=limit)

    @property
    def group(self) -> str:
        return f"connectivity-test.{self.namespace}.{self.name}.{self.get()['metadata']['uid'][:8]}"

    def until(self, kind: str, reason: str, *, limit: float = READY_LIMIT) -> None:
        """Wait for a condition's reason."""
        until(
            lambda: self.condition(kind)[1] == reason,
            limit=limit,
            what=lambda: f"{self.name} {kind}={reason} (it is {self.condition(kind)})",
        )

    def until_reading(self) -> None:
        """Positions are fixed: what is sent from now on is read."""
        until(
            lambda: set(self.topics) <= set((self.status.get("pipeline") or {}).get("topics") or []),
            limit=READY_LIMIT,
            what=f"{self.name}'s positions",
        )


def send(topic: str, values: Iterable[bytes | None], partition: int | None = None) -> None:
    """Messages straight into the cluster, without ``partition`` each into one chosen at random."""
    asyncio.run(kafka.produce(topic, list(values), partition=partition))


def texts(prefix: str, count: int) -> list[bytes]:
    """Distinguishable messages."""
    return [f"{prefix} number {n}: the parcel is on its way".encode() for n in range(count)]


def rows(topic: str) -> list[tuple[int, int, str, str]]:
    """(partition, offset, level, content) of every row of a topic."""
    sql = (
        "SELECT coalesce(json_agg(json_build_array(kafka_partition, kafka_offset, log_level, message_content)), '[]') "
        f"FROM demo_log WHERE kafka_topic = '{topic}'"
    )
    exists = psql("SELECT to_regclass('public.demo_log') IS NOT NULL") == "t"
    return [tuple(row) for row in json.loads(psql(sql))] if exists else []


def documents(index: str) -> list[str]:
    """``message_id`` of every document."""
    if not opensearch.exists(index):
        return []
    opensearch.refresh(index)
    return [hit["message_id"] for hit in opensearch.documents(index, size=10_000)]


@dataclass(frozen=True)
class Account:
    """Where a topic's messages ended: rows and documents by (partition, offset)."""

    rows: Counter[tuple[int, int]]
    documents: Counter[tuple[int, int]]

    @property
    def repeated(self) -> int:
        """Rows and documents beyond one a message."""
        return sum(n - 1 for n in self.rows.values()) + sum(n - 1 for n in self.documents.values())


def account(topic: str, index: str) -> Account:
    """Count rows and documents of a topic."""
    places = Counter((partition, offset) for partition, offset, _, _ in rows(topic))
    found: Counter[tuple[int, int]] = Counter()
    for message_id in documents(index):
        head, partition, offset, _ = message_id.rsplit("-", 3)
        if head.split("-", 1)[1] == topic:
            found[int(partition), int(offset)] += 1
    return Account(places, found)


def committed(resource: Resource) -> dict[tuple[str, int], int]:
    """The group's offsets."""
    found = asyncio.run(kafka.committed_offsets(resource.group))
    return {(tp.topic, tp.partition): offset for tp, offset in found.items()}


def ends(topic: str) -> dict[int, int]:
    """End offset of every partition."""
    return asyncio.run(kafka.end_offsets(topic))


class Background:
    """Something that goes on in a thread for as long as the block lasts."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        """Go on until ``_stop`` is set."""
        raise NotImplementedError


class Load(Background):
    """A few messages a second for as long as the block lasts."""

    def __init__(self, topic: str, partition: int | None = None) -> None:
        super().__init__()
        self.topic, self.partition, self.sent = topic, partition, 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                send(self.topic, texts(f"load {self.sent}", 5), self.partition)
                self.sent += 5
            except Exception:
                time.sleep(0.5)
            time.sleep(0.5)
