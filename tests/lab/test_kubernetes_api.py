"""The status writer's connection against a real API server, with the rights that the operator has there."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectivity_operator.adapters import kubernetes_api
from connectivity_operator.adapters.kubernetes_api import ApiServerError, KubernetesApi
from connectivity_operator.ports import ObjectGone, ObjectRef
from lab import processes
from lab.kubernetes import access, identities

NOW = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
MANIFEST = """
apiVersion: connectivity.hyperoptic.com/v1alpha1
kind: ConnectivityTest
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{topics: [a], index: a, suspend: true}}
"""


@pytest.fixture(scope="module")
def namespace(lab: object) -> Iterator[str]:
    name = f"api-{uuid.uuid4().hex[:8]}"
    access.kubectl("create", "namespace", name)
    yield name
    access.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
async def api(lab: object, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubernetesApi]:
    """Logged in as the operator's ServiceAccount."""
    identities.ensure(identities.OPERATOR)
    monkeypatch.setenv("KUBECONFIG", str(identities.OPERATOR.kubeconfig))
    async with KubernetesApi(component="connectivity-operator") as opened:
        yield opened


@pytest.fixture
def ref(namespace: str, tmp_path: Path) -> ObjectRef:
    """A fresh resource."""
    return create(namespace, f"r-{uuid.uuid4().hex[:8]}", tmp_path)


def create(namespace: str, name: str, folder: Path) -> ObjectRef:
    file = folder / "resource.yaml"
    file.write_text(MANIFEST.format(namespace=namespace, name=name))
    access.kubectl("create", "-f", str(file))
    if processes.find("operator"):  # it has written its first status before we write ours
        access.kubectl("wait", f"ctest/{name}", "-n", namespace, "--for=condition=Ready=False", "--timeout=30s")
    return ObjectRef(namespace, name, get(namespace, name)["metadata"]["uid"])


def delete(ref: ObjectRef) -> None:
    access.kubectl("delete", "ctest", ref.name, "-n", ref.namespace)


def get(namespace: str, name: str) -> dict[str, Any]:
    return json.loads(access.kubectl("get", "ctest", name, "-n", namespace, "-o", "json"))  # type: ignore[no-any-return]


async def test_a_status_replaces_the_one_before(api: KubernetesApi, ref: ObjectRef) -> None:
    """Nothing stale survives, whether it is left out or None."""
    await api.patch_status(ref, {"operator": "a/b", "lastRequestHandled": "x", "pipeline": {"logged": 1, "lag": 2}})
    await api.patch_status(ref, {"operator": "a/b", "lastRequestHandled": None, "pipeline": {"logged": 2}})
    assert get(ref.namespace, ref.name)["status"] == {"operator": "a/b", "pipeline": {"logged": 2}}


async def test_an_object_that_is_deleted_is_gone(api: KubernetesApi, ref: ObjectRef) -> None:
    """The supervisor must not write for ever."""
    delete(ref)
    with pytest.raises(ObjectGone):
        await api.patch_status(ref, {"operator": "a/b"})


async def test_an_object_of_the_same_name_is_not_touched(api: KubernetesApi, ref: ObjectRef, tmp_path: Path) -> None:
    """The old one's verdicts must not appear in the one that was created after it."""
    delete(ref)
    again = create(ref.namespace, ref.name, tmp_path)
    with pytest.raises(ObjectGone):
        await api.patch_status(ref, {"operator": "a/b"})
    assert get(ref.namespace, ref.name).get("status", {}).get("operator") != "a/b"
    await api.patch_status(again, {"operator": "a/b"})


async def test_a_status_that_the_schema_refuses_names_the_field(api: KubernetesApi, ref: ObjectRef) -> None:
    """It is a fault of ours, and no sign that the object is gone."""
    with pytest.raises(ApiServerError, match=r"422 .*status\.services\[0\]\.name"):
        await api.patch_status(ref, {"services": [{"name": "redis", "reason": "Connected"}]})


async def test_a_crd_that_is_not_served_is_an_outage(ref: ObjectRef, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 404 says nothing about the object, which is still there when the CRD is back."""
    monkeypatch.setenv("KUBECONFIG", str(access.ADMIN))
    monkeypatch.setattr(kubernetes_api, "PLURAL", "nosuchthings")
    async with KubernetesApi(component="test") as api:
        with pytest.raises(ApiServerError, match="404") as raised:
            await api.patch_status(ref, {"operator": "a/b"})
    assert raised.value.status == 404


async def test_an_event_is_about_the_object(api: KubernetesApi, ref: ObjectRef) -> None:
    """`kubectl describe` finds it by uid; a long message is cut instead of refused."""
    await api.post_event(ref, kind="Warning", reason="ReadDataDenied", message="x" * 2000, at=NOW)
    found = json.loads(access.kubectl("get", "events", "-n", ref.namespace, "-o", "json"))["items"]
    event = next(e for e in found if e["involvedObject"]["uid"] == ref.uid and e["reason"] == "ReadDataDenied")
    assert (event["type"], len(event["message"])) == ("Warning", 1024)
    assert event["source"]["component"] == "connectivity-operator"
    assert event["lastTimestamp"] == "2026-11-23T16:00:00Z"
    assert "ReadDataDenied" in access.kubectl("describe", "ctest", ref.name, "-n", ref.namespace)


async def test_events_of_one_second_stay_in_their_order(api: KubernetesApi, ref: ObjectRef) -> None:
    """Whoever reads `kubectl describe` sees the cause before its effect; one that is posted again is there once."""
    reasons = [f"Step{n}" for n in range(6)]
    for n, reason in enumerate([*reasons, reasons[-1]]):
        at = NOW + timedelta(microseconds=min(n, len(reasons) - 1))
        await api.post_event(ref, kind="Normal", reason=reason, message="m", at=at)
    shown = access.kubectl("describe", "ctest", ref.name, "-n", ref.namespace)
    assert re.findall(r"Step\d", shown) == reasons


async def test_missing_rights_are_named(
    lab: object, ref: ObjectRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verb and resource, as the API server says them."""
    kubeconfig = tmp_path / "nobody.kubeconfig"
    access.write_kubeconfig(kubeconfig, "nobody", access.token("default"))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with KubernetesApi(component="test") as api:
        with pytest.raises(ApiServerError, match=r'403 .*cannot patch resource "connectivitytests/status"'):
            await api.patch_status(ref, {"operator": "a/b"})
        with pytest.raises(ApiServerError, match=r'403 .*cannot create resource "events"'):
            await api.post_event(ref, kind="Normal", reason="X", message="m", at=NOW)


async def test_a_replaced_token_is_read_again(
    lab: object, ref: ObjectRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens end while the operator runs; a refused one is followed by a fresh login, without a failure."""
    kubeconfig = tmp_path / "kubeconfig"
    access.write_kubeconfig(kubeconfig, "operator", "not-a-token")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with KubernetesApi(component="test") as api:
        with pytest.raises(ApiServerError, match="401"):
            await api.patch_status(ref, {"operator": "a/b"})
        access.write_kubeconfig(kubeconfig, "operator", access.token("operator"))
        await api.patch_status(ref, {"operator": "a/b"})


async def test_proxies_are_for_other_hosts(ref: ObjectRef, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is set for OpenAI; the API server is not behind it."""
    identities.ensure(identities.OPERATOR)
    monkeypatch.setenv("KUBECONFIG", str(identities.OPERATOR.kubeconfig))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with KubernetesApi(component="test") as api:
        await api.patch_status(ref, {"operator": "a/b"})


async def test_an_api_server_that_is_away_is_said_quickly(
    lab: object, ref: ObjectRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused is said at once, and as our own error."""
    kubeconfig = tmp_path / "kubeconfig"
    text = identities.OPERATOR.kubeconfig.read_text()
    kubeconfig.write_text(text.replace("127.96.0.1:443", "127.96.0.1:9"))
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with KubernetesApi(component="test") as api:
        began = time.monotonic()
        with pytest.raises(ApiServerError, match="patch status"):
            await api.patch_status(ref, {"operator": "a/b"})
        assert time.monotonic() - began < 5


async def test_finalizers_are_released_and_others_kept(
    namespace: str, ref: ObjectRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an uninstallation nothing hangs in its deletion; what other programs hold stays held."""
    ours, theirs = "connectivity.hyperoptic.com/test-finalizer", "example.com/theirs"
    held = json.dumps({"metadata": {"finalizers": [theirs, ours]}})
    access.kubectl("patch", "ctest", ref.name, "-n", namespace, "--type=merge", "-p", held)
    monkeypatch.setenv("KUBECONFIG", str(access.ADMIN))
    async with KubernetesApi(component="test") as api:
        assert await api.release_finalizers(ours, [namespace]) == [f"{namespace}/{ref.name}"]
        left = get(namespace, ref.name)["metadata"]["finalizers"]
        assert theirs in left
        assert ours not in left
        assert await api.release_finalizers(ours) == []
        assert await api.release_finalizers(theirs, [namespace]) == [f"{namespace}/{ref.name}"]


async def test_only_the_selected_and_our_own_are_released(
    namespace: str, ref: ObjectRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release watches other labels, or has signed the status: its resources keep their finalizer."""
    ours = "connectivity.hyperoptic.com/test-finalizer"
    held = json.dumps({"metadata": {"finalizers": [ours], "labels": {"shard": "a"}}})
    access.kubectl("patch", "ctest", ref.name, "-n", namespace, "--type=merge", "-p", held)
    monkeypatch.setenv("KUBECONFIG", str(access.ADMIN))
    async with KubernetesApi(component="test") as api:
        assert await api.release_finalizers(ours, [namespace], label_selector="shard=b") == []
        assert await api.release_finalizers(ours, [namespace], ours=lambda body: False) == []
        assert await api.release_finalizers(ours, [namespace], label_selector="shard=a") == [f"{namespace}/{ref.name}"]


async def test_pods_that_run_are_found_by_their_labels(
    namespace: str, ref: ObjectRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Pod counts until it is gone, whatever becomes of it."""
    access.kubectl("run", "waiting", "-n", namespace, "--image=none", "--labels=app=operator", "--restart=Never")
    monkeypatch.setenv("KUBECONFIG", str(access.ADMIN))
    async with KubernetesApi(component="test") as api:
        assert await api.running_pods(namespace, "app=operator") == ["waiting"]
        assert await api.running_pods(namespace, "app=other") == []


@pytest.mark.parametrize("content", [None, "{}", "not: [yaml"])
async def test_no_way_in_is_said_with_the_fix(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it on a laptop reads what to set."""
    file = tmp_path / "kubeconfig"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(ApiServerError, match="set KUBECONFIG"):
        async with KubernetesApi(component="test"):
            pass
