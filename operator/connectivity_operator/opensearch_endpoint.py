"""What an OpenSearch endpoint's name says: which service it is, in which region, which collection or domain."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMES = (
    # x1y2….eu-west-2.aoss.amazonaws.com, search-demo-….eu-west-2.es.amazonaws.com (.cn: China)
    re.compile(r"(?P<label>[^.]+)\.(?P<region>[a-z0-9-]+)\.(?P<service>aoss|es)(-fips)?\.amazonaws\.com(\.cn)?"),
    # the dual-stack names: x1y2….aoss.eu-west-2.on.aws, search-demo-….aos.eu-west-2.on.aws
    re.compile(r"(?P<label>[^.]+)\.(?P<service>aoss|aos)\.(?P<region>[a-z0-9-]+)\.on\.aws"),
)


@dataclass(frozen=True, slots=True)
class EndpointName:
    """An endpoint under AWS's own names. ``service`` is the one to sign for: ``aoss`` or ``es``."""

    service: str
    region: str
    label: str
    """The first label: a collection's id, or ``search-<domain>-<hash>`` / ``vpc-<domain>-<hash>``."""

    def resource_arn(self, partition: str, account: str) -> str:
        """The collection's or domain's ARN, as IAM policies name it."""
        if self.service == "aoss":
            return f"arn:{partition}:aoss:{self.region}:{account}:collection/{self.label}"
        domain = re.fullmatch(r"(?:search|vpc)-(.+)-[a-z0-9]+", self.label)
        name = domain.group(1) if domain else "<domain>"
        return f"arn:{partition}:es:{self.region}:{account}:domain/{name}/*"


def parse(host: str) -> EndpointName | None:
    """None for a name that is not AWS's own (an alias, a tunnel, an OpenSearch elsewhere)."""
    for pattern in _NAMES:
        if found := pattern.fullmatch(host.lower().rstrip(".")):
            service = "aoss" if found["service"] == "aoss" else "es"
            return EndpointName(service, found["region"], found["label"])
    return None
