"""The catalogue: what each (service, reason) means, which rung and flip class it has, and the remedy.

One data module a service; this one looks up and puts into words. Texts are templates over evidence; what is not
known from here becomes a readable ``<placeholder>``. Messages hold nothing that changes by itself (no request
ids, times or latencies), remedies can be pasted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectivity_operator.diagnosis.catalogue import identity, kafka, network, openai, opensearch, postgresql
from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.status import clip

__all__ = ["CATALOGUE", "Entry", "Explanation", "Healer", "describe", "kind_of", "lookup"]

CATALOGUE: Mapping[tuple[Service, Reason], Entry] = {
    **{(Service.IDENTITY, e.reason): e for e in identity.ENTRIES},
    **{(s, e.reason): e for s in network.SERVICES for e in network.ENTRIES},
    **{(s, e.reason): e for s in network.HTTPS_SERVICES for e in network.HTTPS_ENTRIES},
    **{(Service.KAFKA, e.reason): e for e in kafka.ENTRIES},
    **{(Service.OPENAI, e.reason): e for e in openai.ENTRIES},
    **{(Service.OPENSEARCH, e.reason): e for e in opensearch.ENTRIES},
    **{(Service.POSTGRESQL, e.reason): e for e in postgresql.ENTRIES},
}
"""Every entry by (service, reason); the service of the shared identity rung is ``identity``."""

SERVICE_NAMES = {
    Service.IDENTITY: "AWS identity",
    Service.KAFKA: "Kafka",
    Service.OPENAI: "OpenAI",
    Service.OPENSEARCH: "OpenSearch",
    Service.POSTGRESQL: "PostgreSQL",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure (or warning) in words."""

    reason: Reason
    rung: Rung
    message: str
    remedy: str
    runbook: str | None


def lookup(service: Service, failure: Failure) -> Entry:
    """The entry of a failure."""
    entry = CATALOGUE.get((_owner(service, failure), failure.reason))
    if entry is None:
        raise LookupError(f"no entry for {service}/{failure.reason} at {failure.rung}")
    return entry


def _owner(service: Service, failure: Failure) -> Service:
    """Whose entry it is: a ladder that stopped at the shared identity rung carries that rung's reason."""
    shared = failure.rung is Rung.IDENTITY and (Service.IDENTITY, failure.reason) in CATALOGUE
    return Service.IDENTITY if shared else service


def kind_of(service: Service, failure: Failure) -> Kind:
    """The flip class of a failure."""
    return lookup(service, failure).kind


def describe(service: Service, failure: Failure, runbooks_url: str | None = None) -> Explanation:
    """A failure in words: message of at most 512 characters, remedy, and a link when the operator has one."""
    entry = lookup(service, failure)
    evidence = _Evidence(failure.evidence, service)
    owner = _owner(service, failure)
    return Explanation(
        reason=failure.reason,
        rung=failure.rung,
        message=clip(entry.message.format_map(evidence)),
        remedy=entry.remedy.format_map(evidence),
        runbook=f"{runbooks_url}#{owner}-{failure.reason.lower()}" if runbooks_url else None,
    )


class _Evidence(dict[str, str]):
    """Evidence for a template; a fact that is not known becomes a placeholder a person can fill."""

    def __init__(self, evidence: Mapping[str, str], service: Service) -> None:
        super().__init__({k: v for k, v in evidence.items() if v})
        self.setdefault("service", SERVICE_NAMES[service])

    def __missing__(self, key: str) -> str:
        return PLACEHOLDERS.get(key, f"<{key.replace('_', ' ')}>")


PLACEHOLDERS = {
    "partition": "aws",
    "audience": "sts.amazonaws.com",
    "principal": "<role ARN of the operator>",
    "role_arn": "<role ARN of the operator>",
    "cluster_arn": "arn:aws:kafka:<region>:<account>:cluster/<cluster name>/<cluster uuid>",
    "collection_arn": "arn:aws:aoss:<region>:<account>:collection/<collection id>",
    "dbuser_arn": "arn:aws:rds-db:<region>:<account>:dbuser:<resource id>/<user>",
}
"""Placeholders that a plain name would not explain."""
