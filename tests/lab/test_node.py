"""The node runs Pods for real: the operator's image, its identity, its file system, its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import pytest

from lab import parts, processes, runner, world
from lab.kubernetes import access
from lab.node import cgroups, layout, operator_image
from lab.progress import Display

NAMESPACE = world.OPERATOR_NAMESPACE
PORT = 18080
"""The Pod's health port; Pods share the ports of the host, and 8080 is that of the operator as a process."""

TOKEN = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name: str, *, command: list[str] | None = None, restart: str = "Never", **container: Any) -> dict[str, Any]:
    """A Pod of the operator's image under the operator's ServiceAccount, as the Pod Security Standard "restricted"."""
    main = {
        "name": "main",
        "image": operator_image.reference(),
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "temporary", "mountPath": "/tmp"}],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "serviceAccountName": world.OPERATOR_SERVICE_ACCOUNT,
            "restartPolicy": restart,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"fsGroup": 65532},
            "volumes": [{"name": "temporary", "emptyDir": {}}],
            "containers": [{**main, "command": command} if command else main],
        },
    }


def create(manifest: dict[str, Any]) -> None:
    access.kubectl("delete", "pod", manifest["metadata"]["name"], f"--namespace={NAMESPACE}", "--ignore-not-found")
    layout.FOLDER.mkdir(parents=True, exist_ok=True)
    file = layout.FOLDER / f"{manifest['metadata']['name']}.json"
    file.write_text(json.dumps(manifest))
    access.kubectl("apply", f"--filename={file}")


def delete(name: str) -> None:
    access.kubectl("delete", "pod", name, f"--namespace={NAMESPACE}", "--ignore-not-found", "--wait", limit=30)


def wait(name: str, condition: str, *, limit: int = 40) -> None:
    access.kubectl("wait", f"pod/{name}", f"--namespace={NAMESPACE}", f"--for={condition}", f"--timeout={limit}s")


def logs(name: str) -> str:
    return access.kubectl("logs", name, f"--namespace={NAMESPACE}")


@pytest.fixture(scope="module", autouse=True)
def node(lab: None, display: Display, request: pytest.FixtureRequest) -> Iterator[None]:
    """A node with the operator's image, for these tests only."""
    running = processes.find("node") is not None
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        runner.up(parts.with_needs(["node"]), display)
        operator_image.load()
    yield
    if not running:
        runner.stop("node")


@pytest.fixture(scope="module")
def operator(node: None) -> Iterator[str]:
    """The image as it starts by itself; no dependency is configured."""
    health = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1}
    settings = {"HEALTH_PORT": str(PORT), "METRICS_PORT": "0", "OPERATOR_NAMESPACE": NAMESPACE}
    create(
        pod(
            "operator-image",
            restart="Always",
            env=[{"name": name, "value": value} for name, value in settings.items()],
            readinessProbe={**health, "failureThreshold": 30},
            resources={"requests": {"memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        )
    )
    try:
        yield "operator-image"
    finally:
        delete("operator-image")


def test_the_operators_image_answers_health_under_restricted_security(operator: str) -> None:
    """By the kubelet's own probe, with its log readable through the API server."""
    wait(operator, "condition=Ready")
    events = [json.loads(line) for line in logs(operator).splitlines()]
    assert {"operator"} <= {event["service"] for event in events}
    assert not [event for event in events if event["level"] == "error" and event["service"] == "operator"]


def test_a_pod_has_the_role_and_the_token_of_its_service_account(node: None) -> None:
    """As EKS's webhook for IAM roles would give them, and the token is one that STS accepts."""
    script = (
        "import json, os, pathlib;"
        "print(json.dumps({'env': dict(os.environ), 'uid': os.getuid(),"
        f"'token': pathlib.Path('{TOKEN}').read_text(), 'resolver': pathlib.Path('/etc/resolv.conf').read_text()}}))"
    )
    create(pod("identity", command=["python3", "-c", script]))
    try:
        wait("identity", "jsonpath={.status.phase}=Succeeded")
        found = json.loads(logs("identity"))
    finally:
        delete("identity")
    assert found["uid"] == 65532
    assert found["env"]["AWS_ROLE_ARN"] == world.ROLE_ARN
    assert found["env"]["AWS_WEB_IDENTITY_TOKEN_FILE"] == TOKEN
    assert found["env"]["AWS_REGION"] == found["env"]["AWS_DEFAULT_REGION"] == world.REGION
    claims = jwt.decode(found["token"], options={"verify_signature": False})
    assert claims["sub"] == f"system:serviceaccount:{NAMESPACE}:{world.OPERATOR_SERVICE_ACCOUNT}"
    assert claims["aud"] == [world.TOKEN_AUDIENCE]
    assert claims["kubernetes.io"]["pod"]["name"] == "identity"
    servers = [line for line in found["resolver"].splitlines() if line.startswith("nameserver")]
    assert servers == [f"nameserver {world.DNS_ADDRESS}"]


def test_a_pod_whose_service_account_has_no_role_gets_none() -> None:
    trial = ["run", "trial", "--image=none", f"--namespace={NAMESPACE}", "--dry-run=server", "--output=json"]
    made = json.loads(access.kubectl(*trial))
    assert "env" not in made["spec"]["containers"][0]
    assert "aws-iam-token" not in {volume["name"] for volume in made["spec"]["volumes"]}


def test_variables_that_a_pod_sets_itself_are_left_alone() -> None:
    manifest = pod("trial", env=[{"name": "AWS_REGION", "value": "us-east-1"}])
    file = layout.FOLDER / "trial.json"
    file.write_text(json.dumps(manifest))
    made = json.loads(access.kubectl("apply", f"--filename={file}", "--dry-run=server", "--output=json"))
    variables = {one["name"]: one["value"] for one in made["spec"]["containers"][0]["env"]}
    assert variables["AWS_REGION"] == "us-east-1"
    assert variables["AWS_DEFAULT_REGION"] == world.REGION


def test_the_file_system_is_read_only_and_nothing_can_build_there(node: None) -> None:
    script = (
        "import importlib.util, shutil\n"
        "print([name for name in ('gcc', 'pip', 'apt-get', 'sh') if shutil.which(name)])\n"
        "print(importlib.util.find_spec('pip'))\n"
        "try:\n"
        "    open('/opt/operator/written', 'w')\n"
        "except OSError as error:\n"
        "    print(error)\n"  # on one stream: the order of two in a container's log is by chance
    )
    create(pod("read-only", command=["python3", "-c", script]))
    try:
        wait("read-only", "jsonpath={.status.phase}=Succeeded")
        found = logs("read-only").splitlines()
    finally:
        delete("read-only")
    assert found == ["[]", "None", "[Errno 30] Read-only file system: '/opt/operator/written'"]


def test_a_power_cut_leaves_nothing_and_pods_run_again_after_it(operator: str) -> None:
    """Ending the node ends its containers, mounts and cgroups; what the API server knows runs again with the node."""
    wait(operator, "condition=Ready")
    containers = [task.name for task in cgroups.tasks()]
    assert len(containers) >= 2, "a sandbox and the operator"
    assert in_cgroups(containers)

    runner.stop("node")

    assert processes.of_part("node") == []
    assert in_cgroups(containers) == []
    assert [folder for name in containers for folder in cgroups.CGROUPS.glob(f"**/{name}")] == []
    assert str(layout.FOLDER) not in Path("/proc/mounts").read_text()

    runner.start("node")
    wait(operator, "jsonpath={.status.containerStatuses[0].restartCount}=1")
    wait(operator, "condition=Ready")


def in_cgroups(containers: list[str]) -> list[str]:
    """Processes of these containers, by the cgroup that the kernel says they are in."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cgroup"):
        with suppress(OSError):  # it has ended
            if any(name in file.read_text() for name in containers):
                found.append(file.parent.name)
    return found
