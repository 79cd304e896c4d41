"""A cluster whose CRD is older than the operator: it says so, and everything that the CRD has a place for works."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import paths
from lab.operating import Operator, kubectl, rows, send, texts, until
from tests.e2e.conftest import MakeResource

CRD = paths.ROOT / "crds" / "connectivitytests.yaml"
NAME = "connectivitytests.connectivity.hyperoptic.com"


def older() -> dict[str, Any]:
    """Ours without its columns, `status.services`, `status.history` and one field of the counters."""
    crd: dict[str, Any] = copy.deepcopy(yaml.safe_load(CRD.read_text()))
    [version] = crd["spec"]["versions"]
    del version["additionalPrinterColumns"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    del status["services"], status["history"], status["pipeline"]["properties"]["lag"]
    return crd


@pytest.fixture
def older_crd(lab: None) -> Iterator[None]:
    """It is in force for one test. Resources that others have left keep all that they have in between."""
    kubectl("replace", "-f", "-", stdin=json.dumps(older()))
    try:
        until(lambda: "history" not in kubectl("explain", "ctest.status"), limit=60, what="the older CRD", every=1.0)
        yield
    finally:
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))


def test_an_older_crd_is_told_and_the_rest_works(
    older_crd: None, operator: Operator, make_resource: MakeResource
) -> None:
    """Messages flow and conditions are right; log and Event name what is lost and the command that mends it."""
    resource = make_resource()
    resource.until("Ready", "AllConnected")
    resource.until_reading()
    send(resource.topics[0], texts("older", 2))
    until(lambda: len(rows(resource.topics[0])) == 2, limit=60, what="two rows")
    resource.until("Ready", "EndToEndVerified")
    assert resource.status["pipeline"]["logged"] == 2
    assert {"services", "history"}.isdisjoint(resource.status)

    def events() -> list[dict[str, Any]]:
        found = json.loads(kubectl("get", "events", "-n", resource.namespace, "-o", "json"))["items"]
        return [e for e in found if e["involvedObject"]["name"] == resource.name and e["reason"] == "OutdatedCRD"]

    until(events, limit=30, what="the Event")
    [event] = [one for one in events() if "status.services" in one["message"]]
    for part in ("status.history", "status.pipeline.lag", "kubectl apply --server-side --force-conflicts -f crds/"):
        assert part in event["message"]
    logged = operator.log(reason="OutdatedCRD", name=resource.name)
    assert "status.services" in logged[-1]["message"]

    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    until(lambda: resource.status.get("services"), limit=120, what="the whole status under the CRD of this version")
