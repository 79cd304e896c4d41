"""What `connectivity-operator permissions` prints is enough, and each part of it is missed by its own name.

The printed policies and statements, and nothing else, are what the lab's account, collection and database grant here.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner

from connectivity_operator import app
from connectivity_operator.cli import cli
from connectivity_operator.diagnosis.catalogue import Explanation
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import DEPENDENCIES
from connectivity_operator.settings import Settings
from lab import operator_env, world
from lab.faults import packets
from lab.iam import control as iam
from lab.iam import pod_identity
from lab.iam.policies import without_action
from lab.kubernetes import access
from lab.opensearch import admin as opensearch
from lab.operating import Operator, Resource, documents, rows, send
from lab.postgresql import control as postgresql
from lab.postgresql import psql

pytestmark = [pytest.mark.lab]

T = TypeVar("T")

SETTLED = 10.0
"""Seconds within which a change must have reached every server."""

TOPIC = "orders"
INDEX = "connectivity-test-privileges"
GROUP = "connectivity-test.check.privileges"
TARGET = Target(topics=frozenset({TOPIC}), index=INDEX, model="text-embedding-3-small", group=GROUP, join=True)
CREATING = Target(topics=frozenset({TOPIC}), index=INDEX, model="text-embedding-3-small", group=GROUP, create=True)

CLUSTER = "0d9c8b7a-6f5e-4d3c-2b1a-998877665544-2"
KAFKA = "arn:aws:kafka:eu-west-2:111122223333"
ROLE = "arn:aws:iam::111122223333:role/connectivity-test"
USER = "connectivity_test"

NOTHING_IN_THE_DATABASE = f"""
DROP OWNED BY {USER};
DROP ROLE {USER};
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
REVOKE ALL ON DATABASE {world.DB_NAME} FROM PUBLIC;
"""
"""No role, no table, and PUBLIC may nothing."""


# ── the printed privileges, granted ──────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Printed:
    """What the command printed, and what of it is granted."""

    document: Mapping[str, Any]
    actions: tuple[str, ...] = ()
    """Of the IAM policy, left out."""
    trust: str = "irsa"
    """Which of the trust policies is granted."""
    trust_actions: tuple[str, ...] = ()
    """Of it, left out."""
    permissions: tuple[str, ...] = ()
    """Of the data access policy, left out."""
    sql: Mapping[str, str] = field(default_factory=dict)
    """Beginning of a statement -> what is run instead."""

    def grant(self) -> None:
        """This, and nothing else."""
        state = iam.get_state()
        policy = without(self.document["iamPolicy"], self.actions)
        trust = without(self.document["trustPolicies"][self.trust], self.trust_actions)
        state["roles"][world.ROLE_NAME] = {"trust": trust, "policies": {"printed": policy}}
        if self.trust == "podIdentity":
            state["pod_identity_associations"] = {self.document["serviceAccount"]: world.ROLE_NAME}
        (grant,) = self.document["dataAccessPolicy"]
        (rule,) = grant["Rules"]
        kept = [permission for permission in rule["Permission"] if permission not in self.permissions]
        granted = {"printed": [{**grant, "Rules": [{**rule, "Permission": kept}]}]}
        state["data_access_policies"] = granted
        iam.request("PUT", "/state", state)
        postgresql.disconnect_users()
        psql(NOTHING_IN_THE_DATABASE, database=self.document["database"])
        psql("\n".join(self.statements()), database=self.document["database"])

    def statements(self) -> list[str]:
        """What the database's administrator runs."""
        made = []
        for entry in self.document["sql"]:
            statement = entry["statement"]
            replaced = [text for start, text in self.sql.items() if statement.startswith(start)]
            made.append(replaced[0] if replaced else statement)
        return made


def without(policy: Mapping[str, Any], actions: Sequence[str]) -> Mapping[str, Any]:
    """The policy without these actions."""
    for name in actions:
        policy = without_action(policy, name)
    return policy


@pytest.fixture
def environment(lab: object, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The operator's variables; AWS's own are the process's, for the SDK reads them by itself."""
    variables = operator_env.environment()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def world_as_it_was(lab: object) -> Iterator[None]:
    """Account, database and index as `lab up` made them, before and after."""

    def reset() -> None:
        iam.reset()
        postgresql.reset()
        opensearch.delete_index(INDEX)

    reset()
    yield
    reset()


def printed(environment: Mapping[str, str], *options: str) -> Printed:
    """By the command itself, in the operator's environment."""
    arguments = ["permissions", "--topic", TOPIC, "--index", INDEX, "-o", "json", *options]
    result = CliRunner().invoke(cli, arguments, env=dict(environment))
    assert result.exit_code == 0, result.output
    return Printed(json.loads(result.stdout))


@pytest.fixture
def least(environment: dict[str, str], world_as_it_was: None) -> Printed:
    """What is printed for an index and a table that exist; the index does."""
    vector = {"type": "knn_vector", "dimension": 1536, "method": {"name": "hnsw", "engine": "faiss"}}
    mappings = {"properties": {"vector": vector}}
    opensearch.create_index(INDEX, {"settings": {"index": {"knn": True}}, "mappings": mappings})
    return printed(environment)


@pytest.fixture
def creating(environment: dict[str, str], world_as_it_was: None) -> Printed:
    """What is printed for an operator that creates and sends; neither index nor table exist."""
    return printed(environment, "--create", "--send")


@pytest.fixture
async def engine(environment: dict[str, str]) -> AsyncIterator[app.Engine]:
    """What `check` is made of. Opened before privileges are taken away, used after."""
    async with app.engine(Settings.load(environment)) as opened:
        yield opened


async def failures(engine: app.Engine, target: Target) -> dict[str, Explanation]:
    """What `check` says of each service that is not Connected."""
    climbs = await asyncio.gather(*(engine.diagnosis.examine(s, target, max_age=0.0) for s in DEPENDENCIES))
    return {c.service: engine.describe(c.service, c.failure) for c in climbs if c.failure}


async def once(settled: Callable[[T], bool], look: Callable[[], Awaitable[T]]) -> T:
    """What is seen when a change of privileges has reached the brokers, which keep decisions for a second; MSK, longer.

    Without it the caller's assertion says what was seen last.
    """
    deadline = time.monotonic() + SETTLED
    while not settled(seen := await look()) and time.monotonic() < deadline:
        await asyncio.sleep(0.3)
    return seen


# ── enough ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("target", [TARGET, CREATING], ids=["existing", "creating"])
async def test_they_are_enough(
    environment: dict[str, str],
    world_as_it_was: None,
    engine: app.Engine,
    request: pytest.FixtureRequest,
    target: Target,
) -> None:
    """Every rung passes, of a check of topic, group, index, model and table."""
    request.getfixturevalue("creating" if target.create else "least").grant()
    assert await once(lambda told: not told, partial(failures, engine, target)) == {}


@pytest.mark.parametrize("privileges", ["least", "creating"])
def test_they_are_enough_for_a_message_to_go_all_the_way(
    environment: dict[str, str], world_as_it_was: None, request: pytest.FixtureRequest, privileges: str
) -> None:
    """The operator itself, a resource, one message: consumed, embedded, indexed, logged and committed."""
    request.getfixturevalue(privileges).grant()
    operator, resource = (
        Operator(),
        Resource("privileges", [TOPIC], INDEX, spec={"intervalSeconds": 10, "timeoutSeconds": 5}),
    )
    operator.start()
    try:
        resource.apply()
        resource.until_reading()
        send(TOPIC, [b"a message that needs every privilege"])
        resource.until("Ready", "EndToEndVerified")
        assert [content for *_, content in rows(TOPIC)] == ["a message that needs every privilege"]
        assert len(documents(INDEX)) == 1
    finally:
        resource.delete()
        operator.stop()


# ── each of them is missed ───────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Missing:
    """One privilege that is not granted, and what the operator must say: literals, none of them of the catalogue."""

    service: str
    reason: str
    rung: str
    remedy: Sequence[str]
    """Texts that the remedy must contain."""
    actions: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    sql: Mapping[str, str] = field(default_factory=dict)

    def of(self, whole: Printed) -> Printed:
        return Printed(whole.document, actions=self.actions, permissions=self.permissions, sql=self.sql)

    async def assert_told(self, look: Callable[[], Awaitable[Mapping[str, Explanation]]]) -> None:
        """By its own reason, and no other service suffers."""
        told = await once(lambda seen: [said.reason for said in seen.values()] == [self.reason], look)
        assert list(told) == [self.service], told
        said = told[self.service]
        assert (said.reason, said.rung) == (self.reason, self.rung)
        assert [text for text in self.remedy if text not in said.remedy] == [], said.remedy


def action(name: str, service: str, reason: str, rung: str, resource: str) -> Missing:
    """Of the IAM policy: the remedy names action, resource and principal."""
    return Missing(service, reason, rung, (f"Allow {name} on {resource} for {ROLE}",), actions=(name,))


def permission(name: str, rung: str) -> Missing:
    """Of the data access policy."""
    texts = (f"Add {name} on index/demo/connectivity-test-privileges for {ROLE}",)
    return Missing("opensearch", "DataAccessDenied", rung, texts, permissions=(name,))


def grant(reason: str, rung: str, remedy: str, sql: Mapping[str, str]) -> Missing:
    """Of the database: the remedy is the statement."""
    return Missing("postgresql", reason, rung, (remedy,), sql=sql)


WITHOUT_ROLE = {"CREATE ROLE": "", "GRANT": ""}
WITHOUT_TABLE = {"CREATE TABLE": "", "GRANT INSERT": "", "GRANT USAGE ON SEQUENCE": ""}

MISSING = [
    action(
        "kafka-cluster:Connect", "kafka", "ClusterAccessDenied", "authentication", f"{KAFKA}:cluster/demo/{CLUSTER}"
    ),
    action(
        "kafka-cluster:DescribeTopic", "kafka", "DescribeTopicDenied", "authorization",
        f"{KAFKA}:topic/demo/{CLUSTER}/orders",
    ),
    action(
        "kafka-cluster:ReadData", "kafka", "ReadDataDenied", "authorization", f"{KAFKA}:topic/demo/{CLUSTER}/orders"
    ),
    action(
        "kafka-cluster:DescribeGroup", "kafka", "DescribeGroupDenied", "authorization",
        f"{KAFKA}:group/demo/{CLUSTER}/connectivity-test.*",
    ),
    action(
        "kafka-cluster:AlterGroup", "kafka", "AlterGroupDenied", "authorization",
        f"{KAFKA}:group/demo/{CLUSTER}/connectivity-test.*",
    ),
    action(
        "rds-db:connect", "postgresql", "IAMAuthenticationFailed", "authentication",
        "arn:aws:rds-db:eu-west-2:111122223333:dbuser:db-ABCDEFGHIJKL0123456789MNOP/connectivity_test",
    ),
    action(
        "aoss:APIAccessAll", "opensearch", "APIAccessDenied", "authentication",
        "arn:aws:aoss:eu-west-2:111122223333:collection/x1y2z3a4b5c6d7e8f9g0",
    ),
    permission("aoss:DescribeIndex", "authorization"),
    permission("aoss:WriteDocument", "operation"),
    grant("IAMNotGranted", "authentication", f"CREATE ROLE {USER} LOGIN;", WITHOUT_ROLE),
    grant("LoginNotPermitted", "authentication", f"ALTER ROLE {USER} LOGIN;", {"CREATE ROLE": f"CREATE ROLE {USER};"}),
    grant("IAMNotGranted", "authentication", f"GRANT rds_iam TO {USER};", {"GRANT rds_iam": ""}),
    grant(
        "ConnectDenied", "authorization", f"GRANT CONNECT ON DATABASE connectivity TO {USER};", {"GRANT CONNECT": ""}
    ),
    grant(
        "SchemaUsageDenied", "authorization", f"GRANT USAGE ON SCHEMA public TO {USER};",
        {"GRANT USAGE ON SCHEMA": ""},
    ),
    grant("CreateTableDenied", "authorization", f"GRANT CREATE ON SCHEMA public TO {USER};", WITHOUT_TABLE),
    grant("InsertDenied", "operation", f"GRANT INSERT ON demo_log TO {USER};", {"GRANT INSERT": ""}),
    grant(
        "SequenceUsageDenied", "operation", f"GRANT USAGE ON SEQUENCE demo_log_id_seq TO {USER};",
        {"GRANT USAGE ON SEQUENCE": ""},
    ),
]  # fmt: skip

MISSING_TO_CREATE = [
    Missing(
        "opensearch", "CreateIndexDenied", "authorization",
        ("aoss:CreateIndex on index/demo/connectivity-test-privileges", ROLE), permissions=("aoss:CreateIndex",),
    ),
    grant(
        "CreateTableDenied", "authorization", f"GRANT CREATE ON SCHEMA public TO {USER};", {"GRANT CREATE": ""}
    ),
    grant(
        "SchemaUsageDenied", "authorization", f"GRANT USAGE ON SCHEMA public TO {USER};",
        {"GRANT USAGE ON SCHEMA": ""},
    ),
]  # fmt: skip


def name_of(missing: Missing) -> str:
    return (*missing.actions, *missing.permissions, *missing.sql)[0] + f"-{missing.reason}"


@pytest.mark.parametrize("missing", MISSING, ids=name_of)
async def test_each_is_missed_by_its_own_name(least: Printed, engine: app.Engine, missing: Missing) -> None:
    """Reason, rung and remedy are those of exactly this privilege, and nothing else fails."""
    missing.of(least).grant()
    await missing.assert_told(partial(failures, engine, TARGET))


@pytest.mark.parametrize("missing", MISSING_TO_CREATE, ids=name_of)
async def test_each_that_creating_needs_is_missed(creating: Printed, engine: app.Engine, missing: Missing) -> None:
    """The same for what --create adds, and for what it needs otherwise."""
    missing.of(creating).grant()
    await missing.assert_told(partial(failures, engine, CREATING))


async def test_sending_is_missed(creating: Printed, engine: app.Engine) -> None:
    """What --send adds."""

    async def sent() -> DependencyError | None:
        try:
            await engine.send(TOPIC, [b"a message"])
        except DependencyError as refusal:
            return refusal
        return None

    creating.grant()
    assert await once(lambda refusal: refusal is None, sent) is None
    Printed(creating.document, actions=("kafka-cluster:WriteData",)).grant()
    refusal = await once(lambda refusal: refusal is not None, sent)
    assert refusal is not None
    told = engine.describe_error(refusal)
    assert told.reason == "WriteDataDenied"
    assert f"Allow kafka-cluster:WriteData on {KAFKA}:topic/demo/{CLUSTER}/orders for {ROLE}" in told.remedy


WITH_IAM = ("kafka", "opensearch", "postgresql")


def statement_in(remedy: str) -> Any:
    """The JSON that a remedy ends with."""
    return json.loads(remedy[remedy.index("{") :])


async def test_trust_is_missed(least: Printed, engine: app.Engine) -> None:
    """All services with IAM stop at it; the remedy is the very statement that was printed."""
    Printed(least.document, trust_actions=("sts:AssumeRoleWithWebIdentity",)).grant()
    told = await failures(engine, TARGET)
    assert {s: (said.reason, said.rung) for s, said in told.items()} == dict.fromkeys(
        WITH_IAM, ("TrustPolicyMismatch", "identity")
    )
    (statement,) = least.document["trustPolicies"]["irsa"]["Statement"]
    for said in told.values():
        assert ROLE in said.remedy
        assert statement_in(said.remedy) == statement


@pytest.mark.parametrize("action", [None, "sts:AssumeRole", "sts:TagSession"])
async def test_trust_of_pod_identity_is_enough_and_missed(
    least: Printed,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    action: str | None,
) -> None:
    """The same with the other way to the role, whose agent asks for two actions."""
    token = tmp_path / "token"
    token.write_text(access.token(world.OPERATOR_SERVICE_ACCOUNT, audience=pod_identity.AUDIENCE))
    for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod_identity.URI)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token))
    Printed(least.document, trust="podIdentity", trust_actions=(action,) if action else ()).grant()
    async with app.engine(Settings.load(environment)) as engine:
        if action is None:
            assert await once(lambda told: not told, partial(failures, engine, TARGET)) == {}
            return
        told = await failures(engine, TARGET)
    assert {s: (said.reason, said.rung) for s, said in told.items()} == dict.fromkeys(
        WITH_IAM, ("TrustPolicyMismatch", "identity")
    )
    (statement,) = least.document["trustPolicies"]["podIdentity"]["Statement"]
    assert all(statement_in(said.remedy) == statement for said in told.values())


# ── ports ────────────────────────────────────────────────────────────────────────────────────────────
SERVERS = {
    "Kafka": [address for _, address in world.BROKERS.values()],
    "PostgreSQL": [world.POSTGRESQL[1]],
    "OpenSearch": [world.OPENSEARCH[1]],
    "OpenAI": [world.OPENAI[1]],
    "STS": [world.STS[1]],
    "DNS": [world.DNS_ADDRESS],
}
NOT_FOR_A_CHECK = {"Kubernetes"}
"""Without the API server there is nobody to be told."""


@contextmanager
def closed(document: Mapping[str, Any], *services: str) -> Iterator[None]:
    """Packets to the printed ports of these services are dropped."""
    name = "privileges"
    try:
        for connection in document["connections"]:
            if connection["service"] in services:
                for address in SERVERS[connection["service"]]:
                    for protocol in connection["protocol"].split("+"):
                        packets.block(name, address, connection["port"], packets.DROP, protocol=protocol)
        yield
    finally:
        packets.clear(name)


async def test_each_port_is_missed(least: Printed, engine: app.Engine) -> None:
    """Four at once: none hides another. (The fault matrix closes each of them alone.)"""
    least.grant()
    with closed(least.document, "Kafka", "PostgreSQL", "OpenSearch", "OpenAI"):
        told = await failures(engine, TARGET)
    for service, host, port in (
        ("kafka", "kafka.eu-west-2.amazonaws.com", "9098"),
        ("postgresql", "demo.c9d8e7f6a5b4.eu-west-2.rds.amazonaws.com", "5432"),
        ("opensearch", "x1y2z3a4b5c6d7e8f9g0.eu-west-2.aoss.amazonaws.com", "443"),
        ("openai", "api.openai.com", "443"),
    ):
        said = told[service]
        assert (said.reason, said.rung) == ("ConnectionTimeout", "tcp")
        assert host in said.message + said.remedy
        assert port in said.remedy


async def test_the_port_of_sts_is_missed(least: Printed, engine: app.Engine) -> None:
    """By all services with IAM, at the rung that asks it."""
    least.grant()
    with closed(least.document, "STS"):
        told = await failures(engine, TARGET)
    assert {s: (said.reason, said.rung) for s, said in told.items()} == dict.fromkeys(
        WITH_IAM, ("STSUnreachable", "identity")
    )
    assert all("com.amazonaws.eu-west-2.sts" in said.remedy and "443" in said.remedy for said in told.values())


def test_the_port_of_the_resolver_is_missed(least: Printed) -> None:
    """By a process of its own, for this one resolves the lab's names by itself."""
    arguments = ["check", "--only", "openai", "-o", "json"]
    command, environment = operator_env.command([sys.executable, "-m", "connectivity_operator", *arguments])
    with closed(least.document, "DNS"):
        found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    (openai,) = json.loads(found.stdout)["services"]
    assert (openai["reason"], openai["rung"]) == ("ResolverUnavailable", "dns")
    assert "53" in openai["remedy"]


def test_every_printed_privilege_has_its_case(creating: Printed, environment: dict[str, str]) -> None:
    """What is printed and missed by no case would not be least."""
    cases = [*MISSING, *MISSING_TO_CREATE]
    for whole in (printed(environment), creating):
        allowed = [s["Action"] for s in whole.document["iamPolicy"]["Statement"]]
        actions = {name for entry in allowed for name in ([entry] if isinstance(entry, str) else entry)}
        assert actions - {a for case in cases for a in case.actions} <= {"kafka-cluster:WriteData"}  # a test of its own
        permissions = set(whole.document["dataAccessPolicy"][0]["Rules"][0]["Permission"])
        assert permissions == {p for case in cases for p in case.permissions if p in permissions}
        left_out = {start for case in cases for start in case.sql}
        assert {c["service"] for c in whole.document["connections"]} == {*SERVERS, *NOT_FOR_A_CHECK}
        for entry in whole.document["sql"]:
            assert any(entry["statement"].startswith(start) for start in left_out), entry
