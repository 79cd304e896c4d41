"""The chart as a package: what it refuses, what is in it, what validates it, what documents it."""

from __future__ import annotations

import importlib.util
import re
import tarfile
import warnings
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from lab import paths
from tests.helm.charts import BASES, ENVIRONMENTS, Rendered, Workshop

CHART = paths.ROOT / "helm" / "aws-connectivity-test"
KUBERNETES = ("1.32", "1.34", "1.36", "1.37")
"""The oldest that the chart allows, the newest whose schemas are at hand, and two between."""

ENV = "ho-microservice.env"
ROLE = r"ho-microservice.serviceAccount.annotations.eks\.amazonaws\.com/role-arn"


@pytest.mark.parametrize(
    ("option", "assignment", "key"),
    [
        ("--set", "ho-microservice.replicaCount=2", "replicaCount"),
        ("--set", "ho-microservice.strategy.type=RollingUpdate", "type"),
        ("--set", "ho-microservice.ingress.enabled=true", "enabled"),
        ("--set", "ho-microservice.service.type=LoadBalancer", "type"),
        ("--set", f"{ROLE}=connectivity-test", "role-arn"),
        ("--set", "ho-microservice.serviceAccount.name=Operator", "name"),
        ("--set-string", f"{ENV}.KAFKA_BOOTSTRAP_SERVERS=b-1.example.com", "KAFKA_BOOTSTRAP_SERVERS"),
        ("--set-string", f"{ENV}.KAFKA_CLUSTER_ARN=demo", "KAFKA_CLUSTER_ARN"),
        ("--set-string", f"{ENV}.POSTGRES_HOST=https://db.example.com", "POSTGRES_HOST"),
        ("--set", f"{ENV}.POSTGRES_PORT=5432", "POSTGRES_PORT"),
        ("--set", f"{ENV}.POSTGRESQL_USE_IAM_AUTH=true", "POSTGRESQL_USE_IAM_AUTH"),
        ("--set-string", f"{ENV}.OPENSEARCH_ENDPOINT=x.aoss.amazonaws.com", "OPENSEARCH_ENDPOINT"),
        ("--set-string", f"{ENV}.WATCH_NAMESPACES=team-*", "WATCH_NAMESPACES"),
        ("--set-string", f"{ENV}.OPENAI_API_KEY=k", "OPENAI_API_KEY: a secret does not belong into values"),
        ("--set-string", f"{ENV}.POSTGRES_PASSWORD=k", "name that in envFrom"),
        ("--set-string", f"{ENV}.AWS_ACCESS_KEY_ID=k", "give the ServiceAccount a role"),
        ("--set-string", f"{ENV}.AWS_SECRET_ACCESS_KEY=k", "give the ServiceAccount a role"),
        ("--set-string", f"{ENV}.LOG_LEVEL=loud", "LOG_LEVEL"),
        ("--set", "tests.only=redis", "only"),
        ("--set", "tests.topics=a", "topics"),
        ("--set", "networkPolicy.kafka.cidrs={10.0.0.1}", "cidrs"),
        ("--set", "policy.rules[0].topics={a}", "rules"),
        ("--set", "trust.rdsBundle=global-bundle.pem", "rdsBundle"),
        ("--set", "polcy.rules=a", "polcy"),
    ],
)
def test_wrong_values_are_refused_by_key(
    workshop: Workshop, version: str, option: str, assignment: str, key: str
) -> None:
    """Before anything is installed, and the message says which key it was."""
    result = workshop.chart("stand-in").template(version, "default", option, assignment)
    assert result.returncode != 0
    assert key in result.stderr


def test_variables_that_the_schema_does_not_know_are_let_through(workshop: Workshop, version: str) -> None:
    """Proxies, for example, or what a later version reads."""
    set_proxy = ("--set-string", f"{ENV}.HTTPS_PROXY=http://proxy.example.com:3128")
    release = workshop.rendered("stand-in", version, "default", *set_proxy)
    assert release.environment()["HTTPS_PROXY"] == "http://proxy.example.com:3128"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_is_valid_in_every_kubernetes(workshop: Workshop, base: str, environment: str) -> None:
    """By the schemas of the API servers, unknown fields refused."""
    for found in workshop.rendered(base, "helm 4", environment).objects:
        if found["kind"] == "ExternalSecret":  # not Kubernetes' own
            continue
        for kubernetes in KUBERNETES:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                kubernetes_validate.validate(found, kubernetes, strict=True)


def test_the_validator_would_notice(workshop: Workshop) -> None:
    """An unknown field is refused: the test above can fail."""
    deployment = workshop.rendered("stand-in", "helm 4", "default").one("Deployment")
    spoilt = {**deployment, "spec": {**deployment["spec"], "replica": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, KUBERNETES[-1], strict=True)


def test_lint_finds_nothing(workshop: Workshop, version: str) -> None:
    """`helm lint --strict`, with each file of values."""
    for environment in ENVIRONMENTS:
        files = [] if environment == "default" else ["-f", f"values-{environment}.yaml"]
        result = workshop.chart("stand-in").helm(version, "lint", "--strict", ".", *files)
        assert result.returncode == 0, result.stdout
        assert "[WARNING]" not in result.stdout


def test_the_packaged_crd_is_the_one(workshop: Workshop, version: str, tmp_path: Path) -> None:
    """`crds/` of the chart is a link, which a checkout without links would lose; the package has files."""
    result = workshop.chart("stand-in").helm(version, "package", ".", "--destination", str(tmp_path))
    assert result.returncode == 0, result.stderr
    [package] = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        held = {
            Path(name).name: archive.extractfile(name).read()  # type: ignore[union-attr]
            for name in archive.getnames()
            if name.startswith("aws-connectivity-test/crds/")
        }
    assert held == {file.name: file.read_bytes() for file in (paths.ROOT / "crds").iterdir()}


def test_the_lock_is_in_step(version: str, tmp_path: Path) -> None:
    """`helm dependency build`, which CI pipelines use, refuses a lock that does not fit Chart.yaml."""
    chart = Workshop(tmp_path).chart("stand-in")
    (chart.path / "Chart.lock").write_bytes((CHART / "Chart.lock").read_bytes())
    result = chart.helm(version, "dependency", "build", ".")
    assert result.returncode == 0, result.stderr


def test_certificates_reach_the_operator(workshop: Workshop, version: str, tmp_path: Path) -> None:
    """A bundle given by `--set-file` is mounted where its variable points, whole; without one there is no variable."""
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    file = tmp_path / "bundle.pem"
    file.write_text(pem)
    sets = ("--set-file", f"trust.rdsBundle={file}", "--set-file", f"trust.extraBundle={file}")
    release = workshop.rendered("stand-in", version, "default", *sets)
    data = release.one("ConfigMap", "connectivity-operator-trust")["data"]
    for variable in ("POSTGRES_CA_FILE", "EXTRA_CA_FILE"):
        path = Path(release.environment()[variable])
        [mount] = [m for m in release.container["volumeMounts"] if m["mountPath"] == str(path.parent)]
        [volume] = [v for v in release.pod["spec"]["volumes"] if v["name"] == mount["name"]]
        assert volume["configMap"] == {"name": "connectivity-operator-trust", "optional": True}
        assert data[path.name] == pem
    assert "POSTGRES_CA_FILE" not in workshop.rendered("stand-in", version, "default").environment()


def test_the_values_for_kind_are_accepted(workshop: Workshop, version: str) -> None:
    """As `docs/elsewhere.md` has them, on top of an environment's: the local image, no role, keys if there are any."""
    text = (paths.ROOT / "docs/elsewhere.md").read_text()
    values = re.search(r"^<!-- kind values -->\n```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert values
    (workshop.chart("stand-in").path / "kind.yaml").write_text(values[1])
    release = workshop.rendered("stand-in", version, "nonprod", "-f", "kind.yaml")
    assert release.container["image"] == "docker.io/library/aws-connectivity-test:dev"
    assert {"secretRef": {"name": "aws-keys", "optional": True}} in release.container["envFrom"]
    assert not release.one("ServiceAccount", "connectivity-operator")["metadata"].get("annotations")
    assert not release.all("ExternalSecret")


def test_metrics_may_be_read_by_whom_the_values_name(workshop: Workshop, version: str) -> None:
    """Nobody by default."""
    peer = "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"
    release = workshop.rendered("stand-in", version, "default", "--set", peer)
    [rule] = release.one("NetworkPolicy", "connectivity-operator")["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": "metrics"}]
    assert not release.one("NetworkPolicy", "connectivity-operator-check")["spec"]["ingress"]


@pytest.mark.parametrize(
    ("assignment", "kind", "label"),
    [
        ("rbac.create=false", "ClusterRoleBinding", None),
        ("rbac.userRoles.create=false", "ClusterRole", "viewer"),
        ("networkPolicy.enabled=false", "NetworkPolicy", None),
        ("uninstall.releaseFinalizers=false", "Job", None),
    ],
)
def test_what_can_be_switched_off(
    workshop: Workshop, version: str, assignment: str, kind: str, label: str | None
) -> None:
    """For clusters in which somebody else makes these."""

    def found(release: Rendered) -> list[str]:
        names = [o["metadata"]["name"] for o in release.all(kind) if "helm.sh/hook" not in str(o) or kind == "Job"]
        return [name for name in names if label is None or name.endswith(label)]

    assert found(workshop.rendered("stand-in", version, "default"))
    assert not found(workshop.rendered("stand-in", version, "default", "--set", assignment))


def test_the_editor_is_aggregated_when_asked_for(workshop: Workshop, version: str) -> None:
    """One value gives `edit` and `admin` the right to create resources."""
    set_it = ("--set", "rbac.userRoles.aggregateToEdit=true")
    release = workshop.rendered("stand-in", version, "default", *set_it)
    [editor] = [role for role in release.all("ClusterRole") if role["metadata"]["name"].endswith(":editor")]
    assert editor["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"


def test_the_table_of_values_is_current() -> None:
    """README.md has every described value with its default; `python helm/values_table.py` writes it."""
    specification = importlib.util.spec_from_file_location("values_table", paths.ROOT / "helm/values_table.py")
    assert specification is not None
    assert specification.loader is not None
    values_table = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(values_table)
    assert values_table.README.read_text() == values_table.readme()
    described = values_table.described((CHART / "values.yaml").read_text())
    undescribed = [
        leaf
        for leaf in _leaves(yaml.safe_load((CHART / "values.yaml").read_text()))
        if not any(leaf == key or leaf.startswith(f"{key}.") for key in described)
    ]
    assert undescribed == []


def test_no_account_but_the_images_and_the_example_is_named() -> None:
    """Account ids of real environments do not belong here."""
    texts = [file.read_text() for file in (paths.ROOT / "helm").rglob("*") if file.is_file() and file.suffix != ".tgz"]
    assert set(re.findall(r"(?<![\w-])\d{12}(?![\w-])", "\n".join(texts))) == {"111122223333", "538189757816"}


def _leaves(values: object, place: str = "") -> list[str]:
    if isinstance(values, dict) and values:
        return [leaf for key, value in values.items() for leaf in _leaves(value, f"{place}.{key}".lstrip("."))]
    return [place]
