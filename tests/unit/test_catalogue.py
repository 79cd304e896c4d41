"""The catalogue is closed, complete and can be put into words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.catalogue import CATALOGUE, FACTS, Entry, describe
from connectivity_operator.diagnosis.catalogue.evidence import EVIDENCE
from connectivity_operator.diagnosis.catalogue.words import fill, names
from connectivity_operator.diagnosis.ladder import Failure
from connectivity_operator.reasons import Reason, Rung, Service

PIPELINE_ONLY = {
    Reason.UNDECODABLE,
    Reason.NOT_ALLOWED, Reason.OFFSETS_OUT_OF_RANGE, Reason.OFFSETS_EXPIRED,
}  # fmt: skip
"""Reasons of messages and resources: never the verdict of a ladder."""

PROMISED = {
    "kafka openai opensearch postgresql": """NotConfigured InvalidConfiguration NameNotResolved ResolverUnavailable
        ConnectionRefused ConnectionTimeout ConnectionReset NetworkUnreachable TLSNotSpoken CertificateUntrusted
        CertificateNameMismatch CertificateExpired CertificateNotYetValid TLSHandshakeFailed CertificateExpiresSoon
        CAFileUnusable""",
    "identity": """NoCredentials RoleNotConfigured InvalidRoleArn WebIdentityTokenMissing WebIdentityTokenInvalid
        WebIdentityTokenExpired TrustPolicyMismatch OIDCProviderMissing AudienceMismatch IdentityProviderUnreachable
        STSUnreachable PodIdentityUnavailable CredentialsExpired ClockSkew StaticCredentialsInUse NodeRoleInUse
        GlobalSTSEndpoint CredentialRefreshFailing""",
    "identity openai opensearch": "ProxyUnreachable ProxyAuthenticationRequired ProxyRefused UnexpectedAnswer",
    "kafka": """WrongListener ClusterAccessDenied CredentialsTooShort ConnectionRateExceeded BrokerUnreachable
        DescribeTopicDenied TopicNotFound DescribeGroupDenied AlterGroupDenied ReadDataDenied CoordinatorUnavailable
        LeaderUnavailable UnsupportedCompression""",
    "postgresql": """TLSRefused IAMAuthenticationFailed IAMNotGranted LoginNotPermitted HostRejected DatabaseNotFound
        ConnectDenied TooManyConnections DatabaseStarting ReadOnlyDatabase CreateTableDenied TableMismatch InsertDenied
        IdentifiersExhausted StorageFull PasswordInUse""",
    "opensearch": """APIAccessDenied SignatureRejected DataAccessDenied NetworkPolicyDenied CreateIndexDenied
        IndexNotFound IndexClosed IndexReadOnly MappingMismatch DimensionMismatch DocumentRejected Throttled
        ServiceUnavailable IndexAbsent""",
    "openai": """APIKeyMissing APIKeyMalformed APIKeyInvalid ModelAccessDenied ModelNotFound RegionNotSupported
        WrongBaseURL QuotaExhausted RateLimited InputRejected InvalidResponse DimensionMismatch RequestTimeout
        ServiceUnavailable""",
}
"""Codes are part of the API: alerts and scripts name them."""

ENTRIES = [pytest.param(service, entry, id=f"{service}-{reason}") for (service, reason), entry in CATALOGUE.items()]
OPERATOR = Path(catalogue.__file__).parents[2]


@pytest.mark.parametrize("services", PROMISED)
def test_no_code_is_ever_lost_or_renamed(services: str) -> None:
    """What was promised once is in the catalogue of each of its services."""
    known = {(service.value, reason.value) for service, reason in CATALOGUE}
    assert {(s, code) for s in services.split() for code in PROMISED[services].split()} - known == set()


def test_every_reason_of_a_ladder_has_an_entry() -> None:
    """A code without words would reach a person as a bare code."""
    assert {reason for _, reason in CATALOGUE} == set(Reason) - PIPELINE_ONLY


@pytest.mark.parametrize(("service", "entry"), ENTRIES)
def test_templates_use_known_evidence_only(service: Service, entry: Entry) -> None:
    """A misspelt name in a template would show as a placeholder for ever."""
    assert {name for text in entry.templates() for name in names(text)} <= EVIDENCE.keys()
    assert {variant.name for variant in entry.variants} <= EVIDENCE.keys()


def test_all_evidence_is_given_somewhere() -> None:
    """What no rung and no adapter gives would be a placeholder for ever, too."""
    files = [file for file in OPERATOR.rglob("*.py") if "catalogue" not in file.relative_to(OPERATOR).parts]
    source = "\n".join(file.read_text() for file in files)
    brought = {name for facts in FACTS.values() for name in facts}
    given = {name for name in EVIDENCE if re.search(rf'"{name}"|\b{name}=|<{name}>', source)}
    assert EVIDENCE.keys() - given - brought == set()


@pytest.mark.parametrize(("service", "entry"), ENTRIES)
def test_every_entry_can_be_put_into_words_without_evidence(service: Service, entry: Entry) -> None:
    """What is not known from here is a placeholder, never an error; messages fit the schema."""
    told = describe(service, Failure(entry.reason, entry.rung), "https://runbooks.example")
    assert "{" not in told.message
    assert "[[" not in told.message + told.remedy
    assert 0 < len(told.message) <= 512
    assert told.runbook is not None
    assert told.runbook.endswith(f"-{entry.reason.lower()}")


@pytest.mark.parametrize(("service", "entry"), ENTRIES)
def test_messages_are_whole_with_the_longest_evidence(service: Service, entry: Entry) -> None:
    """Nothing is cut off, even of a role with a long path, a long group and the longest host name in use."""
    long = {
        "principal": "arn:aws:iam::111122223333:role/a-department/of-the-company/connectivity-test-production",
        "host": "b-1-public.connectivity.a1b2c3.c2.kafka.eu-central-1.amazonaws.com",
        "detail": "x" * 60,
    }
    for variant in ({}, *({v.name: v.values[0] if v.values else "x" * 40} for v in entry.variants)):
        told = describe(service, Failure(entry.reason, entry.rung, {**long, **variant}))
        assert "…" not in told.message


def test_optional_parts_go_with_what_they_name() -> None:
    """A sentence never ends in an empty bracket."""
    template = "refused[[ (HTTP {status})]][[: {detail}]]."
    assert fill(template, {}) == "refused."
    assert fill(template, {"status": "403"}) == "refused (HTTP 403)."
    assert fill(template, {"status": "403", "detail": "why"}) == "refused (HTTP 403): why."


@pytest.mark.parametrize(
    ("user", "quoted"), [("app", "app"), ("my-app", '"my-app"'), ("App", '"App"'), ('a"b', '"a""b"')]
)
def test_sql_of_remedies_can_be_pasted(user: str, quoted: str) -> None:
    """PostgreSQL takes a name with a dash or capitals only in quotes."""
    failure = Failure(Reason.IAM_NOT_GRANTED, Rung.AUTHENTICATION, {"user": user})
    assert f"GRANT rds_iam TO {quoted};" in describe(Service.POSTGRESQL, failure).remedy


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
        "for arn:aws:iam::111122223333:role/connectivity-test. "
        "All that the operator needs is printed by `connectivity-operator permissions`."
    )
    assert told.runbook is None


@pytest.mark.parametrize("reason", [Reason.API_ACCESS_DENIED, Reason.DATA_ACCESS_DENIED, Reason.CREATE_INDEX_DENIED])
def test_a_domain_is_not_told_about_serverless(reason: Reason) -> None:
    """A domain of the OpenSearch Service has neither data access policies nor actions of aoss."""
    evidence = {"signing_service": "es", "permission": "es:ESHttpPost", "principal": "arn:role", "index": "i",
                "collection_arn": "arn:aws:es:eu-west-2:111122223333:domain/demo/*"}  # fmt: skip
    told = describe(Service.OPENSEARCH, Failure(reason, Rung.AUTHORIZATION, evidence))
    assert "aoss" not in told.message + told.remedy
    assert "data access policy" not in told.message + told.remedy


@pytest.mark.parametrize("service", [Service.KAFKA, Service.POSTGRESQL])
def test_candidates_that_were_excluded_are_not_named(service: Service) -> None:
    """One text of AWS for several causes: what the endpoint's name rules out is no candidate any more."""
    reason = {
        Service.KAFKA: Reason.CLUSTER_ACCESS_DENIED, Service.POSTGRESQL: Reason.IAM_AUTHENTICATION_FAILED,
    }[service]  # fmt: skip
    narrowed = describe(service, Failure(reason, Rung.AUTHENTICATION, {"endpoint_region": "eu-west-2"}))
    wide = describe(service, Failure(reason, Rung.AUTHENTICATION, {"endpoint_region": ""}))
    assert "one of" in wide.message
    assert "one of" not in narrowed.message
    assert "what is left" in narrowed.message


def test_a_ladder_stopped_at_identity_carries_identitys_words() -> None:
    """Kafka does not invent a reason of its own when the pod has no credentials."""
    told = describe(Service.KAFKA, Failure(Reason.NO_CREDENTIALS, Rung.IDENTITY), "https://r.example")
    assert told.runbook == "https://r.example#identity-nocredentials"
