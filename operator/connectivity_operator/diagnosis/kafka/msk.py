"""What an MSK broker's name and our settings tell of a cluster: its region, and the ARNs that policies must name.

Names, from https://docs.aws.amazon.com/msk/latest/developerguide/port-info.html::

    b-1.<cluster>.<hash>.c2.kafka.eu-west-2.amazonaws.com            provisioned; b-1-public. from outside
    boot-<id>.c2.kafka-serverless.eu-west-2.amazonaws.com            serverless
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_REGION = re.compile(r"\.kafka(?:-serverless)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
_CLUSTER = re.compile(r"^b-\d+(?:-public)?\.([^.]+)\..*\.kafka\.")


def region_of(host: str) -> str | None:
    """The region that a broker's name says it is in."""
    found = _REGION.search(host)
    return found.group(1) if found else None


def cluster_arn(host: str, facts: Mapping[str, str]) -> str:
    """The ARN of the cluster that ``host`` belongs to, with placeholders for what cannot be known from here.

    ``facts``: ``partition`` and ``account`` of the caller, ``region`` that we sign for.
    """
    named = _CLUSTER.search(host)
    name = named.group(1) if named else "<cluster name>"
    region = region_of(host) or facts.get("region") or "<region>"
    account = facts.get("account", "<account>")
    return f"arn:{facts.get('partition', 'aws')}:kafka:{region}:{account}:cluster/{name}/<cluster uuid>"


def topic_arn(cluster: str, topic: str) -> str:
    """The ARN of a topic of that cluster."""
    return _within(cluster, "topic", topic)


def group_arn(cluster: str, group: str) -> str:
    """The ARN of a consumer group of that cluster."""
    return _within(cluster, "group", group)


def _within(cluster: str, kind: str, name: str) -> str:
    return f"{cluster.replace(':cluster/', f':{kind}/', 1)}/{name}"
