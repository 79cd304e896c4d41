"""kopf with our handlers against a real API server, under the operator's own ServiceAccount, one namespace only."""

from __future__ import annotations

import asyncio
import json
import logging
import pwd
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from connectivity_operator import handlers
from connectivity_operator.handlers.running import FINALIZER
from connectivity_operator.settings import Settings
from lab.kubernetes import access, identities, programs
from lab.part import PartError
from tests.fakes.host import FakeHost

LABEL = "connectivity-shard"


@pytest.fixture
def namespace(lab: object) -> Iterator[str]:
    """A namespace of each test's own: what runs elsewhere in the lab is left alone."""
    name = f"kopf-{uuid.uuid4().hex[:8]}"
    access.kubectl("create", "namespace", name)
    yield name
    _release(name)
    access.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def settings(namespace: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    identities.ensure(identities.OPERATOR)
    monkeypatch.setenv("KUBECONFIG", str(identities.OPERATOR.kubeconfig))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Settings(watch_namespaces=(namespace,), health_port=free.getsockname()[1])


def _release(namespace: str) -> None:
    """Objects must not wait for an operator that does not run any more."""
    for item in json.loads(access.kubectl("get", "ctest", "-n", namespace, "-o", "json"))["items"]:
        name = item["metadata"]["name"]
        access.kubectl(
            "patch", "ctest", name, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )


@asynccontextmanager
async def operating(settings: Settings, host: FakeHost) -> AsyncIterator[None]:
    """kopf runs inside; its end is waited for."""
    stop = asyncio.Event()
    operator = asyncio.create_task(handlers.operate(settings, host, stop=stop))
    try:
        await until(lambda: operator.done() or bool(host.calls))
        yield
    finally:
        stop.set()
        await operator


async def until(holds: Callable[[], bool], limit: float = 20.0) -> None:
    """Wait for something to become true, not longer than ``limit`` seconds."""
    async with asyncio.timeout(limit):
        while not holds():
            await asyncio.sleep(0.02)


async def kubectl(*arguments: str) -> str:
    """Off the event loop that kopf runs in."""
    return await asyncio.to_thread(access.kubectl, *arguments)


async def create(namespace: str, name: str, labels: str = "{}", spec: str = "") -> None:
    manifest = (
        "{apiVersion: connectivity.hyperoptic.com/v1alpha1, kind: ConnectivityTest, "
        f"metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}, spec: {{topics: [a], index: a{spec}}}}}"
    )
    await asyncio.to_thread(_apply, manifest)


def _apply(manifest: str) -> None:
    command = [str(programs.kubectl()), "--kubeconfig", str(access.ADMIN), "create", "-f", "-"]
    subprocess.run(command, input=manifest, text=True, check=True, capture_output=True, timeout=30)


async def get(namespace: str, name: str) -> dict[str, Any]:
    return json.loads(await kubectl("get", "ctest", name, "-n", namespace, "-o", "json"))  # type: ignore[no-any-return]


async def test_the_life_of_a_resource(namespace: str, settings: Settings) -> None:
    """Created: supervised, with our finalizer nothing else of kopf's. Changed: told. Deleted: gone at once."""
    host = FakeHost()
    async with operating(settings, host):
        await create(namespace, "orders")
        await until(lambda: "orders" in host.running and host.changed.count("orders") >= 2)
        made = await get(namespace, "orders")
        assert made["metadata"]["finalizers"] == [FINALIZER]
        assert "annotations" not in made["metadata"]
        seen = host.changed.count("orders")
        await kubectl("annotate", "ctest", "orders", "-n", namespace, "connectivity.hyperoptic.com/check-requested=now")
        await until(lambda: host.changed.count("orders") > seen)
        began = time.monotonic()
        await kubectl("delete", "ctest", "orders", "-n", namespace)
        assert time.monotonic() - began < 5
        await until(lambda: host.gone == ["orders"])
        assert host.running == {}
        assert host.calls == ["startup", "run orders", "ended orders"]
    assert host.calls[-1] == "cleanup with 0 running"


async def test_a_suspended_resource_has_a_supervisor_too(namespace: str, settings: Settings) -> None:
    """Suspending is the supervisor's business: kopf's filters could leave it without one for ever."""
    host = FakeHost()
    async with operating(settings, host):
        await create(namespace, "asleep", spec=", suspend: true")
        await until(lambda: "asleep" in host.running)
        for suspend in ("false", "true", "false"):
            await kubectl(
                "patch", "ctest", "asleep", "-n", namespace, "--type=merge", "-p", f'{{"spec":{{"suspend":{suspend}}}}}'
            )
        assert host.calls.count("run asleep") == 1


async def test_a_resource_that_existed_before_is_supervised(namespace: str, settings: Settings) -> None:
    """A restart takes over what is there; one that is being deleted is only let go."""
    await create(namespace, "old")
    async with operating(settings, first := FakeHost()):
        await until(lambda: "old" in first.running)
    deleting = asyncio.create_task(kubectl("delete", "ctest", "old", "-n", namespace))
    await create(namespace, "other")
    async with operating(settings, second := FakeHost()):
        await until(lambda: "other" in second.running and second.gone == ["old"])
        assert "run old" not in second.calls
    await deleting


async def test_a_force_removed_resource_leaves_no_supervisor(namespace: str, settings: Settings) -> None:
    """Somebody removes the finalizer by hand and deletes: kopf alone would leave the daemon running for ever."""
    host = FakeHost()
    async with operating(settings, host):
        await create(namespace, "forced")
        await until(lambda: "forced" in host.running)
        remove = '{"metadata":{"finalizers":null}}'
        await kubectl("delete", "ctest", "forced", "-n", namespace, "--wait=false")
        with suppress(PartError):  # kopf was faster, which is as good
            await kubectl("patch", "ctest", "forced", "-n", namespace, "--type=merge", "-p", remove)
        await until(lambda: host.running == {} and host.gone == ["forced"])
        await create(namespace, "forced")
        await until(lambda: "forced" in host.running)
        assert host.calls.count("run forced") == 2


async def test_a_supervisor_that_fails_costs_kopf_nothing(namespace: str, settings: Settings) -> None:
    """It is started again in seconds (kopf's own pause is a minute), and the object can still be deleted."""
    host = FakeHost()
    host.failures.append(RuntimeError("boom"))
    async with operating(settings, host):
        await create(namespace, "failing")
        await until(lambda: "failing" in host.running, limit=15)
        await kubectl("delete", "ctest", "failing", "-n", namespace)
    assert host.calls.count("run failing") == 2


async def test_shutdown_waits_for_supervisors_before_it_closes_what_they_share(
    namespace: str, settings: Settings
) -> None:
    """Otherwise their last commit and status would fail."""
    host = FakeHost()
    host.ending = 1.0
    async with operating(settings, host):
        await create(namespace, "busy")
        await until(lambda: "busy" in host.running)
        began = time.monotonic()
    assert host.calls[-2:] == ["ended busy", "cleanup with 0 running"]
    assert time.monotonic() - began < 4


async def test_only_resources_with_the_label_are_supervised(namespace: str, settings: Settings) -> None:
    """Shards by label: one that loses it is let go, one that gains it is taken."""
    host = FakeHost()
    sharded = settings.model_copy(update={"watch_label_selector": f"{LABEL}=a"})
    await create(namespace, "ours", labels=f"{{{LABEL}: a}}")
    await create(namespace, "theirs", labels=f"{{{LABEL}: b}}")
    async with operating(sharded, host):
        await until(lambda: "ours" in host.running)
        await kubectl("label", "ctest", "ours", "-n", namespace, "--overwrite", f"{LABEL}=b")
        await until(lambda: host.running == {} and host.gone == ["ours"])
        await kubectl("label", "ctest", "theirs", "-n", namespace, "--overwrite", f"{LABEL}=a")
        await until(lambda: list(host.running) == ["theirs"])
    assert host.calls.count("run ours") == 1


async def health(settings: Settings) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{settings.health_port}/health", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    return await asyncio.to_thread(ask)


async def test_the_liveness_probe_answers_at_once(namespace: str, settings: Settings) -> None:
    """200 with facts."""
    async with operating(settings, FakeHost()):
        await asyncio.sleep(0.5)
        code, text = await health(settings)
    assert (code, json.loads(text)) == (200, {"health": {"supervisors": "0"}})


async def test_an_unhealthy_program_is_said_at_once(namespace: str, settings: Settings) -> None:
    """500; kopf's default would keep the probe waiting for a minute."""
    host = FakeHost()
    host.unhealthy = RuntimeError("stuck")
    async with operating(settings, host):
        await asyncio.sleep(0.5)
        began = time.monotonic()
        assert (await health(settings))[0] == 500
        assert time.monotonic() - began < 2


@pytest.mark.filterwarnings("ignore:coroutine 'authenticator':RuntimeWarning")  # kopf's, when it does not come to it
async def test_a_failed_startup_ends_the_program(settings: Settings) -> None:
    """kopf's default would try again every minute, in a Pod that looks alive."""

    class Broken(FakeHost):
        async def startup(self) -> None:
            raise RuntimeError("port is taken")

    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError, match="port is taken"):
            await handlers.operate(settings, Broken())


async def test_a_user_without_passwd_entry_can_run_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the uid has none, and no variable names it; kopf alone dies of that."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    async with operating(settings, host := FakeHost()):
        pass
    assert host.calls == ["startup", "cleanup with 0 running"]


async def test_nothing_is_forbidden_to_the_operators_account(
    namespace: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The rights of the lab (and of the chart) are exactly what is needed."""
    with caplog.at_level(logging.INFO):
        async with operating(settings, host := FakeHost()):
            await create(namespace, "orders")
            await until(lambda: "orders" in host.running)
            await kubectl("delete", "ctest", "orders", "-n", namespace)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []
