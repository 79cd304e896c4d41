"""The CRD is deleted while the operator runs, and made again: nothing hangs, nobody has to restart anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import paths
from lab.operating import Operator, kubectl, until
from tests.e2e.conftest import MakeResource

CRD = paths.ROOT / "crds" / "connectivitytests.yaml"
NAME = "connectivitytests.connectivity.hyperoptic.com"


@pytest.fixture
def back_again(operator: Operator, make_resource: MakeResource) -> Iterator[None]:
    """The CRD is there for whoever comes next."""
    try:
        yield
    finally:
        make_again()


def make_again() -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    kubectl("wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=60s", limit=70)
    until(_answers, limit=60, what="the API of the resources")


def _answers() -> bool:
    return "ctest" in kubectl("api-resources", "--cached=false", "--api-group=connectivity.hyperoptic.com")


def test_a_deleted_crd_takes_its_resources_with_it(
    back_again: None, operator: Operator, make_resource: MakeResource
) -> None:
    """kopf stops to watch resources of a CRD in deletion; their finalizers have to go all the same.

    It may not find a CRD that is made again, either: the operator ends by itself, and the kubelet starts it anew.
    """
    make_resource().until_reading()
    stopped = len(operator.log(event="supervisor stopped"))
    kubectl("delete", "crd", NAME, "--timeout=60s", limit=70)
    until(lambda: kubectl("get", "crd", NAME, "--ignore-not-found") == "", limit=10, what="the end of the CRD")
    assert operator.healthy()
    assert len(operator.log(event="supervisor stopped")) > stopped

    make_again()
    until(lambda: not operator.running, limit=30, what="the end of the operator")
    operator.start()
    make_resource().until_reading()
