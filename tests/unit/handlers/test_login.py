"""How kopf gets into the cluster, in a Pod and elsewhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import kopf
import pytest

from connectivity_operator.handlers import login
from connectivity_operator.handlers.running import liveness_endpoint, operator_settings
from connectivity_operator.settings import Settings

LOGGER = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in a Pod nor with a kubeconfig."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(login, "SERVICE_ACCOUNT", tmp_path / "serviceaccount")


@pytest.fixture
def pod(outside: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a Pod, with a token."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.100.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    login.SERVICE_ACCOUNT.mkdir()
    (login.SERVICE_ACCOUNT / "token").write_text("first\n")
    return login.SERVICE_ACCOUNT


def connect() -> kopf.ConnectionInfo:
    return login.connection(operator_settings(Settings()), LOGGER)


def kubeconfig(folder: Path, user: dict[str, object]) -> str:
    file = folder / "kubeconfig"
    content = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://cluster.example"}}],
        "users": [{"name": "u", "user": user}],
    }
    file.write_text(json.dumps(content))
    return str(file)


def test_in_a_pod_the_api_server_is_found_without_dns(pod: Path) -> None:
    """Cluster DNS may be what is broken; the token is read anew at every login."""
    info = connect()
    assert (info.server, info.token, info.ca_path) == ("https://10.100.0.1:443", "first", pod / "ca.crt")
    (pod / "token").write_text("second")
    assert connect().token == "second"


def test_an_ipv6_cluster_is_addressed_with_brackets(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EKS has IPv6 clusters."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    assert connect().server == "https://[fd00::1]:443"


def test_a_pod_without_token_says_what_to_set(pod: Path) -> None:
    """automountServiceAccountToken is off in many namespaces."""
    (pod / "token").unlink()
    with pytest.raises(kopf.LoginError, match="automountServiceAccountToken: true"):
        connect()


def test_a_kubeconfig_that_is_named_wins(pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does for the status writer: both must talk to the same cluster."""
    monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, {"token": "t"}))
    assert (connect().server, connect().token) == ("https://cluster.example", "t")


def test_a_credential_plugin_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubeconfigs of EKS hold no token but a program that prints one."""
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "from-plugin"},
    }
    plugin = {"apiVersion": credential["apiVersion"], "command": "echo", "args": [json.dumps(credential)]}
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", kubeconfig(tmp_path, {"exec": plugin})
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert connect().token == "from-plugin"


@pytest.mark.parametrize("content", [None, "{}", '{"current-context": "c"}'])
def test_an_unusable_kubeconfig_is_said(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of a KeyError."""
    file = tmp_path / "broken"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(kopf.LoginError):
        connect()


def test_no_way_in_is_said() -> None:
    """Neither Pod nor kubeconfig."""
    with pytest.raises(kopf.LoginError, match="set KUBECONFIG"):
        connect()


@pytest.mark.parametrize(
    ("service", "endpoint"),
    [
        (None, "http://0.0.0.0:8080/health"),
        ("10.100.0.1", "http://0.0.0.0:8080/health"),
        ("fd5e:2b1c::1", "http://[::]:8080/health"),
    ],
)
def test_probes_are_answered_in_the_family_of_the_cluster(
    service: str | None, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet comes to the Pod's own address, which in a cluster of IPv6 is none of IPv4."""
    if service:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", service)
    assert liveness_endpoint(8080) == endpoint


def test_settings_decide_scope_and_shard() -> None:
    """Namespaces without rights beyond them; a label selector for our resource only."""
    chosen = operator_settings(Settings(watch_namespaces=("a",), watch_label_selector="shard=a"))
    assert chosen.scanning.disabled is True
    assert list(chosen.watching.label_selectors.values()) == ["shard=a"]
    everywhere = operator_settings(Settings())
    assert everywhere.scanning.disabled is False
    assert everywhere.posting.enabled is False
    assert not everywhere.watching.label_selectors
