"""What the name of a database's endpoint says, and the ARN that an IAM policy for it must name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"(?:[^.]+\.)+?(?P<label>[a-z0-9-]+)\.(?P<region>[a-z0-9-]+)\.rds\.amazonaws\.com(?:\.cn)?")
# The label before the region: the account's hash for an instance, and with a prefix for the others.
_OTHER_IDS = {"cluster-": "<cluster resource id, cluster-…>", "proxy-": "<proxy id, prx-…>"}

INSTANCE_ID = "<DbiResourceId, db-…>"
"""Placeholder of what `aws rds describe-db-instances` shows as DbiResourceId."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint under RDS's own names: of an instance, an Aurora cluster or an RDS Proxy."""

    region: str
    resource_id: str
    """A placeholder that says what kind of id policies need: no name holds the id itself."""


def parse(host: str) -> Endpoint | None:
    """None for a name that is not RDS's own (an alias, a tunnel, a database elsewhere)."""
    found = _NAME.fullmatch(host.lower().rstrip("."))
    if found is None:
        return None
    ids = (text for start, text in _OTHER_IDS.items() if found["label"].startswith(start))
    return Endpoint(found["region"], next(ids, INSTANCE_ID))


def dbuser_arn(*, partition: str, region: str, account: str, resource_id: str, user: str) -> str:
    """The resource of ``rds-db:connect``."""
    return f"arn:{partition}:rds-db:{region}:{account}:dbuser:{resource_id}/{user}"
