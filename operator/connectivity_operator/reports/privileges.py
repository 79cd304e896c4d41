"""Privileges told: to a person, in sections whose blocks can be pasted, and to a program as JSON.

The JSON's schema is versioned and documented in `docs/permissions.md`.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from connectivity_operator.permissions import Connection, Privileges, collection_policies, identity_policy

SCHEMA_VERSION = 1
WIDTH = 80


def render_json(found: Privileges, version: str) -> str:
    """One JSON document, indented, keys in a fixed order."""
    demand, principal = found.demand, found.principal
    return _json(
        {
            "schemaVersion": SCHEMA_VERSION,
            "version": version,
            "source": demand.source,
            "topics": demand.topics,
            "indices": demand.indices,
            "create": demand.create,
            "send": demand.send,
            "roleArn": principal.role_arn,
            "serviceAccount": f"{principal.namespace}/{principal.service_account}",
            "iamPolicy": found.identity_policy,
            "trustPolicies": {"irsa": found.web_identity, "podIdentity": found.pod_identity},
            "dataAccessPolicy": found.data_access,
            "networkPolicy": found.network_policy,
            "database": found.database,
            "sql": [{"statement": sql.statement, "why": sql.why} for sql in found.sql],
            "kafkaAcls": found.kafka_acls,
            "connections": [_connection(connection) for connection in found.connections],
            "notes": found.notes,
        }
    )


def failed_json(message: str, version: str) -> str:
    """A document for when nothing could be computed (settings, arguments, no cluster)."""
    return _json({"schemaVersion": SCHEMA_VERSION, "version": version, "error": message})


def render_text(found: Privileges) -> str:
    """Sections, numbered, each with a line that says what it is for and for whom. Prose fits 80 columns."""
    lines = list(_head(found))
    for number, section in enumerate(_sections(found), start=1):
        title, *body = section
        lines += ["", f"{number}. {title}", "", *body]
    lines += ["", "Notes", ""]
    for note in found.notes:
        lines += textwrap.wrap(
            note, WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines)


def _head(found: Privileges) -> Iterator[str]:
    demand, principal = found.demand, found.principal
    yield "Least privileges of the operator"
    also = [what for what, wanted in (("create index and table", demand.create), ("send", demand.send)) if wanted]
    facts = {
        "from": demand.source,
        "topics": ", ".join(demand.named_topics),
        "indices": ", ".join(demand.named_indices),
        "also": ", ".join(also),
        "role": principal.role_arn if found.statements else "",
        "account": f"ServiceAccount {principal.namespace}/{principal.service_account}" if found.statements else "",
    }
    for name, value in facts.items():
        if value:
            indent = " " * 10
            yield from textwrap.wrap(
                value,
                WIDTH,
                initial_indent=f"  {name:<8}",
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )


def _sections(found: Privileges) -> Iterator[list[str]]:
    if found.identity_policy:
        actions = {action: None for statement in found.statements for action in statement.actions}
        reasons = _reasons({action: identity_policy.WHY[action] for action in actions})
        yield ["IAM policy of the role: what it may do", *reasons, "", _json(found.identity_policy)]
    if found.web_identity:
        yield [
            "Trust policy of the role, for IRSA: who may have it",
            *_command(
                f"kubectl -n {found.principal.namespace} annotate serviceaccount {found.principal.service_account}",
                f"eks.amazonaws.com/role-arn={found.principal.role_arn}",
            ),
            "",
            _json(found.web_identity),
        ]
    if found.pod_identity:
        yield [
            "Instead of 2, with EKS Pod Identity: trust policy and association",
            *_command(
                "aws eks create-pod-identity-association --cluster-name <cluster>",
                f"--namespace {found.principal.namespace} --service-account {found.principal.service_account}",
                f"--role-arn {found.principal.role_arn}",
            ),
            "",
            _json(found.pod_identity),
        ]
    if found.data_access:
        permissions = collection_policies.permissions(found.demand)
        reasons = _reasons({name: collection_policies.WHY[name] for name in permissions})
        yield ["Data access policy of the collection: its second lock", *reasons, "", _json(found.data_access)]
    if found.network_policy:
        yield [
            "Network policy of the collection: from where it can be reached",
            'or, for a public endpoint, "AllowFromPublic": true without SourceVPCEs',
            "",
            _json(found.network_policy),
        ]
    if found.kafka_acls:
        yield ["Kafka ACLs, if the brokers have any: without IAM nobody logs in", *found.kafka_acls]
    yield [f"SQL, in {found.database}, as its administrator", *_sql(found)]
    yield ["Ports, from the Pods (security groups, network policies, NACLs)", *_ports(found)]


def _sql(found: Privileges) -> Iterator[str]:
    for sql in found.sql:
        yield f"-- {sql.why}"
        yield sql.statement


def _ports(found: Privileges) -> Iterator[str]:
    for connection in found.connections:
        yield f"  {connection.protocol:<7} {connection.port:>5}  {connection.service}: {connection.to}"
    groups = [(c.security_group, c.port) for c in found.connections if c.security_group]
    if groups:
        yield ""
        yield "In each security group that stands before these servers:"
    for group, port in groups:
        yield ""
        yield from _command(
            "aws ec2 authorize-security-group-ingress",
            f'--group-id "{group}"',
            f'--protocol tcp --port {port} --source-group "<security group of the Pods>"',
        )


def _reasons(reasons: Mapping[str, str]) -> list[str]:
    width = max(map(len, reasons))
    return [f"  {name:<{width}}  {why}" for name, why in reasons.items()]


def _command(*parts: str) -> Iterator[str]:
    for number, part in enumerate(parts):
        continued = " \\" if number < len(parts) - 1 else ""
        yield f"{'  ' if number else ''}{part}{continued}"


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "protocol": connection.protocol,
        "port": connection.port,
        "service": connection.service,
        "to": connection.to,
        "securityGroup": connection.security_group,
    }


def _json(value: Any, indent: str = "", lead: int = 0) -> str:
    """Indented JSON in which a list of names stays on one line where it fits. ``lead``: what stands before it there."""
    inner = f"{indent}  "
    match value:
        case dict() if value:
            keys = {key: f"{inner}{json.dumps(key)}: " for key in value}
            items = [start + _json(value[key], inner, len(start)) for key, start in keys.items()]
            return "{\n" + ",\n".join(items) + f"\n{indent}}}"
        case list() | tuple() if value:
            flat = json.dumps(value, ensure_ascii=False)
            if all(isinstance(item, str) for item in value) and lead + len(flat) < WIDTH:
                return flat
            return "[\n" + ",\n".join(inner + _json(item, inner, len(inner)) for item in value) + f"\n{indent}]"
        case _:
            return json.dumps(value, ensure_ascii=False)
