"""Who needs the privileges: the role, and the ServiceAccount that it is given to, as far as known from here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from connectivity_operator import opensearch_endpoint
from connectivity_operator.diagnosis import rds
from connectivity_operator.diagnosis.kafka import msk
from connectivity_operator.settings import Settings

_ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/\S+")
_CLUSTER = re.compile(r"arn:(?P<partition>aws[a-z-]*):kafka:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):")
_SUBJECT = re.compile(r"system:serviceaccount:(?P<namespace>[^:]+):(?P<service_account>[^:]+)")


@dataclass(frozen=True, slots=True)
class Principal:
    """What is not known is a ``<placeholder>``."""

    partition: str = "aws"
    account: str = "<account>"
    region: str = "<region>"
    role_arn: str = ""
    issuer: str = "<issuer>"
    """As IAM names it: without ``https://``."""
    namespace: str = "<namespace>"
    service_account: str = "<service account>"

    @classmethod
    def of(cls, settings: Settings, facts: Mapping[str, str]) -> Principal:
        """From the settings and what a Pod's environment and tokens say.

        ``facts``: ``role_arn``, ``issuer_host``, ``subject`` (``system:serviceaccount:<namespace>:<name>``).
        """
        role = _ROLE.fullmatch(facts.get("role_arn", ""))
        cluster = _CLUSTER.match(settings.kafka_cluster_arn or "")
        account = role or cluster
        found = cls(
            partition=account["partition"] if account else "aws",
            account=account["account"] if account else "<account>",
            region=settings.aws_region or (cluster["region"] if cluster else None) or _named(settings) or "<region>",
            issuer=facts.get("issuer_host") or "<issuer>",
        )
        arn = role[0] if role else f"arn:{found.partition}:iam::{found.account}:role/<role>"
        subject = _SUBJECT.fullmatch(facts.get("subject", ""))
        return replace(found, role_arn=arn, **(subject.groupdict() if subject else {}))


def _named(settings: Settings) -> str | None:
    """The region that one of the endpoints' names says."""
    for server in settings.kafka_bootstrap_servers:
        if region := msk.region_of(server.rpartition(":")[0]):
            return region
    if settings.postgres_host and (database := rds.parse(settings.postgres_host)):
        return database.region
    return None if (named := opensearch_name(settings)) is None else named.region


def opensearch_name(settings: Settings) -> opensearch_endpoint.EndpointName | None:
    """What the endpoint's name says; None for none, or one that is not AWS's own."""
    return opensearch_endpoint.parse((settings.opensearch_endpoint or "").partition("://")[2].partition(":")[0])
