"""The catalogue: what each (service, reason) means, which rung and flip class it has, and the remedy.

One data module a service; this one looks up and puts into words. Texts are templates over evidence (`words`); what is
not known from here becomes a readable ``<placeholder>``. Messages hold nothing that changes by itself (no request
ids, times or latencies), remedies can be pasted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectivity_operator.diagnosis.catalogue import identity, kafka, network, openai, opensearch, postgresql
from connectivity_operator.diagnosis.catalogue.entry import Entry, Healer, Variant
from connectivity_operator.diagnosis.catalogue.words import message_and_remedy
from connectivity_operator.diagnosis.judge import Kind
from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.reasons import Reason, Rung, Service
from connectivity_operator.status import clip

__all__ = [
    "CATALOGUE", "SERVICE_NAMES", "Entry", "Explanation", "Healer", "Variant", "anchor", "describe", "kind_of",
    "lookup", "owner",
]  # fmt: skip

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
    entry = CATALOGUE.get((owner(service, failure.rung, failure.reason), failure.reason))
    if entry is None:
        raise LookupError(f"no entry for {service}/{failure.reason} at {failure.rung}")
    return entry


def owner(service: Service, rung: Rung, reason: Reason) -> Service:
    """Whose entry it is: a ladder that stopped at the shared identity rung carries that rung's reason."""
    shared = rung is Rung.IDENTITY and (Service.IDENTITY, reason) in CATALOGUE
    return Service.IDENTITY if shared else service


def kind_of(service: Service, failure: Failure) -> Kind:
    """The flip class of a failure."""
    return lookup(service, failure).kind


def describe(service: Service, failure: Failure, runbooks_url: str | None = None) -> Explanation:
    """A failure in words: message of at most 512 characters, remedy, and a link when the operator has one."""
    section = anchor(owner(service, failure.rung, failure.reason), failure.reason)
    message, remedy = message_and_remedy(lookup(service, failure), {**FACTS[service], **failure.evidence})
    return Explanation(
        reason=failure.reason,
        rung=failure.rung,
        message=clip(message),
        remedy=remedy,
        runbook=f"{runbooks_url}#{section}" if runbooks_url else None,
    )


def anchor(service: Service, reason: Reason) -> str:
    """The id of an entry in docs/runbooks.md."""
    return f"{service}-{reason.lower()}"


_PLACES = {
    Service.IDENTITY: ("AWS_REGION", "443"),
    Service.KAFKA: ("KAFKA_BOOTSTRAP_SERVERS", "9098"),
    Service.OPENAI: ("OPENAI_BASE_URL", "443"),
    Service.OPENSEARCH: ("OPENSEARCH_ENDPOINT", "443"),
    Service.POSTGRESQL: ("POSTGRES_HOST", "5432"),
}
"""The setting that says where a service is, and the port that it has on AWS."""

FACTS = {
    service: {"service": SERVICE_NAMES[service], "setting": setting, "usual_port": port}
    for service, (setting, port) in _PLACES.items()
}
"""Evidence that a service brings by itself."""
