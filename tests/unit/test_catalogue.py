"""The catalogue is closed, complete and can be put into words."""

from __future__ import annotations

import string

import pytest

from connectivity_operator.diagnosis.catalogue import CATALOGUE, describe
from connectivity_operator.diagnosis.catalogue.entry import Entry
from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.reasons import Reason, Rung, Service

PIPELINE_ONLY = {
    Reason.UNDECODABLE, Reason.ROW_REJECTED,
    Reason.NOT_ALLOWED, Reason.OFFSETS_OUT_OF_RANGE, Reason.OFFSETS_EXPIRED,
}  # fmt: skip
"""Reasons of messages and resources: never the verdict of a ladder."""

EVIDENCE = {
    "account", "address", "audience", "broker", "cluster_arn", "codec", "collection", "collection_arn", "database",
    "dbuser_arn", "detail", "dimensions", "endpoint_region", "expected_dimensions", "expires", "group", "group_arn",
    "host", "index", "issuer", "issuer_host", "limit", "model", "namespace", "partition", "path", "permission", "port",
    "principal", "region", "role_arn", "service", "service_account", "sqlstate", "status", "subject", "topic",
    "topic_arn", "user", "variable",
}  # fmt: skip
ENTRIES = [pytest.param(service, entry, id=f"{service}-{reason}") for (service, reason), entry in CATALOGUE.items()]


def test_every_reason_of_a_ladder_has_an_entry() -> None:
    """A code without words would reach a person as a bare code."""
    assert {reason for _, reason in CATALOGUE} == set(Reason) - PIPELINE_ONLY


@pytest.mark.parametrize(("service", "entry"), ENTRIES)
def test_templates_use_known_evidence_only(service: Service, entry: Entry) -> None:
    """A misspelt name in a template would show as a placeholder for ever."""
    used = {name for text in (entry.message, entry.remedy) for _, name, _, _ in string.Formatter().parse(text) if name}
    assert used <= EVIDENCE


@pytest.mark.parametrize(("service", "entry"), ENTRIES)
def test_every_entry_can_be_put_into_words_without_evidence(service: Service, entry: Entry) -> None:
    """What is not known from here is a placeholder, never an error; messages fit the schema."""
    told = describe(service, Failure(entry.reason, entry.rung), "https://runbooks.example")
    assert "{" not in told.message
    assert 0 < len(told.message) <= 512
    assert told.runbook is not None
    assert told.runbook.endswith(f"-{entry.reason.lower()}")


def test_remedies_name_principal_action_and_resource() -> None:
    """A denied right is told so that the statement can be pasted."""
    evidence = {
        "principal": "arn:aws:iam::111122223333:role/connectivity-test",
        "topic": "orders",
        "topic_arn": "arn:aws:kafka:eu-west-2:111122223333:topic/demo/uuid/orders",
    }
    told = describe(Service.KAFKA, Failure(Reason.READ_DATA_DENIED, Rung.OPERATION, evidence))
    assert told.remedy == (
        "Allow kafka-cluster:ReadData on arn:aws:kafka:eu-west-2:111122223333:topic/demo/uuid/orders "
        "for arn:aws:iam::111122223333:role/connectivity-test."
    )
    assert told.runbook is None


def test_a_ladder_stopped_at_identity_carries_identitys_words() -> None:
    """Kafka does not invent a reason of its own when the pod has no credentials."""
    told = describe(Service.KAFKA, Failure(Reason.NO_CREDENTIALS, Rung.IDENTITY), "https://r.example")
    assert told.runbook == "https://r.example#identity-nocredentials"
