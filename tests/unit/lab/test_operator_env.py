"""The operator's environment in the lab is the production one: same variables, no trace of the machine around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectivity_operator.settings import Settings
from lab import certificates, dns, operator_env, paths, world
from lab.kubernetes import identities
from lab.kubernetes.identities import LAB_ADMIN
from lab.part import PartError

SDK = {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_STS_REGIONAL_ENDPOINTS", "KUBECONFIG"}
"""Read by the AWS SDK and by the Kubernetes client, not by the operator's settings."""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tokens come from the API server; here none is asked."""
    monkeypatch.setattr(identities, "ensure", lambda _: None)
    monkeypatch.setattr(operator_env, "OPENAI_KEY_FILE", tmp_path / "key")
    monkeypatch.setattr(operator_env, "TRUST_FOLDER", tmp_path / "trust")
    monkeypatch.setattr(paths, "CERTIFICATES", tmp_path)
    monkeypatch.setattr(dns, "RESOLV_CONF", tmp_path / "resolv.conf")
    dns.RESOLV_CONF.touch()
    certificates.ensure()


def test_every_variable_is_one_that_the_operator_or_an_sdk_reads() -> None:
    known = {name.upper() for name in Settings.model_fields} | SDK
    assert set(operator_env.environment()) <= known


def test_the_settings_accept_it() -> None:
    settings = Settings.load(operator_env.environment())
    assert settings.kafka_bootstrap_servers == tuple(f"{name}:9098" for name, _ in world.BROKERS.values())
    assert settings.aws_region == world.REGION


def test_no_static_keys_and_no_proxy_of_the_caller_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of a real account on a developer's machine would win over the web identity, and be sent."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "OPENAI_API_KEY", "HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    _, env = operator_env.command(["true"])
    assert "the caller's" not in env.values()
    assert env["LOG_LEVEL"] == "DEBUG"


def test_a_test_may_add_variables() -> None:
    _, env = operator_env.command(["true"], extra={"POSTGRES_PORT": "5433"})
    assert env["POSTGRES_PORT"] == "5433"


def test_another_identity_differs_in_role_and_tokens_only() -> None:
    ours, theirs = operator_env.environment(), operator_env.environment(LAB_ADMIN)
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing == {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "KUBECONFIG"}


def test_the_api_key_lies_in_a_private_file() -> None:
    file = Path(operator_env.environment()["OPENAI_API_KEY_FILE"])
    assert file.read_text().startswith("sk-lab-")
    assert file.stat().st_mode & 0o077 == 0


def test_without_the_labs_resolver_nothing_is_run() -> None:
    dns.RESOLV_CONF.unlink()
    with pytest.raises(PartError, match="python -m lab up"):
        operator_env.command(["true"])
