"""An installation's life: an older chart, this one, back, and away. The tests are steps, in this order.

The older chart with its CRD is a fixture, packaged once from the first version that worked (`helm package`). Both run
this checkout's image, under two names, so that the Pod really is another one.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import installation, paths
from lab.installation import NAMESPACE, RELEASE, helm
from lab.node import images, operator_image
from lab.operating import Resource, kubectl, rows, send, texts, until
from tests.deploy.conftest import the_pod

FROZEN = Path(__file__).parent / "fixtures" / "frozen-0.1.0.tgz"
"""Never made anew: it is what people have installed."""


@pytest.fixture(scope="module")
def frozen(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The older chart and CRD are installed; the name of the image under which its Pod runs."""
    folder = tmp_path_factory.mktemp("frozen")
    with tarfile.open(FROZEN) as archive:
        archive.extractall(folder, filter="data")
    chart = folder / "aws-connectivity-test"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(chart / "crds"))
    before = f"{operator_image.NAME}:frozen"
    images.tag(image, before)
    installation.make_secret()
    values = [chart / "values-nonprod.yaml", installation.VALUES[1]]
    helm("install", RELEASE, str(FROZEN), *installation.arguments(before, values))
    yield before
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(paths.ROOT / "crds"))


@pytest.fixture(scope="module")
def working(frozen: str, resource: Resource) -> Resource:
    """A resource of the older version through which messages have gone."""
    resource.until_reading()
    flow(resource, "before")
    resource.until("Ready", "EndToEndVerified")
    return resource


def flow(resource: Resource, prefix: str) -> None:
    """Five messages more, each of which becomes one row."""
    sent = [text.decode() for text in texts(prefix, 5)]
    before = contents(resource)
    send(resource.topics[0], texts(prefix, 5))
    until(lambda: len(contents(resource)) >= len(before) + 5, limit=60, what=f"the rows of {sent}")
    assert contents(resource) == sorted([*before, *sent])


def contents(resource: Resource) -> list[str]:
    """What the resource's rows hold."""
    return sorted(row[3] for row in rows(resource.topics[0]))


def logged(resource: Resource) -> int:
    """The resource's own counter; it is certainly up to date when the operator that counted has ended."""
    return int(resource.status["pipeline"]["logged"])


def since(resource: Resource, kind: str) -> str:
    """When a condition last changed."""
    return next(c["lastTransitionTime"] for c in resource.status["conditions"] if c["type"] == kind)


def test_an_upgrade_keeps_resources_working(working: Resource, image: str) -> None:
    """CRD first, then the chart: another Pod takes over the same object, its counters and its positions."""
    uid, pod, ready = working.get()["metadata"]["uid"], the_pod()[0], since(working, "OpenAIConnected")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(paths.ROOT / "crds"))
    installation.install(image)
    assert the_pod()[0] != pod
    assert working.condition("Ready")[0] == "True"
    assert logged(working) == 5
    flow(working, "after")
    assert working.get()["metadata"]["uid"] == uid
    assert since(working, "OpenAIConnected") == ready, "a restart is no news"


def test_a_rollback_keeps_them_too(working: Resource) -> None:
    """To the older chart, under the newer CRD."""
    pod = the_pod()[0]
    helm("rollback", RELEASE, f"--namespace={NAMESPACE}", "--wait", "--timeout=120s")
    assert the_pod()[0] != pod
    assert f"{operator_image.NAME}:frozen" in json.dumps(installation.pods())
    assert logged(working) == 10
    flow(working, "back")
    assert working.condition("Ready")[0] == "True"


def test_an_uninstallation_leaves_nothing_behind(working: Resource, image: str) -> None:
    """But the resource, which can be deleted, and what the chart did not make: CRD, Secret, namespace."""
    installation.install(image)
    assert logged(working) == 15
    assert working.get()["metadata"]["finalizers"]
    helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--wait")
    assert installation.pods() == [], "the hook has waited for them"
    assert not working.get()["metadata"].get("finalizers")
    working.delete(limit=20)
    assert working.get() == {}
    cluster = "clusterroles,clusterrolebindings,mutatingadmissionpolicies"
    assert [name for name in kubectl("get", cluster, "-o", "name").split() if "connectivity" in name] == []
    kinds = "deployments,replicasets,jobs,pods,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies"
    left = kubectl("-n", NAMESPACE, "get", kinds, "-o", "name").split()
    assert [name for name in left if "connectivity" in name] == []
