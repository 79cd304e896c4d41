"""An installed operator: what `helm install` and `helm test` promise, and what reaches a running Pod."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab import demo, installation, openai, paths, world
from lab.iam import control as iam
from lab.installation import DEPLOYMENT, NAMESPACE, RELEASE, helm
from lab.operating import Resource, kubectl
from lab.part import PartError
from tests.deploy.conftest import the_pod

SYNCED = 120.0
"""Seconds until a changed Secret or ConfigMap has certainly reached the Pod's files and a check has used it."""

RESTRICTED = "pod-security-restricted"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Neither a new Pod nor a restarted container."""
    before = the_pod()
    yield
    assert the_pod() == before


def until_reason(resource: Resource, kind: str, reason: str) -> dict[str, Any]:
    """Wait for a condition's reason; the condition."""
    resource.until(kind, reason, limit=SYNCED)
    return next(c for c in resource.status["conditions"] if c["type"] == kind)


def test_the_demo_shows_the_main_job_in_a_pod(installed: str) -> None:
    """From the sample to its own nearest neighbours; it exits with 1 at whatever does not come."""
    ran = subprocess.run(
        [sys.executable, "-m", "lab", "demo"], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    Resource(demo.NAME, [demo.TOPIC], demo.INDEX).delete()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "EndToEndVerified" in ran.stdout
    assert the_pod()[0] in ran.stdout


def test_helm_test_passes_and_its_log_is_the_report(installed: str) -> None:
    """All four dependencies, under the operator's identity."""
    result = helm("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"assumed-role/{world.ROLE_NAME}/" in result.stdout
    assert "✗" not in result.stdout
    assert result.stdout.count("✓ operation") == 4


def test_helm_test_fails_where_a_permission_is_missing_and_says_which(installed: str) -> None:
    """CI shows the log, and the log the remedy."""
    with iam.without("kafka-cluster:ReadData"):
        result = helm("test", RELEASE, f"--namespace={NAMESPACE}", "--logs", check=False)
    assert result.returncode != 0
    assert "ReadDataDenied" in result.stdout
    assert "Allow kafka-cluster:ReadData on" in " ".join(result.stdout.split())


def test_the_charts_service_account_has_the_documented_rights_only(installed: str) -> None:
    """As the API server lists them: no Secret, nothing to read but resources and CRDs."""
    account = f"system:serviceaccount:{NAMESPACE}:{DEPLOYMENT}"
    listed = kubectl("auth", "can-i", "--list", f"--as={account}", f"--namespace={NAMESPACE}", "--no-headers")
    rights = {
        line.split()[0]: set(line[line.rindex("[") + 1 : line.rindex("]")].split())
        for line in listed.splitlines()
        if line.strip() and not line.lstrip().startswith("[")
    }
    assert {what: verbs for what, verbs in rights.items() if not what.startswith("selfsubject")} == {
        "connectivitytests.connectivity.hyperoptic.com": {"list", "watch", "patch"},
        "connectivitytests.connectivity.hyperoptic.com/status": {"patch"},
        "events": {"create"},
        "customresourcedefinitions.apiextensions.k8s.io": {"list", "watch"},
    }


@pytest.fixture
def restricted() -> Iterator[str]:
    """A namespace that enforces the standard, where Pods keep their own network, and the operator's ServiceAccount."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "lab/host-network": "off"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RESTRICTED, "labels": labels}}
    kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    kubectl("-n", RESTRICTED, "create", "serviceaccount", DEPLOYMENT)
    yield RESTRICTED
    kubectl("delete", "namespace", RESTRICTED)


def test_the_pod_is_admitted_where_restricted_is_enforced(installed: str, restricted: str) -> None:
    """The unchanged template of the Deployment, by a dry run of the server; with a privilege more it is refused."""
    deployment = json.loads(kubectl("-n", NAMESPACE, "get", "deployment", DEPLOYMENT, "-o", "json"))
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "trial"}, "spec": template["spec"]}
    create = ["-n", restricted, "create", "--dry-run=server", "-o", "name", "-f", "-"]
    assert kubectl(*create, stdin=json.dumps(pod)).strip() == "pod/trial"
    template["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = ["NET_RAW"]
    with pytest.raises(PartError, match='violates PodSecurity "restricted'):
        kubectl(*create, stdin=json.dumps(pod))


def test_the_openai_key_is_rotated_without_a_restart(installed: str, resource: Resource) -> None:
    """A new content of the Secret is used once the kubelet has put it into the Pod's file."""
    until_reason(resource, "OpenAIConnected", "Connected")
    with undisturbed():
        installation.make_secret("sk-revoked-0123456789abcdefghijklmnopqrstuvwxyz")
        until_reason(resource, "OpenAIConnected", "APIKeyInvalid")
        installation.make_secret(openai.API_KEY)
        until_reason(resource, "OpenAIConnected", "Connected")


def test_a_changed_policy_applies_without_a_restart_and_names_itself(installed: str, resource: Resource) -> None:
    """The refusal says which rule of which ConfigMap; `helm upgrade` with the old one allows it again."""
    until_reason(resource, "Ready", "AllConnected")
    rules = [{"namespaces": ["*"], "topics": ["orders"], "indices": ["*"], "models": ["*"]}]
    with undisturbed():
        installation.install(installed, f"--set-json=policy.rules={json.dumps(rules)}")
        refusal = until_reason(resource, "Ready", "NotAllowed")["message"]
        assert resource.topics[0] in refusal
        assert "rule 1" in refusal
        assert f"{DEPLOYMENT}-policy" in refusal
        installation.install(installed)
        until_reason(resource, "Ready", "AllConnected")


def test_without_the_secret_the_pod_starts_and_the_status_says_so(installed: str, resource: Resource) -> None:
    """The key may come later, and needs no restart then."""
    kubectl("-n", NAMESPACE, "delete", "secret", installation.OPENAI_SECRET)
    kubectl("-n", NAMESPACE, "rollout", "restart", f"deployment/{DEPLOYMENT}")
    kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=60s")
    with undisturbed():
        until_reason(resource, "OpenAIConnected", "APIKeyMissing")
        installation.make_secret()
        until_reason(resource, "OpenAIConnected", "Connected")


def restarted_without(name: str) -> None:
    """A new Pod, ready although a ConfigMap of the release is missing."""
    kubectl("-n", NAMESPACE, "delete", "configmap", name)
    kubectl("-n", NAMESPACE, "rollout", "restart", f"deployment/{DEPLOYMENT}")
    kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{DEPLOYMENT}", "--timeout=60s")


def test_without_the_certificates_the_pod_starts_and_the_status_says_so(installed: str, resource: Resource) -> None:
    """Which file, which variable and what to do; they are used as soon as Helm has given them again."""
    until_reason(resource, "PostgreSQLConnected", "Connected")
    restarted_without(f"{DEPLOYMENT}-trust")
    with undisturbed():
        said = until_reason(resource, "OpenAIConnected", "CAFileUnusable")["message"]
        assert "EXTRA_CA_FILE cannot be used: /etc/connectivity/trust/extra.pem does not exist" in said
        # STS comes first for those that need AWS.
        said = until_reason(resource, "PostgreSQLConnected", "STSUnreachable")["message"]
        assert "EXTRA_CA_FILE cannot be used" in said
        [shown] = [one for one in resource.status["services"] if one["name"] == "openai"]
        assert f"--set-file trust.extraBundle=ca.pem makes the ConfigMap {DEPLOYMENT}-trust" in shown["remedy"]
        installation.install(installed)
        for service in ("Kafka", "OpenAI", "OpenSearch", "PostgreSQL"):
            until_reason(resource, f"{service}Connected", "Connected")


def test_without_the_policy_the_pod_starts_and_nothing_is_allowed(installed: str, resource: Resource) -> None:
    """The refusal names the ConfigMap; it applies as soon as Helm has made it again."""
    restarted_without(f"{DEPLOYMENT}-policy")
    with undisturbed():
        refusal = until_reason(resource, "Ready", "NotAllowed")["message"]
        assert "There is no policy, so nothing is allowed" in refusal
        assert f"{DEPLOYMENT}-policy/policy.yaml" in refusal
        installation.install(installed)
        until_reason(resource, "Ready", "AllConnected")


def test_an_endpoint_left_empty_is_told_as_such(installed: str, resource: Resource) -> None:
    """No error of the release: the Pod is ready, and the other dependencies work."""
    installation.install(installed, "--set=ho-microservice.env.POSTGRES_HOST=")
    until_reason(resource, "PostgreSQLConnected", "NotConfigured")
    assert resource.condition("KafkaConnected") == ("True", "Connected")
    installation.install(installed)
    until_reason(resource, "PostgreSQLConnected", "Connected")
