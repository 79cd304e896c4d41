"""The least privileges that the operator needs with the present settings, for certain topics and indices.

Pure: one module a kind of privilege, put together here; `reports.privileges` tells them. What cannot be known
without asking AWS is a ``<placeholder>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectivity_operator.permissions import (
    collection_policies,
    connections,
    grants,
    identity_policy,
    kafka_acls,
    trust_policy,
)
from connectivity_operator.permissions.connections import Connection
from connectivity_operator.permissions.demand import Demand
from connectivity_operator.permissions.grants import Sql
from connectivity_operator.permissions.identity_policy import Statement
from connectivity_operator.permissions.notes import notes
from connectivity_operator.permissions.principal import Principal
from connectivity_operator.settings import Settings

__all__ = ["Connection", "Demand", "Principal", "Privileges", "Sql", "Statement", "privileges"]

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Privileges:
    """Everything to be granted, by whoever owns each part. Documents are as AWS takes them."""

    demand: Demand
    principal: Principal
    statements: tuple[Statement, ...]
    """Of the role's IAM policy; empty when no service is used with IAM."""
    web_identity: Document | None
    pod_identity: Document | None
    """Two variants of the role's trust policy; one of them is needed. None: no role is."""
    data_access: list[Document] | None
    network_policy: list[Document] | None
    """Of the collection; None: it is none, or it is not used with IAM."""
    kafka_acls: tuple[str, ...]
    database: str
    sql: tuple[Sql, ...]
    """To be run in that database."""
    connections: tuple[Connection, ...]
    notes: tuple[str, ...]

    @property
    def identity_policy(self) -> Document | None:
        """The role's IAM policy."""
        return identity_policy.policy(self.statements) if self.statements else None


def privileges(
    settings: Settings, demand: Demand, facts: Mapping[str, str], *, table: str, left_out: tuple[str, ...] = ()
) -> Privileges:
    """Compute them. ``facts``: see `Principal.of`; ``table``: the CREATE TABLE; ``left_out``: notes to begin with."""
    principal = Principal.of(settings, facts)
    statements = identity_policy.statements(settings, demand, principal)
    collection = settings.opensearch_service == "aoss" and settings.opensearch_use_iam_auth
    return Privileges(
        demand=demand,
        principal=principal,
        statements=statements,
        web_identity=trust_policy.web_identity(principal) if statements else None,
        pod_identity=trust_policy.pod_identity(principal) if statements else None,
        data_access=collection_policies.data_access(settings, demand, principal) if collection else None,
        network_policy=collection_policies.network(settings) if collection else None,
        kafka_acls=kafka_acls.commands(settings, demand),
        database=settings.postgres_db or "<database>",
        sql=grants.statements(settings, demand, table),
        connections=connections.connections(settings, principal, iam=bool(statements)),
        notes=(*left_out, *notes(settings, demand, identity_policy.policy(statements))),
    )
