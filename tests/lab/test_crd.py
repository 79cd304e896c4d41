"""What the real API server makes of the CRD: refusals, defaults, pruning, columns, the status subresource."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectivity_operator.reasons import Rung
from connectivity_operator.status import (
    FLOWING,
    NAMES,
    READY,
    Condition,
    Counters,
    PipelineStatus,
    ServiceStatus,
    Status,
    read,
)
from lab import processes
from lab.kubernetes import access, programs
from lab.part import PartError

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
NOW = "2026-11-23T16:00:00Z"


@pytest.fixture(scope="module")
def namespace(lab: object) -> Iterator[str]:
    """A namespace of this module's own; nothing in it has a finalizer unless an operator watches."""
    name = f"crd-{uuid.uuid4().hex[:8]}"
    access.kubectl("create", "namespace", name)
    yield name
    access.kubectl("delete", "namespace", name, "--wait=false")


def create(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A resource as it comes back from the API server."""
    body = {
        "apiVersion": "connectivity.hyperoptic.com/v1alpha1",
        "kind": "ConnectivityTest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"topics": ["a"], "index": "a", "suspend": True, **spec},
    }
    path = f"/apis/connectivity.hyperoptic.com/v1alpha1/namespaces/{namespace}/connectivitytests"
    made = _kubectl("create", "--raw", path, "-f", "-", given=json.dumps(body))
    if processes.find("operator"):  # it has written its first status before we write ours
        access.kubectl("wait", f"ctest/{name}", "-n", namespace, "--for=condition=Ready=False", "--timeout=30s")
    return json.loads(made)  # type: ignore[no-any-return]


def patch_status(namespace: str, name: str, status: object) -> dict[str, Any]:
    patch = json.dumps({"status": status})
    out = access.kubectl(
        "patch", "ctest", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch, "-o", "json"
    )
    return json.loads(out)  # type: ignore[no-any-return]


def _kubectl(*arguments: str, given: str) -> str:
    command = [str(programs.kubectl()), "--kubeconfig", str(access.ADMIN), *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


FULL = Status(
    observed_generation=1,
    operator="connectivity/operator",
    last_check_time=NOW,
    valid_until="2026-11-23T16:03:00Z",
    last_request_handled="now",
    model=("text-embedding-3-small", 1536),
    identity=("arn:aws:sts::111122223333:assumed-role/connectivity-test/operator", "WebIdentity"),
    conditions={
        READY: Condition(READY, "False", "KafkaFailed", "kafka: ReadDataDenied. Not allowed to read.", 1, NOW),
        **{f"{n}Connected": Condition(f"{n}Connected", "True", "Connected", "", 1, NOW) for n in NAMES.values()},
        "KafkaConnected": Condition("KafkaConnected", "False", "ReadDataDenied", "Not allowed to read.", 1, NOW),
        FLOWING: Condition(FLOWING, "Unknown", "NoMessages", "…" * 600, 1, NOW),
    },
    services={
        "kafka": ServiceStatus(
            "kafka",
            "ReadDataDenied",
            "authorization",
            "Not allowed to read.",
            "Allow kafka-cluster:ReadData on <topic arn>.",
            None,
            2,
            NOW,
            tuple((rung.value, "Passed") for rung in Rung),
            (("CertificateExpiresSoon", "In 3 days."),),
        ),
        "openai": ServiceStatus("openai", "Connected", since=NOW),
    },
    pipeline=PipelineStatus(
        Counters(5, 4, 3, 2, 1, 0),
        7,
        frozenset({"orders"}),
        {
            "topic": "orders",
            "partition": 0,
            "offset": 2**50,
            "documentId": "d",
            "completedTime": NOW,
            "milliseconds": {"embed": 81, "index": 12, "log": 2, "total": 97},
        },
        None,
    ),
    history=({"time": NOW, "service": "kafka", "reason": "ReadDataDenied", "message": "m"},),
)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("[0-8]*.yaml")), ids=lambda p: p.stem)
def test_a_sample_is_accepted(namespace: str, path: Path) -> None:
    """By the real schema, with strict field validation."""
    assert "created" in access.kubectl("apply", "--dry-run=server", "-n", namespace, "-f", str(path))


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("90-invalid-*.yaml")), ids=lambda p: p.stem)
def test_an_invalid_sample_is_refused_with_the_text_it_announces(namespace: str, path: Path) -> None:
    """What its comment says is what a person sees."""
    announced = re.search(r"^# Refused: (.+)$", path.read_text(), re.MULTILINE)
    assert announced
    with pytest.raises(PartError) as refused:
        access.kubectl("apply", "-n", namespace, "-f", str(path))
    assert announced[1] in str(refused.value)


def test_defaults_come_from_the_schema(namespace: str) -> None:
    """Except the model's: it is the operator's, which the schema cannot know."""
    spec = create(namespace, "defaults", suspend=None)["spec"]  # null is as good as absent
    defaults = {"startFrom": "Latest", "intervalSeconds": 60, "timeoutSeconds": 10, "suspend": False}
    assert spec == {"topics": ["a"], "index": "a", **defaults}


def test_unknown_fields_are_pruned(namespace: str) -> None:
    """Clients without strict validation lose them: no endpoint ever reaches the operator."""
    assert "bootstrapServers" not in create(namespace, "pruned", bootstrapServers=["evil:9098"])["spec"]


def test_status_is_written_through_its_subresource_only(namespace: str) -> None:
    """Whoever edits a resource cannot fake its verdict, and a status write changes no generation."""
    create(namespace, "subresource")
    access.kubectl(
        "patch", "ctest", "subresource", "-n", namespace, "--type=merge", "-p", '{"status":{"operator":"x"}}'
    )
    written = patch_status(namespace, "subresource", {"lastRequestHandled": "real"})
    assert written["status"].get("operator") != "x"
    assert written["status"]["lastRequestHandled"] == "real"
    assert written["metadata"]["generation"] == 1


def test_what_the_operator_writes_comes_back_as_it_is(namespace: str) -> None:
    """Nothing of a full status is pruned or refused; None removes, also inside lists."""
    create(namespace, "full")
    status = patch_status(namespace, "full", FULL.body())["status"]
    assert read(status).body() == read(FULL.body()).body()
    assert "runbook" not in status["services"][0]
    assert "lastRejected" not in status["pipeline"]
    cleared = patch_status(namespace, "full", Status(observed_generation=2).body())["status"]
    assert set(cleared) == {"observedGeneration", "operator", "conditions", "services", "pipeline", "history"}


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"conditions": [Condition(READY, "Maybe", "X", "", 1, NOW).body()]}, "Maybe"),
        ({"conditions": [Condition(READY, "True", "not a code", "", 1, NOW).body()]}, "reason"),
        ({"services": [{"name": "redis", "reason": "Connected"}]}, "redis"),
        ({"history": [{"time": NOW, "service": "kafka", "reason": "X"}] * 21}, "history"),
        ({"lastCheckTime": "yesterday"}, "lastCheckTime"),
    ],
)  # fmt: skip
def test_a_status_outside_the_contract_is_refused(namespace: str, status: dict[str, Any], field: str) -> None:
    """The schema holds the operator to its own contract, too."""
    name = f"contract-{uuid.uuid4().hex[:6]}"
    create(namespace, name)
    with pytest.raises(PartError) as refused:
        patch_status(namespace, name, status)
    assert field in str(refused.value)


def test_columns_show_what_is_wrong(namespace: str) -> None:
    """The first screen answers the question: Ready or not, and which dependency for which reason."""
    create(namespace, "columns", topics=["orders"], index="i")
    patch_status(namespace, "columns", FULL.body())
    lines = access.kubectl("get", "ctest", "columns", "-n", namespace).splitlines()
    names = [name.upper() for name in NAMES.values()]
    assert lines[0].split() == ["NAME", "READY", "REASON", *names, "LOGGED", "CHECKED", "AGE"]
    services = ["ReadDataDenied", "Connected", "Connected", "Connected"]
    assert lines[1].split()[:8] == ["columns", "False", "KafkaFailed", *services, "2"]
    wide = access.kubectl("get", "connectivity", "-n", namespace, "-o", "wide", "--field-selector", "spec.index=i")
    assert wide.splitlines()[0].split()[-4:] == ["TOPICS", "INDEX", "MODEL", "MESSAGE"]
    assert '["orders"]' in wide.splitlines()[1]
    assert wide.splitlines()[1].endswith("kafka: ReadDataDenied. Not allowed to read.")
    assert len(wide.splitlines()) == 2


def test_kubectl_waits_for_conditions(namespace: str) -> None:
    """`kubectl wait` needs observedGeneration to keep up, in the status and in the condition."""
    create(namespace, "waited")
    patch_status(namespace, "waited", FULL.body())
    access.kubectl("wait", "--for=condition=Ready=False", "ctest/waited", "-n", namespace, "--timeout=5s")
    if processes.find("operator"):
        pytest.skip("the operator that runs in the lab would judge the new generation")
    access.kubectl("patch", "ctest", "waited", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    with pytest.raises(PartError, match="timed out"):
        access.kubectl("wait", "--for=condition=Ready=False", "ctest/waited", "-n", namespace, "--timeout=1s")


def test_every_field_is_explained(lab: object) -> None:
    """`kubectl explain` has an answer for the deepest of them."""
    assert "The embedding." in access.kubectl("explain", "ctest.status.pipeline.lastMessage.milliseconds.embed")
