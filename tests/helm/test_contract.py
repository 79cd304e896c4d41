"""What the rendered release promises, whatever Helm, base chart and environment."""

from __future__ import annotations

import itertools
from pathlib import Path, PurePosixPath

import pytest
import yaml

from connectivity_operator import __version__, cli
from connectivity_operator.errors import NotAllowed
from connectivity_operator.policy import Policy
from connectivity_operator.resource import ResourceSpec
from connectivity_operator.settings import Settings
from lab import paths
from tests.helm.charts import BASES, ENVIRONMENTS, HELMS, NAMESPACE, RELEASE, Rendered, Workshop

OWN_KINDS = {
    "ServiceAccount",
    "Deployment",
    "Service",
    "ConfigMap",
    "NetworkPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
}
HOOK_KINDS = {"Pod", "Job", "Role", "RoleBinding"}


@pytest.mark.parametrize(("base", "environment"), list(itertools.product(BASES, ENVIRONMENTS)))
def test_both_helms_make_the_same(workshop: Workshop, base: str, environment: str) -> None:
    """Which Helm somebody has does not matter."""

    def by_name(version: str) -> dict[tuple[str, str, str], object]:
        found = workshop.rendered(base, version, environment).objects
        return {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for o in found}

    three, four = (by_name(version) for version in HELMS)
    assert three == four


def test_nothing_but_what_is_documented_is_made(release: Rendered) -> None:
    """No Ingress, no Secret, nothing that nobody expects."""
    kinds = {found["kind"] for found in release.objects}
    assert OWN_KINDS | HOOK_KINDS <= kinds <= OWN_KINDS | HOOK_KINDS | {"ExternalSecret"}


def test_there_is_one_operator_at_a_time(release: Rendered) -> None:
    """Two would write the same status; the old one has time to commit its work and leave its groups."""
    spec = release.one("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert release.pod["spec"]["terminationGracePeriodSeconds"] >= 45


def test_the_image_is_this_version_and_runs_the_operator(release: Rendered) -> None:
    """Chart, image and program carry one version, and the test and the hook run the same image."""
    registry = "538189757816.dkr.ecr.eu-west-2.amazonaws.com"
    image = f"{registry}/pc/proactive-comms/aws-connectivity-test:{__version__}"
    assert {spec["containers"][0]["image"] for spec in release.pod_specs().values()} == {image}
    assert [*release.container["command"], *release.container["args"]] == ["connectivity-operator", "run"]
    chart = yaml.safe_load((paths.ROOT / "helm/aws-connectivity-test/Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


def test_the_environment_is_one_that_the_operator_takes(release: Rendered) -> None:
    """Every variable is a setting of the operator, spelt right and valid; secrets are none of them."""
    environment = release.environment()
    settings = Settings.load(environment)
    assert set(environment) - set(Settings.variables()) == {"USER"}
    assert settings.openai_api_key is settings.postgres_password is None
    assert (settings.operator_namespace, settings.operator_name) == (NAMESPACE, RELEASE)


@pytest.mark.parametrize("environment", ["nonprod", "prod"])
@pytest.mark.parametrize("base", BASES)
def test_an_environments_file_configures_all_four_dependencies(workshop: Workshop, base: str, environment: str) -> None:
    """What is NotConfigured by default is said by the file of the environment, the role included."""
    release = workshop.rendered(base, "helm 4", environment)
    settings = Settings.load(release.environment())
    assert settings.kafka_bootstrap_servers
    assert settings.postgres_host
    assert settings.opensearch_endpoint
    role = release.one("ServiceAccount", "connectivity-operator")["metadata"]["annotations"][
        "eks.amazonaws.com/role-arn"
    ]
    assert role.startswith("arn:aws:iam::111122223333:role/")
    assert release.one("ExternalSecret")


def test_probes_ask_the_port_that_serves_health(release: Rendered) -> None:
    """Liveness, readiness and start-up all ask /health."""
    ports = {port["name"]: port["containerPort"] for port in release.container["ports"]}
    settings = Settings.load(release.environment())
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        asked = release.container[probe]["httpGet"]
        assert asked["path"] == "/health"
        assert ports[asked["port"]] == settings.health_port
    assert ports["metrics"] == settings.metrics_port


def test_the_service_leads_to_the_operator_alone(release: Rendered) -> None:
    """Inside the cluster only, to the metrics, and neither to the Pod of the test nor to that of the hook."""
    spec = release.one("Service")["spec"]
    assert spec["type"] == "ClusterIP"
    assert [port["targetPort"] for port in spec["ports"]] == ["metrics"]
    selector = spec["selector"].items()
    assert selector <= release.pod["metadata"]["labels"].items()
    assert selector == release.one("Deployment")["spec"]["selector"]["matchLabels"].items()
    assert not selector <= release.one("Pod")["metadata"]["labels"].items()
    assert not selector <= release.one("Job")["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("which", ["operator", "check", "release-finalizers"])
def test_every_pod_is_admitted_by_restricted_and_can_write_nothing(release: Rendered, which: str) -> None:
    """Pod Security `restricted`, and more: a uid without a name, an immutable root, bounded resources."""
    spec = release.pod_specs()[which]
    assert spec["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert all({"configMap", "secret", "emptyDir"} & volume.keys() for volume in spec["volumes"])


def test_only_who_talks_to_the_api_server_has_a_token_for_it(release: Rendered) -> None:
    """The check needs none: its identity is AWS's."""
    tokens = {name: spec["automountServiceAccountToken"] for name, spec in release.pod_specs().items()}
    assert tokens == {"operator": True, "check": False, "release-finalizers": True}


def test_user_is_set_for_a_uid_without_a_name(release: Rendered) -> None:
    """kopf dies in `getpass.getuser` otherwise."""
    assert release.environment()["USER"]


@pytest.mark.parametrize("which", ["operator", "check", "release-finalizers"])
def test_mounted_files_exist_and_may_change(release: Rendered, which: str) -> None:
    """Every mount has its volume and every required ConfigMap is installed; a `subPath` would never be updated."""
    spec = release.pod_specs()[which]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    mounts = spec["containers"][0]["volumeMounts"]
    assert {mount["name"] for mount in mounts} == volumes.keys()
    assert not any("subPath" in mount for mount in mounts)
    installed = {found["metadata"]["name"] for found in release.all("ConfigMap")}
    required = {
        v["configMap"]["name"] for v in volumes.values() if "configMap" in v and not v["configMap"].get("optional")
    }
    assert required <= installed


def test_the_pod_starts_without_the_openai_key(release: Rendered) -> None:
    """It may come later; the file named in the settings is the one that the ExternalSecret fills."""
    file = Settings.load(release.environment()).openai_api_key_file
    secret = _volume_of(release, file)["secret"]
    assert secret["optional"] is True
    for found in release.all("ExternalSecret"):
        assert found["apiVersion"] == "external-secrets.io/v1"
        assert found["spec"]["target"]["name"] == secret["secretName"]
        assert file is not None
        assert [item["secretKey"] for item in found["spec"]["data"]] == [file.name]


def test_the_pod_starts_without_the_configmap_of_the_policy(release: Rendered) -> None:
    """Then nothing is allowed, and the refusal says why; a Pod that does not start would say it to nobody."""
    assert _volume_of(release, Settings.load(release.environment()).policy_file)["configMap"]["optional"] is True


def test_a_refusal_names_the_configmap_of_the_policy(release: Rendered) -> None:
    """The policy in the ConfigMap is valid, it is the one mounted, and a refusal says its name."""
    file = Settings.load(release.environment()).policy_file
    assert file is not None
    name = _volume_of(release, file)["configMap"]["name"]
    policy = Policy.parse(release.one("ConfigMap", name)["data"][file.name], file, NAMESPACE)
    with pytest.raises(NotAllowed, match=name):
        policy.check("elsewhere", ResourceSpec(topics=frozenset({"payments"}), index="connectivity-test"))


@pytest.mark.parametrize("base", BASES)
def test_the_default_policy(workshop: Workshop, base: str) -> None:
    """Own namespace: any topic but internal ones. Others: connectivity-test*. Always that index and these models."""
    data = workshop.rendered(base, "helm 4", "default").one("ConfigMap", "connectivity-operator-policy")["data"]
    policy = Policy.parse(data["policy.yaml"], Path("policy.yaml"), NAMESPACE)

    def allowed(namespace: str, topic: str, index: str = "connectivity-test", model: str | None = None) -> bool:
        try:
            policy.check(namespace, ResourceSpec(topics=frozenset({topic}), index=index, model=model))
        except NotAllowed:
            return False
        return True

    assert allowed(NAMESPACE, "payments")
    assert not allowed(NAMESPACE, "__consumer_offsets")
    assert not allowed(NAMESPACE, "payments", index="orders")
    assert allowed("other", "connectivity-test-1", model="text-embedding-3-large")
    assert not allowed("other", "payments")
    assert not allowed("other", "connectivity-test", model="gpt-5")
    assert {policy.max_messages_per_minute(namespace) for namespace in (NAMESPACE, "other")} == {600}


def test_the_operator_has_the_rights_it_uses_and_no_other(release: Rendered) -> None:
    """The same rules under which every test of the lab runs."""
    role, _ = yaml.safe_load_all((paths.ROOT / "lab/kubernetes/operator-rights.yaml").read_text())
    [binding] = [b for b in release.all("ClusterRoleBinding") if b["subjects"][0]["name"] == _account(release)]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": _account(release), "namespace": NAMESPACE}]
    assert release.one("ClusterRole", binding["roleRef"]["name"])["rules"] == role["rules"]


@pytest.mark.parametrize("base", BASES)
def test_with_namespaces_to_watch_there_are_no_rights_beyond_them(
    workshop: Workshop, base: str, version: str, tmp_path: Path
) -> None:
    """A Role in each of them, the hook's included, and nothing cluster-wide but what people may be given."""
    setting = {"name": "WATCH_NAMESPACES", "value": "a, b"}
    file = tmp_path / "values.yaml"
    block = {"env": {setting["name"]: setting["value"]}} if base == "stand-in" else {"container": {"env": [setting]}}
    file.write_text(yaml.safe_dump({"ho-microservice": block}))
    result = workshop.chart(base).template(version, "default", "-f", str(file))
    assert result.returncode == 0, result.stderr
    release = Rendered(tuple(found for found in yaml.safe_load_all(result.stdout) if found))
    assert not release.all("ClusterRoleBinding")
    places = sorted(
        (binding["subjects"][0]["name"], binding["metadata"]["namespace"]) for binding in release.all("RoleBinding")
    )
    hook = "connectivity-operator-release-finalizers"
    assert places == [
        ("connectivity-operator", "a"), ("connectivity-operator", "b"), (hook, "a"), (hook, "b"), (hook, NAMESPACE)
    ]  # fmt: skip


def test_people_may_view_and_edit_only_when_asked_for(release: Rendered) -> None:
    """`view` includes resources; whoever may edit spends money, so `edit` does not include them by itself."""
    roles = {role["metadata"]["name"].rpartition(":")[2]: role for role in release.all("ClusterRole")}
    viewer, editor = roles["viewer"], roles["editor"]
    assert viewer["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert not any("aggregate" in label for label in editor["metadata"]["labels"])
    assert "create" in editor["rules"][0]["verbs"]
    assert viewer["rules"][0]["verbs"] == ["get", "list", "watch"]


def test_no_role_reads_secrets_or_has_wildcards(release: Rendered) -> None:
    """Of the operator, of people, of the hook."""
    for role in (*release.all("ClusterRole"), *release.all("Role")):
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"]
            assert not any("*" in entry for values in rule.values() for entry in values)


@pytest.mark.parametrize("name", ["connectivity-operator", "connectivity-operator-check"])
def test_pods_reach_what_they_need_and_nothing_else(release: Rendered, name: str) -> None:
    """Default deny for the release's Pods; DNS, API server, the dependencies; never the node's metadata."""
    spec = release.one("NetworkPolicy", name)["spec"]
    labels = (release.one("Pod") if name.endswith("-check") else release.pod)["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 6443, 9098, 5432, 80}
    blocks = [to["ipBlock"] for rule in spec["egress"] for to in rule["to"] if "ipBlock" in to]
    assert [block for block in blocks if "except" in block] == [
        {"cidr": "0.0.0.0/0", "except": ["169.254.169.254/32"]},
        {"cidr": "::/0", "except": ["fd00:ec2::254/128"]},
    ]


def test_the_hook_reaches_the_api_server_only(release: Rendered) -> None:
    """The release's own NetworkPolicies are deleted by then, and a namespace may deny by default."""
    spec = release.one("NetworkPolicy", "connectivity-operator-release-finalizers")["spec"]
    labels = release.one("Job")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    [rule] = spec["egress"]
    assert {port["port"] for port in rule["ports"]} == {443, 6443}


def test_the_check_sees_the_operators_world(release: Rendered) -> None:
    """Same identity, environment and files; it is a test that stays, because its log is the report."""
    check = release.one("Pod")
    [container] = check["spec"]["containers"]
    for key in ("env", "envFrom", "volumeMounts", "image"):
        assert container[key] == release.container[key]
    assert check["spec"]["volumes"] == release.pod["spec"]["volumes"]
    assert check["spec"]["serviceAccountName"] == release.pod["spec"]["serviceAccountName"]
    assert check["spec"]["restartPolicy"] == "Never"
    assert check["metadata"]["annotations"] == {
        "helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation"
    }  # fmt: skip


@pytest.mark.parametrize("base", BASES)
def test_the_check_takes_its_targets_from_the_values(workshop: Workshop, base: str, version: str) -> None:
    """Every one of tests.{topic,index,model,only} arrives at an option that the command has."""
    options = {"topic": "orders", "index": "connectivity-test", "model": "text-embedding-3-large", "only": "kafka"}
    sets = [part for key, value in options.items() for part in ("--set", f"tests.{key}={value}")]
    [container] = workshop.rendered(base, version, "default", *sets).one("Pod")["spec"]["containers"]
    command, *arguments = container["args"]
    parsed = cli.cli.commands[command].make_context(command, list(arguments)).params
    assert (parsed["topics"], parsed["only"]) == (("orders",), ("kafka",))
    assert (parsed["index"], parsed["model"]) == (options["index"], options["model"])


def test_the_hook_waits_for_the_operators_pods_and_releases_what_it_watched(release: Rendered) -> None:
    """The selector finds the operator's Pods and not the hook's own; its identity is the release's."""
    job = release.one("Job")
    [container] = job["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    assert command == "release-finalizers"
    parsed = cli.cli.commands[command].make_context(command, list(arguments)).params
    selector = dict(label.split("=") for label in parsed["after_pods"].split(","))
    assert selector == release.one("Deployment")["spec"]["selector"]["matchLabels"]
    assert parsed["limit"] > release.pod["spec"]["terminationGracePeriodSeconds"]
    theirs, ours = release.environment(), {v["name"]: v["value"] for v in container["env"]}
    for name in ("OPERATOR_NAMESPACE", "OPERATOR_NAME", "WATCH_NAMESPACES", "WATCH_LABEL_SELECTOR"):
        assert ours.pop(name) == theirs[name]
    assert not ours


def test_what_the_hook_needs_exists_before_it_and_goes_with_it(release: Rendered) -> None:
    """Helm has deleted the release by then: account and rights are hooks too, made earlier, removed on success."""
    hooks = [
        o for o in release.objects if "helm.sh/hook" in o["metadata"].get("annotations", {}) and o["kind"] != "Pod"
    ]
    weights = {o["kind"]: int(o["metadata"]["annotations"]["helm.sh/hook-weight"]) for o in hooks}
    assert weights == {
        "NetworkPolicy": -2, "ServiceAccount": -2, "Role": -2, "ClusterRole": -2,
        "RoleBinding": -1, "ClusterRoleBinding": -1, "Job": 0,
    }  # fmt: skip
    assert {o["metadata"]["annotations"]["helm.sh/hook"] for o in hooks} == {"post-delete"}
    assert all("hook-succeeded" in o["metadata"]["annotations"]["helm.sh/hook-delete-policy"] for o in hooks)
    account = release.one("Job")["spec"]["template"]["spec"]["serviceAccountName"]
    bound = {b["subjects"][0]["name"] for b in hooks if b["kind"].endswith("Binding")}
    assert bound == {account}
    rules = [rule for o in hooks if o["kind"] in ("Role", "ClusterRole") for rule in o["rules"]]
    assert sorted((rule["resources"], rule["verbs"]) for rule in rules) == [
        (["connectivitytests"], ["list", "patch"]), (["pods"], ["list"])
    ]  # fmt: skip


@pytest.mark.parametrize("base", BASES)
def test_two_releases_share_no_name(workshop: Workshop, base: str, version: str) -> None:
    """In two namespaces, whatever their names: what is not namespaced is told apart by namespace and release."""
    here = workshop.rendered(base, version, "default")
    result = workshop.chart(base).template(version, "default", "--namespace", "elsewhere")
    there = [found for found in yaml.safe_load_all(result.stdout) if found]

    def places(objects: list[dict[str, object]] | tuple[dict[str, object], ...]) -> set[tuple[object, object, object]]:
        return {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}  # type: ignore[attr-defined]

    assert not places(here.objects) & places(there)


def test_only_one_file_knows_the_base_chart() -> None:
    """The guess about a chart that we have not seen is in one place."""
    templates = paths.ROOT / "helm/aws-connectivity-test/templates"
    knowing = {file.name for file in templates.rglob("*.*") if "ho-microservice" in file.read_text()}
    assert knowing == {"_base.tpl"}


def _account(release: Rendered) -> str:
    return str(release.pod["spec"]["serviceAccountName"])


def _volume_of(release: Rendered, file: Path | None) -> dict[str, dict[str, object]]:
    """The volume in which the operator finds a file."""
    assert file is not None
    [mount] = [m for m in release.container["volumeMounts"] if PurePosixPath(m["mountPath"]) == file.parent]
    [volume] = [v for v in release.pod["spec"]["volumes"] if v["name"] == mount["name"]]
    return dict(volume)
