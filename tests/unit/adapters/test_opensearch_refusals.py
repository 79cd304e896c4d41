"""What OpenSearch means when it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectivity_operator.adapters.http_answer import Answer
from connectivity_operator.adapters.opensearch.refusals import Asked, item_failure, refusal
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason, Rung

FRONT = {"status": 403, "error": {"reason": "403 Forbidden", "type": "Forbidden"}}
"""Serverless's first lock, whichever key is wrong."""

POLICY = "User does not have permissions for the requested resource"
DIMENSION = "Vector dimension mismatch. Expected: 4, Given: 3"


def typed(kind: str, reason: str = "", caused_by: str = "") -> dict[str, Any]:
    cause = {"caused_by": {"type": "illegal_argument_exception", "reason": caused_by}} if caused_by else {}
    return {"error": {"root_cause": [], "type": kind, "reason": reason, **cause}, "status": 0}


def refused(
    status: int,
    body: object = None,
    asked: Asked = Asked.DESCRIBE,
    *,
    service: str = "aoss",
    signature: str | None = None,
    **headers: str,
) -> DependencyError:
    content = b"" if body is None else json.dumps(body).encode()
    answer = Answer.of(status, headers, content)
    return refusal(answer, asked, service=service, evidence={"index": "i"}, signature=signature)


@pytest.mark.parametrize(
    ("status", "body", "asked", "reason"),
    [
        (403, FRONT, Asked.ACCESS, Reason.API_ACCESS_DENIED),
        (403, None, Asked.ACCESS, Reason.API_ACCESS_DENIED),
        (403, typed("authorization_exception", POLICY), Asked.DESCRIBE, Reason.DATA_ACCESS_DENIED),
        (403, typed("authorization_exception", POLICY), Asked.WRITE, Reason.DATA_ACCESS_DENIED),
        (403, typed("authorization_exception", POLICY), Asked.CREATE, Reason.CREATE_INDEX_DENIED),
        (403, typed("security_exception", "no permissions for [indices:x]"), Asked.WRITE, Reason.DATA_ACCESS_DENIED),
        (403, typed("cluster_block_exception", "blocked"), Asked.WRITE, Reason.INDEX_READ_ONLY),
        (429, typed("cluster_block_exception", "flood-stage"), Asked.WRITE, Reason.INDEX_READ_ONLY),
        (503, typed("cluster_block_exception", "no manager"), Asked.WRITE, Reason.SERVICE_UNAVAILABLE),
        (403, typed("index_create_block_exception", "blocked"), Asked.CREATE, Reason.CREATE_INDEX_DENIED),
        (404, typed("index_not_found_exception", "no such index [i]"), Asked.DELETE, Reason.INDEX_NOT_FOUND),
        (404, None, Asked.DESCRIBE, Reason.UNEXPECTED_ANSWER),
        (301, None, Asked.DESCRIBE, Reason.UNEXPECTED_ANSWER),
        (200, None, Asked.ACCESS, Reason.UNEXPECTED_ANSWER),
        (400, typed("index_closed_exception", "closed"), Asked.DELETE, Reason.INDEX_CLOSED),
        (400, typed("invalid_index_name_exception", "…"), Asked.CREATE, Reason.INVALID_CONFIGURATION),
        (
            400,
            typed("mapper_parsing_exception", "Dimension value cannot be …"),
            Asked.CREATE,
            Reason.DIMENSION_MISMATCH,
        ),
        (400, typed("mapper_parsing_exception", "engine"), Asked.CREATE, Reason.MAPPING_MISMATCH),
        (400, typed("mapper_parsing_exception", "failed to parse", DIMENSION), Asked.WRITE, Reason.DIMENSION_MISMATCH),
        (400, typed("parse_exception"), Asked.WRITE, Reason.DOCUMENT_REJECTED),
        (413, {"Message": "Request size exceeded"}, Asked.WRITE, Reason.DOCUMENT_REJECTED),
        (402, typed("service_quota_exceeded_exception", "maximum OCU"), Asked.WRITE, Reason.THROTTLED),
        (429, None, Asked.WRITE, Reason.THROTTLED),
        (408, None, Asked.WRITE, Reason.REQUEST_TIMEOUT),
        (502, None, Asked.WRITE, Reason.SERVICE_UNAVAILABLE),
        (503, None, Asked.WRITE, Reason.SERVICE_UNAVAILABLE),
    ],
)
def test_each_cause_has_its_reason(status: int, body: object, asked: Asked, reason: Reason) -> None:
    """The error's type says more than the status, and what was asked more than both."""
    error = refused(status, body, asked)
    assert error.reason is reason
    assert isinstance(error, ContentRefused) == (reason is Reason.DOCUMENT_REJECTED)


def test_a_fault_of_our_signature_is_told_instead_of_a_missing_permission() -> None:
    """Both give the same answer; what can be seen of the signature decides, and is the detail."""
    error = refused(403, FRONT, Asked.ACCESS, signature="it is made for region x")
    assert error.reason is Reason.SIGNATURE_REJECTED
    assert error.evidence["detail"] == "it is made for region x"
    assert refused(403, typed("authorization_exception", POLICY), signature="x").reason is Reason.DATA_ACCESS_DENIED


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("The request signature we calculated does not match the signature you provided.", Reason.SIGNATURE_REJECTED),
        ("Credential should be scoped to a valid region", Reason.SIGNATURE_REJECTED),
        ("Signature expired: 20261123T160000Z is now earlier than …", Reason.SIGNATURE_REJECTED),
        ("The security token included in the request is invalid.", Reason.SIGNATURE_REJECTED),
        ("The security token included in the request is expired", Reason.CREDENTIALS_EXPIRED),
        ("User: arn:aws:sts::… is not authorized to perform: es:ESHttpGet", Reason.API_ACCESS_DENIED),
    ],
)
def test_a_domain_says_which_key_is_wrong(text: str, reason: Reason) -> None:
    """Domains answer in words where Serverless does not."""
    assert refused(403, {"message": text}, Asked.ACCESS, service="es").reason is reason


def test_a_web_filters_page_is_no_lock_of_opensearch() -> None:
    """A 403 in HTML proves nothing of policies; Serverless's own front leaves its hint."""
    page = b"<html><body>Blocked by your company.</body></html>"
    reasons = [
        refusal(Answer.of(403, headers, page), Asked.ACCESS, service="aoss", evidence={}).reason
        for headers in ({}, {"X-Aoss-Response-Hint": "X01:gw-helper-deny"})
    ]
    assert reasons == [Reason.UNEXPECTED_ANSWER, Reason.API_ACCESS_DENIED]


def test_expired_credentials_are_the_identitys_failure() -> None:
    """They stand on the identity rung, where the catalogue has their words."""
    assert refused(403, {"message": "The security token included in the request is expired"}).rung is Rung.IDENTITY


@pytest.mark.parametrize(
    ("service", "headers", "reason"),
    [
        ("aoss", {"X-Aoss-Response-Hint": "X01:network-policy-deny"}, Reason.NETWORK_POLICY_DENIED),
        ("aoss", {}, Reason.NETWORK_POLICY_DENIED),
        ("es", {}, Reason.API_ACCESS_DENIED),
    ],
)
def test_401_is_the_network_policy_of_serverless(service: str, headers: dict[str, str], reason: Reason) -> None:
    """AWS: "A 401 response means the collection's network policy doesn't allow the source of the request"."""
    assert refused(401, None, Asked.ACCESS, service=service, **headers).reason is reason


@pytest.mark.parametrize(
    ("asked", "service", "permission"),
    [
        (Asked.DESCRIBE, "aoss", "aoss:DescribeIndex"),
        (Asked.DELETE, "aoss", "aoss:WriteDocument"),
        (Asked.DELETE, "es", "es:ESHttpDelete"),
    ],
)
def test_the_missing_permission_is_named(asked: Asked, service: str, permission: str) -> None:
    """It is what the remedy tells to add."""
    error = refused(403, typed("authorization_exception", POLICY), asked, service=service)
    assert error.evidence["permission"] == permission
    assert error.evidence["index"] == "i"


def test_both_lengths_of_a_dimension_mismatch_are_evidence() -> None:
    """Only the server's text has them."""
    error = refused(400, typed("mapper_parsing_exception", "failed", DIMENSION), Asked.WRITE)
    assert (error.evidence["expected_dimensions"], error.evidence["dimensions"]) == ("4", "3")


@pytest.mark.parametrize(
    ("blocks", "cause"),
    [
        ("[FORBIDDEN/8/index write (api)];", "write"),
        ("[FORBIDDEN/5/index read-only (api)];", "read_only"),
        ("[TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, …];", "read_only_allow_delete"),
        ("[FORBIDDEN/12/index read-only / allow delete (api)];", "read_only_allow_delete"),
        ("[FORBIDDEN/6/cluster read-only (api)];", "cluster"),
        ("[FORBIDDEN/6/cluster read-only (api)];[FORBIDDEN/8/index write (api)];", "write"),
        ("", "cluster"),
    ],
)
def test_the_block_that_takes_no_writes_is_named(blocks: str, cause: str) -> None:
    """The remedy is the setting to lift."""
    error = refused(403, typed("cluster_block_exception", f"index [i] blocked by: {blocks}"), Asked.WRITE)
    assert error.evidence["cause"] == cause


# ── items of a bulk request ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("status", "kind", "reason", "transient"),
    [
        (400, "mapper_parsing_exception", Reason.DOCUMENT_REJECTED, False),
        (400, "illegal_argument_exception", Reason.DOCUMENT_REJECTED, False),
        (402, "service_quota_exceeded_exception", Reason.THROTTLED, True),
        (429, "rejected_execution_exception", Reason.THROTTLED, True),
        (503, "cluster_block_exception", Reason.SERVICE_UNAVAILABLE, True),
        (503, "unavailable_shards_exception", Reason.SERVICE_UNAVAILABLE, True),
        (500, "exception", Reason.SERVICE_UNAVAILABLE, True),
    ],
)
def test_one_documents_refusal_is_its_own(status: int, kind: str, reason: Reason, transient: bool) -> None:
    """What passes by itself is worth sending again; what is wrong with the document is not."""
    failure = item_failure({"status": status, "error": {"type": kind, "reason": ""}}, evidence={})
    assert (failure.reason, failure.transient) == (reason, transient)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (404, {"type": "index_not_found_exception", "reason": "no such index [i]"}, Reason.INDEX_NOT_FOUND),
        (400, {"type": "index_closed_exception", "reason": "closed"}, Reason.INDEX_CLOSED),
        (403, {"type": "security_exception", "reason": "no permissions"}, Reason.DATA_ACCESS_DENIED),
        (403, {"type": "cluster_block_exception", "reason": "blocked by: []"}, Reason.INDEX_READ_ONLY),
        (400, {"type": "mapper_parsing_exception", "caused_by": {"reason": DIMENSION}}, Reason.DIMENSION_MISMATCH),
    ],
)
def test_what_every_document_would_meet_is_the_whole_requests_failure(
    status: int, error: dict[str, Any], reason: Reason
) -> None:
    """No message may be condemned for the state of the index."""
    with pytest.raises(DependencyError) as caught:
        item_failure({"status": status, "error": error}, evidence={})
    assert caught.value.reason is reason
