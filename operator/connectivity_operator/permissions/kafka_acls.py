"""Kafka without IAM: what a broker that has ACLs must allow. Nobody logs in there, so it is for ANONYMOUS."""

from __future__ import annotations

import shlex

from connectivity_operator.permissions.demand import Demand
from connectivity_operator.resource import GROUPS
from connectivity_operator.settings import Settings

PRINCIPAL = "User:ANONYMOUS"


def commands(settings: Settings, demand: Demand) -> tuple[str, ...]:
    """For Kafka's own tool; empty with IAM. Read on a resource implies Describe."""
    if settings.kafka_security_protocol == "SASL_SSL":
        return ()
    server = next(iter(settings.kafka_bootstrap_servers), "<broker>:9092")
    tool = f"kafka-acls.sh --bootstrap-server {server} --add --allow-principal {PRINCIPAL}"
    operations = ("Read", "Write") if demand.send else ("Read",)
    return (
        *(
            f"{tool} --operation {operation} {_resource('topic', topic)}"
            for operation in operations
            for topic in demand.named_topics
        ),
        f"{tool} --operation Read {_resource('group', GROUPS)}",
    )


def _resource(kind: str, name: str) -> str:
    """A literal name, or a prefix where only the end may be anything (Kafka has no other patterns)."""
    start = name.removesuffix("*")
    if start and start != name and "*" not in start:
        return f"--{kind} {shlex.quote(start)} --resource-pattern-type prefixed"
    return f"--{kind} {shlex.quote(name)}"
