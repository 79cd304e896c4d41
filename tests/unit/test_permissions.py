"""The least privileges by themselves: what the settings, the resources and a token change in them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectivity_operator import sql
from connectivity_operator.adapters.aws import web_identity
from connectivity_operator.cli import cli
from connectivity_operator.permissions import Demand, Privileges, privileges
from connectivity_operator.reports import privileges as report
from connectivity_operator.settings import Settings

ROLE = "arn:aws:iam::111122223333:role/connectivity-test"
TABLE = "CREATE TABLE demo_log (id SERIAL)"
RESOURCE = """
apiVersion: connectivity.hyperoptic.com/v1alpha1
kind: ConnectivityTest
metadata: {name: one, namespace: demo}
spec: {topics: [orders], index: docs}
"""


def computed(
    environment: Mapping[str, str] | None = None, facts: Mapping[str, str] | None = None, **demand: Any
) -> Privileges:
    settings = Settings.load(environment or {})
    return privileges(settings, Demand("a test", **demand), facts or {}, table=TABLE)


def allowed(found: Privileges) -> dict[str, list[str]]:
    """Action -> the resources that it is allowed on."""
    actions: dict[str, list[str]] = {}
    for statement in found.statements:
        for action in statement.actions:
            actions.setdefault(action, []).extend(statement.resources)
    return actions


def invoke(*arguments: str, environment: Mapping[str, str] | None = None, stdin: str | None = None) -> Result:
    """The command in an environment that says nothing but this."""
    nothing: dict[str, str | None] = dict.fromkeys((*Settings.variables(), "KUBECONFIG", "AWS_ROLE_ARN"))
    return CliRunner().invoke(cli, ["permissions", *arguments], env={**nothing, **(environment or {})}, input=stdin)


# ── the IAM policy ───────────────────────────────────────────────────────────────────────────────────
def test_without_any_setting_everything_is_a_placeholder() -> None:
    """Nothing is guessed: whoever reads it sees what to fill in."""
    found = computed()
    assert allowed(found) == {
        "kafka-cluster:Connect": ["arn:aws:kafka:<region>:<account>:cluster/<cluster name>/<cluster uuid>"],
        "kafka-cluster:DescribeTopic": ["arn:aws:kafka:<region>:<account>:topic/<cluster name>/<cluster uuid>/<topic>"],
        "kafka-cluster:ReadData": ["arn:aws:kafka:<region>:<account>:topic/<cluster name>/<cluster uuid>/<topic>"],
        "kafka-cluster:DescribeGroup": [
            "arn:aws:kafka:<region>:<account>:group/<cluster name>/<cluster uuid>/connectivity-test.*"
        ],
        "kafka-cluster:AlterGroup": [
            "arn:aws:kafka:<region>:<account>:group/<cluster name>/<cluster uuid>/connectivity-test.*"
        ],
        "rds-db:connect": ["arn:aws:rds-db:<region>:<account>:dbuser:<resource id>/<database user>"],
        "aoss:APIAccessAll": ["arn:aws:aoss:<region>:<account>:collection/<collection id>"],
    }
    assert found.principal.role_arn == "arn:aws:iam::<account>:role/<role>"
    (completed,) = [note for note in found.notes if "Placeholders" in note]
    for variable in ("KAFKA_CLUSTER_ARN", "POSTGRES_RESOURCE_ID", "OPENSEARCH_COLLECTION_NAME", "AWS_REGION"):
        assert variable in completed


def test_account_partition_and_region_are_those_of_the_role_and_the_endpoints() -> None:
    """In every ARN, in China's partition as well."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "b-1.demo.a1b2c3.c2.kafka.cn-north-1.amazonaws.com.cn:9098",
        "POSTGRES_HOST": "demo.c9d8.cn-north-1.rds.amazonaws.com.cn",
        "POSTGRES_USER": "app",
        "OPENSEARCH_ENDPOINT": "https://x1y2.cn-north-1.aoss.amazonaws.com.cn",
    }
    found = allowed(computed(environment, {"role_arn": "arn:aws-cn:iam::111122223333:role/x"}))
    assert found["kafka-cluster:Connect"] == ["arn:aws-cn:kafka:cn-north-1:111122223333:cluster/demo/<cluster uuid>"]
    assert found["rds-db:connect"] == ["arn:aws-cn:rds-db:cn-north-1:111122223333:dbuser:<DbiResourceId, db-…>/app"]
    assert found["aoss:APIAccessAll"] == ["arn:aws-cn:aoss:cn-north-1:111122223333:collection/x1y2"]


def test_sending_and_creating_cost_extra_privileges_and_nothing_else_does() -> None:
    """Whoever neither sends nor creates grants neither."""
    plain, more = computed(), computed(send=True, create=True)
    assert set(allowed(more)) - set(allowed(plain)) == {"kafka-cluster:WriteData"}
    assert plain.data_access
    assert more.data_access
    assert plain.data_access[0]["Rules"][0]["Permission"] == ["aoss:DescribeIndex", "aoss:WriteDocument"]
    assert more.data_access[0]["Rules"][0]["Permission"] == [
        "aoss:DescribeIndex",
        "aoss:WriteDocument",
        "aoss:CreateIndex",
    ]
    assert not any("GRANT CREATE" in entry.statement for entry in plain.sql)
    assert "GRANT CREATE ON SCHEMA public TO <database user>;" in [entry.statement for entry in more.sql]


def test_a_domain_gets_the_http_actions_on_its_indices_alone() -> None:
    """Service es has no data access policies; PUT is needed to create an index only."""
    environment = {
        "OPENSEARCH_SERVICE": "es",
        "OPENSEARCH_ENDPOINT": "https://search-demo-abc123.eu-west-2.es.amazonaws.com",
    }
    found = computed(environment, {"role_arn": ROLE}, indices=("docs",))
    domain = "arn:aws:es:eu-west-2:111122223333:domain/demo"
    assert {a: r for a, r in allowed(found).items() if a.startswith("es:")} == {
        "es:ESHttpGet": [f"{domain}/", f"{domain}/docs/*"],
        "es:ESHttpPost": [f"{domain}/docs/*"],
        "es:ESHttpDelete": [f"{domain}/docs/*"],
    }
    assert found.data_access is None
    assert found.network_policy is None
    assert allowed(computed(environment, indices=("docs",), create=True))["es:ESHttpPut"] == [
        "arn:aws:es:eu-west-2:<account>:domain/demo/docs"
    ]


def test_without_iam_no_role_is_needed() -> None:
    """Kafka without a login, a password, an open OpenSearch: no policy, no trust, no STS, but ACLs and a password."""
    found = computed(
        {
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
            "POSTGRESQL_USE_IAM_AUTH": "false",
            "POSTGRES_PASSWORD": "hunter2",
            "OPENSEARCH_USE_IAM_AUTH": "false",
        },
        topics=("orders", "connectivity-test*"),
    )
    assert (found.identity_policy, found.web_identity, found.pod_identity, found.data_access) == (None,) * 4
    assert not any("sts" in connection.to for connection in found.connections)
    acl = "kafka-acls.sh --bootstrap-server kafka:9092 --add --allow-principal User:ANONYMOUS --operation Read"
    assert found.kafka_acls == (
        f"{acl} --topic orders",
        f"{acl} --topic connectivity-test --resource-pattern-type prefixed",
        f"{acl} --group connectivity-test. --resource-pattern-type prefixed",
    )
    shown = report.render_text(found) + report.render_json(found, "1")
    assert "rds_iam" not in shown
    assert "hunter2" not in shown
    assert "LOGIN PASSWORD '<POSTGRES_PASSWORD>'" in shown


def test_a_policy_that_is_too_long_for_iam_is_told() -> None:
    """Before the console refuses it."""
    assert not any("6144" in note for note in computed(topics=("orders",)).notes)
    assert any("6144" in note for note in computed(topics=tuple(f"orders-{n}" for n in range(100))).notes)


# ── trust ────────────────────────────────────────────────────────────────────────────────────────────
def token(path: Path, **claims: object) -> Path:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    path.write_text(f"x.{payload}.x")
    return path


def test_the_trust_policies_name_exactly_one_service_account(tmp_path: Path) -> None:
    """Of the cluster whose issuer the Pod's token says, whichever way the Pod has it."""
    file = token(tmp_path / "token", iss="https://oidc.eks/id/A", sub="system:serviceaccount:demo:operator")
    facts = web_identity.service_account({"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)})
    found = computed(facts={**facts, "role_arn": ROLE})
    assert found.web_identity
    assert found.pod_identity
    (irsa,) = found.web_identity["Statement"]
    assert irsa["Principal"] == {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks/id/A"}
    assert irsa["Condition"] == {
        "StringEquals": {
            "oidc.eks/id/A:sub": "system:serviceaccount:demo:operator",
            "oidc.eks/id/A:aud": "sts.amazonaws.com",
        }
    }
    (agent,) = found.pod_identity["Statement"]
    assert agent["Condition"]["StringEquals"] == {
        "aws:RequestTag/kubernetes-namespace": "demo",
        "aws:RequestTag/kubernetes-service-account": "operator",
    }


# ── SQL ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("app", "app"),
        ("app_2", "app_2"),
        ("App", '"App"'),
        ("my-app", '"my-app"'),
        ("user", '"user"'),
        ("current_role", '"current_role"'),
        ('a"; DROP TABLE x; --', '"a""; DROP TABLE x; --"'),
        ("<database user>", "<database user>"),
    ],
)
def test_identifiers_are_quoted_where_sql_needs_it(name: str, written: str) -> None:
    """What is pasted does what it says, whatever the names."""
    assert sql.identifier(name) == written


# ── connections ──────────────────────────────────────────────────────────────────────────────────────
def test_https_goes_through_the_proxy_and_the_rest_does_not() -> None:
    """As the clients do; the proxy's password stays untold."""
    found = computed(
        {
            "HTTPS_PROXY": "http://me:hunter2@proxy.internal:3128",
            "NO_PROXY": ".aoss.amazonaws.com",
            "OPENSEARCH_ENDPOINT": "https://x1y2.eu-west-2.aoss.amazonaws.com",
            "KAFKA_BOOTSTRAP_SERVERS": "a:9098,b:9198",
        }
    )
    assert [(c.service, c.to, c.port) for c in found.connections] == [
        ("Kafka", "every broker, not the bootstrap servers alone", 9098),
        ("Kafka", "every broker, not the bootstrap servers alone", 9198),
        ("PostgreSQL", "<database's host>", 5432),
        ("OpenSearch", "x1y2.eu-west-2.aoss.amazonaws.com", 443),
        ("HTTPS_PROXY", "proxy.internal", 3128),
        ("DNS", "the cluster's resolver", 53),
        ("Kubernetes", "the API server (the operator, not `check`)", 443),
    ]
    assert "hunter2" not in report.render_text(found) + report.render_json(found, "1")


# ── the command ──────────────────────────────────────────────────────────────────────────────────────
def test_files_are_read_as_kubectl_takes_and_prints_them(tmp_path: Path) -> None:
    """Several documents, lists, other kinds between them, standard input, and names beside them."""
    other = "kind: ConfigMap\nmetadata: {name: x}\n"
    version = "connectivity.hyperoptic.com/v1alpha1"
    body = {
        "apiVersion": version,
        "kind": "ConnectivityTest",
        "metadata": {"name": "two"},
        "spec": {"topics": ["pay"], "index": "pay"},
    }
    listed = tmp_path / "list.yaml"
    listed.write_text(json.dumps({"kind": "List", "items": [body]}))
    result = invoke(
        "-f", "-", "-f", str(listed), "--topic", "more*", "-o", "json", stdin=f"{other}---\n{RESOURCE}---\n{RESOURCE}"
    )
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["topics"] == ["more*", "orders", "pay"]
    assert found["indices"] == ["docs", "pay"]
    assert "3 resources (demo/one, demo/one, two), and the command line" in found["source"]


def test_resources_that_the_policy_refuses_get_no_privileges(tmp_path: Path) -> None:
    """Whoever can create a resource must not choose what an administrator pastes into the role."""
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{namespaces: [demo], topics: [pay*], indices: ['*'], models: ['*']}]")
    found = json.loads(invoke("-f", "-", "-o", "json", environment={"POLICY_FILE": str(policy)}, stdin=RESOURCE).stdout)
    assert found["topics"] == found["indices"] == []
    assert "demo/one is left out" in found["notes"][0]
    assert "orders" in found["notes"][0]


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (["-f", "-"], "a: [", "line 1"),
        (["-f", "no-such-file"], None, "no-such-file"),
        (["--unknown"], None, "--unknown"),
        (["-f", "-"], "kind: ConfigMap", "has no ConnectivityTest in it"),
        (["-f", "-"], RESOURCE.replace("orders", "'*'"), "spec.topics[0] is '*'"),
        (["-f", "-"], RESOURCE.replace("docs", "DOCS"), "spec.index is 'DOCS'"),
        (["-f", "-"], RESOURCE.replace("spec:", "other:"), "spec is required"),
        (["--topic", "a b"], None, "--topic: 'a b'"),
        (["--index", "A"], None, "--index: 'A'"),
        (["--topic", "a", "--role-arn", "x"], None, "--role-arn"),
        (["--topic", "a", "--service-account", "x"], None, "NAMESPACE/NAME"),
        ([], None, "-f FILE"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments: list[str], stdin: str | None, said: str, tmp_path: Path
) -> None:
    """With -o json a document all the same. Without cluster and files the way out is named."""
    result = invoke(*arguments, "-o", "json", stdin=stdin, environment={"HOME": str(tmp_path), "KUBECONFIG": "/none"})
    assert result.exit_code == 2
    assert said in json.loads(result.stdout)["error"]
    assert said in result.stderr


def test_the_text_fits_80_columns_but_for_what_is_pasted() -> None:
    """ARNs in JSON are as long as they are, prose is not; each section says its number and what it is."""
    result = invoke("--topic", "orders", "--index", "docs", "--create", "--send")
    assert result.exit_code == 0
    assert [line for line in result.stdout.splitlines() if len(line) > 80 and "arn:" not in line] == []
    assert [line[:2] for line in result.stdout.splitlines() if line[:1].isdigit()] == [f"{n}." for n in range(1, 8)]
    documents = [part for part in result.stdout.split("\n\n") if part.startswith(("{", "["))]
    assert len([json.loads(document) for document in documents]) == 5


def test_every_field_of_the_json_is_documented() -> None:
    """And nothing else is."""
    text = (Path(__file__).parents[2] / "docs/permissions.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = {field.strip(" `") for row in rows for field in row.split(",")}
    written = {**json.loads(report.render_json(computed(), "1")), **json.loads(report.failed_json("x", "1"))}
    assert set(written) == documented
