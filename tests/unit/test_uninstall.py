"""After an uninstallation nothing hangs in its deletion, and no other operator is disturbed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
from click.testing import CliRunner

from connectivity_operator import app, cli, status, uninstall
from connectivity_operator.adapters.kubernetes_api import ApiServerError
from connectivity_operator.resource import FINALIZER
from connectivity_operator.settings import Settings
from connectivity_operator.uninstall import Outcome
from tests.fakes.cluster import Cluster

US, THEM = "connectivity/operator", "elsewhere/operator"
SETTINGS = Settings(operator_namespace="connectivity", operator_name="operator")


def resource(namespace: str, signed: str | None = US, valid_for: float = 60) -> dict[str, Any]:
    until = status.timestamp(datetime.now(UTC) + timedelta(seconds=valid_for))
    return {
        "metadata": {"namespace": namespace, "name": "r", "finalizers": [FINALIZER]},
        "status": {"operator": signed, "validUntil": until} if signed else {},
    }


async def test_what_another_operator_looks_after_is_left_to_it() -> None:
    """Two releases share the finalizer; a status that has not expired says whose resource it is."""
    cluster = Cluster([resource("ours"), resource("theirs", THEM), resource("new", None)])
    outcome = await uninstall.release(cluster, SETTINGS)
    assert outcome.released == ["ours/r", "new/r"]
    assert outcome.kept == {THEM: ["theirs/r"]}


async def test_a_status_that_has_expired_protects_nobody() -> None:
    """Its operator is gone too, and the resource would hang for ever."""
    cluster = Cluster([resource("left", THEM, valid_for=-1)])
    assert await uninstall.release(cluster, SETTINGS) == Outcome(["left/r"], {})


async def test_only_what_was_watched_is_released() -> None:
    """The rights of the hook go no further either."""
    cluster = Cluster([resource("watched"), resource("other")])
    settings = SETTINGS.model_copy(update={"watch_namespaces": ("watched",)})
    assert (await uninstall.release(cluster, settings)).released == ["watched/r"]


async def test_resources_of_a_deleted_crd_are_released_as_they_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server marks them one by one; what is not in deletion (the CRD is there again) is left alone."""
    monkeypatch.setattr(uninstall, "EVERY", 0.01)
    monkeypatch.setattr(uninstall, "QUIET", 0.3)
    cluster = Cluster([resource("first"), resource("second"), resource("new")])
    first, second, new = (found["metadata"] for found in cluster.resources)
    first["deletionTimestamp"] = "2026-11-24T21:00:00Z"
    work = asyncio.create_task(uninstall.release_deleted(cluster, SETTINGS))
    await asyncio.sleep(0.05)
    second["deletionTimestamp"] = "2026-11-24T21:00:01Z"
    await work
    assert [FINALIZER in one["finalizers"] for one in (first, second, new)] == [False, False, True]


async def test_it_waits_for_the_pods_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that still runs would put the finalizer back."""
    monkeypatch.setattr(uninstall, "EVERY", 0.0)
    cluster = Cluster(looks_until_gone=3)
    assert await uninstall.pods_gone(cluster, "connectivity", "app=operator", 60) == []
    assert cluster.looks == 4


async def test_it_does_not_wait_for_ever() -> None:
    """A Pod on a lost node never ends; who is left is said."""
    cluster = Cluster(looks_until_gone=1000)
    assert await uninstall.pods_gone(cluster, "connectivity", "app=operator", 0) == ["operator-1"]


class Connected(Cluster):
    """What `app.kubernetes_api` gives: entered before it is used."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Refusing(Connected):
    async def release_finalizers(self, *_: Any, **__: Any) -> list[str]:
        raise ApiServerError("list: 403 connectivitytests is forbidden", status=403)


ENVIRONMENT = {"OPERATOR_NAMESPACE": "connectivity", "OPERATOR_NAME": "operator"}


def run(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, *arguments: str, **env: str) -> Any:
    monkeypatch.setattr(app, "kubernetes_api", lambda settings: cluster)
    return CliRunner().invoke(cli.cli, ["release-finalizers", *arguments], env={**ENVIRONMENT, **env})


def test_the_command_prints_what_it_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0, also when a Pod outlived the limit, which it says."""
    cluster = Connected([resource("ours")], looks_until_gone=1000)
    result = run(monkeypatch, cluster, "--after-pods", "app=operator", "--limit", "0")
    assert result.exit_code == 0
    assert result.stdout == (
        f"released ours/r\n1 resource of operator connectivity/operator released from the finalizer {FINALIZER}.\n"
    )
    assert "operator-1" in result.stderr


def test_a_wrong_name_is_told_by_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives another OPERATOR_NAME than the one that signed reads whose resources these are, and what to set."""
    result = run(monkeypatch, Connected([resource("a"), resource("b")]), OPERATOR_NAME="typo")
    assert result.exit_code == 0
    *lines, last = result.stdout.splitlines()
    assert lines == [
        f"kept     a/r (looked after by {US})",
        f"kept     b/r (looked after by {US})",
        f"0 resources of operator connectivity/typo released from the finalizer {FINALIZER}.",
    ]
    assert last.startswith(f"2 resources kept it: their status is signed by operator {US} and still valid.")
    assert last.endswith("OPERATOR_NAMESPACE=connectivity OPERATOR_NAME=operator")


def test_the_command_fails_when_the_api_server_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 and the server's own words, so that the hook's Job is tried again and Helm tells."""
    result = run(monkeypatch, Refusing())
    assert result.exit_code == 1
    assert "403 connectivitytests is forbidden" in result.stderr


def test_the_command_refuses_settings_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2 by the variable's name, before anything is touched."""
    result = run(monkeypatch, Connected([resource("ours")]), WATCH_NAMESPACES="team-*")
    assert result.exit_code == 2
    assert "WATCH_NAMESPACES" in result.stderr
