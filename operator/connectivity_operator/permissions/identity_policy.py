"""What the role itself must be allowed: its IAM policy, one statement for each kind of resource.

Which Kafka request needs which action: https://docs.aws.amazon.com/msk/latest/developerguide/kafka-actions.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from connectivity_operator.diagnosis import rds
from connectivity_operator.diagnosis.kafka import msk
from connectivity_operator.permissions.demand import Demand
from connectivity_operator.permissions.principal import Principal, opensearch_name
from connectivity_operator.resource import GROUPS
from connectivity_operator.settings import Settings

WHY = {
    "kafka-cluster:Connect": "log in to the brokers",
    "kafka-cluster:DescribeTopic": "find partitions, their leaders and offsets",
    "kafka-cluster:ReadData": "fetch messages",
    "kafka-cluster:DescribeGroup": "find the group's coordinator and offsets",
    "kafka-cluster:AlterGroup": "join the group, commit offsets",
    "kafka-cluster:WriteData": "send test messages (`send` alone)",
    "rds-db:connect": "log in to the database with a token",
    "aoss:APIAccessAll": "reach the collection's API at all",
    "es:ESHttpGet": "ask for the version, look at the index",
    "es:ESHttpPost": "write documents (bulk)",
    "es:ESHttpDelete": "prove the right to write, leaving nothing",
    "es:ESHttpPut": "create an absent index",
}
"""Each action in a few words."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One Allow."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        return {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": _single(self.actions),
            "Resource": _single(self.resources),
        }


def statements(settings: Settings, demand: Demand, principal: Principal) -> tuple[Statement, ...]:
    """Of the services that are used with IAM; empty when none is."""
    return (
        *(_kafka(settings, demand, principal) if settings.kafka_security_protocol == "SASL_SSL" else ()),
        *(_postgresql(settings, principal) if settings.postgresql_use_iam_auth else ()),
        *(_opensearch(settings, demand, principal) if settings.opensearch_use_iam_auth else ()),
    )


def policy(allowed: tuple[Statement, ...]) -> dict[str, Any]:
    """The policy document."""
    return {"Version": "2012-10-17", "Statement": [statement.document() for statement in allowed]}


def _kafka(settings: Settings, demand: Demand, principal: Principal) -> list[Statement]:
    host = next(iter(settings.kafka_bootstrap_servers), "").rpartition(":")[0]
    facts = {"partition": principal.partition, "account": principal.account, "region": principal.region}
    cluster = settings.kafka_cluster_arn or msk.cluster_arn(host, facts)
    topics = tuple(msk.topic_arn(cluster, topic) for topic in demand.named_topics)
    found = [
        Statement("KafkaConnect", ("kafka-cluster:Connect",), (cluster,)),
        Statement("KafkaReadTopics", ("kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"), topics),
        Statement(
            "KafkaJoinGroups",
            ("kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"),
            (msk.group_arn(cluster, GROUPS),),
        ),
    ]
    if demand.send:
        found.append(Statement("KafkaSendTestMessages", ("kafka-cluster:WriteData",), topics))
    return found


def _postgresql(settings: Settings, principal: Principal) -> list[Statement]:
    endpoint = rds.parse(settings.postgres_host or "")
    arn = rds.dbuser_arn(
        partition=principal.partition,
        region=endpoint.region if endpoint else principal.region,
        account=principal.account,
        resource_id=settings.postgres_resource_id or (endpoint.resource_id if endpoint else "<resource id>"),
        user=settings.postgres_user or "<database user>",
    )
    return [Statement("DatabaseConnect", ("rds-db:connect",), (arn,))]


def _opensearch(settings: Settings, demand: Demand, principal: Principal) -> list[Statement]:
    named = opensearch_name(settings)
    if settings.opensearch_service == "aoss":
        arn = f"arn:{principal.partition}:aoss:{principal.region}:{principal.account}:collection/<collection id>"
        if named and named.service == "aoss":
            arn = named.resource_arn(principal.partition, principal.account)
        return [Statement("OpenSearchUseCollection", ("aoss:APIAccessAll",), (arn,))]
    domain = f"arn:{principal.partition}:es:{principal.region}:{principal.account}:domain/<domain>"
    if named and named.service == "es":
        domain = named.resource_arn(principal.partition, principal.account).removesuffix("/*")
    indices = demand.named_indices
    use = ("es:ESHttpGet", "es:ESHttpPost", "es:ESHttpDelete")
    found = [
        Statement("OpenSearchAskVersion", ("es:ESHttpGet",), (f"{domain}/",)),
        Statement("OpenSearchUseIndices", use, tuple(f"{domain}/{index}/*" for index in indices)),
    ]
    if demand.create:
        resources = tuple(f"{domain}/{index}" for index in indices)
        found.append(Statement("OpenSearchCreateIndices", ("es:ESHttpPut",), resources))
    return found


def _single(items: tuple[str, ...]) -> str | list[str]:
    """IAM takes one item without its list."""
    return items[0] if len(items) == 1 else list(items)
