"""What an OpenAI-compatible API means when it refuses."""

from __future__ import annotations

import json

import pytest

from connectivity_operator.adapters.embeddings.refusals import refusal
from connectivity_operator.adapters.http_answer import Answer
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason

MODEL = "text-embedding-3-small"


def refused(status: int, body: object = None, *, html: bool = False, **headers: str) -> DependencyError:
    content = b"<html></html>" if html else json.dumps(body).encode()
    return refusal(Answer.of(status, headers, content), model=MODEL, dimensions=None)


def error(message: str = "", *, code: str | None = None, param: str | None = None, kind: str = "") -> object:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


SCOPES = "You have insufficient permissions for this operation. Missing scopes: model.request. Check that you …"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, error("Incorrect API key provided: sk-…", code="invalid_api_key"), Reason.API_KEY_INVALID),
        (401, error("You didn't provide an API key."), Reason.API_KEY_INVALID),
        (401, error(SCOPES), Reason.API_KEY_RESTRICTED),
        (403, error(SCOPES), Reason.API_KEY_RESTRICTED),
        (401, error("Your IP is not authorized", code="ip_not_authorized"), Reason.IP_NOT_ALLOWED),
        (401, error("…", code="mismatched_organization"), Reason.ORGANIZATION_MISMATCH),
        (401, error("…", code="mismatched_project"), Reason.ORGANIZATION_MISMATCH),
        (403, {"message": "Forbidden"}, Reason.UNEXPECTED_ANSWER),
        (403, {"status": 403, "error": {"reason": "403 Forbidden", "type": "Forbidden"}}, Reason.UNEXPECTED_ANSWER),
        (403, error("…", code="unsupported_country_region_territory"), Reason.REGION_NOT_SUPPORTED),
        (403, error("Project x does not have access to model y", code="model_not_found"), Reason.MODEL_ACCESS_DENIED),
        (403, error("You are not allowed to generate embeddings from this model"), Reason.MODEL_ACCESS_DENIED),
        (404, error(f"The model `{MODEL}` does not exist", code="model_not_found"), Reason.MODEL_NOT_FOUND),
        (
            404,
            {"object": "error", "message": f"The model '{MODEL}' does not exist.", "code": 404},
            Reason.MODEL_NOT_FOUND,
        ),
        (404, error("Invalid URL (POST /embeddings)"), Reason.WRONG_BASE_URL),
        (404, {"detail": "Not Found"}, Reason.WRONG_BASE_URL),
        (405, {"detail": "Method Not Allowed"}, Reason.WRONG_BASE_URL),
        (408, error("timeout"), Reason.REQUEST_TIMEOUT),
        (429, error("quota", code="insufficient_quota", kind="insufficient_quota"), Reason.QUOTA_EXHAUSTED),
        (429, error("billing", code="billing_not_active"), Reason.QUOTA_EXHAUSTED),
        (429, error("slow down", code="rate_limit_exceeded", kind="requests"), Reason.RATE_LIMITED),
        (429, None, Reason.RATE_LIMITED),
        (409, error("lock"), Reason.SERVICE_UNAVAILABLE),
        (500, error("The server had an error"), Reason.SERVICE_UNAVAILABLE),
        (503, None, Reason.SERVICE_UNAVAILABLE),
    ],
)
def test_each_cause_has_its_reason(status: int, body: object, reason: Reason) -> None:
    """Told apart by status, code and, where there is nothing else, text."""
    assert refused(status, body).reason is reason
    assert not isinstance(refused(status, body), ContentRefused)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (301, Reason.WRONG_BASE_URL),
        (401, Reason.UNEXPECTED_ANSWER),
        (403, Reason.UNEXPECTED_ANSWER),
        (404, Reason.WRONG_BASE_URL),
        (502, Reason.SERVICE_UNAVAILABLE),
    ],
)
def test_a_web_page_is_not_the_api(status: int, reason: Reason) -> None:
    """A 403 in HTML is a firewall's, not the key's fault; a gateway's 502 passes by itself."""
    assert refused(status, html=True).reason is reason


@pytest.mark.parametrize(
    "body",
    [
        error("This model's maximum context length is 8192 tokens, however you requested 9001 tokens"),
        error("'$.input' is invalid. Please check the API reference"),
        error("Invalid 'input': array too long.", code="array_above_max_length", param="input"),
        error("Invalid 'input[3]': string too long.", param="input[3]"),
        error("[] is too short - 'input'"),
        error("Requested 300001 tokens, max 300000 tokens per request", code="max_tokens_per_request"),
        error("something new about this text"),
        {"detail": [{"loc": ["body", "input", 0], "msg": "field required"}]},
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_of_the_text_is_the_contents_fault(status: int, body: object) -> None:
    """Also one that blames nothing we send every time: the pipeline holds a known-good text against it."""
    assert isinstance(refused(status, body), ContentRefused)
    assert refused(status, body).reason is Reason.INPUT_REJECTED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (error("This model does not support specifying dimensions."), Reason.DIMENSION_MISMATCH),
        (error("Invalid value for 'dimensions' = 4096. Must be less than …"), Reason.DIMENSION_MISMATCH),
        (error("0 is less than the minimum of 1 - 'dimensions'", param="dimensions"), Reason.DIMENSION_MISMATCH),
        (error("0 is less than the minimum of 1 - 'dimensions'"), Reason.DIMENSION_MISMATCH),
        (error("invalid model ID"), Reason.MODEL_NOT_FOUND),
        (error("no such model", param="model"), Reason.MODEL_NOT_FOUND),
        (error("'base64' is not one of ['float'] - 'encoding_format'"), Reason.UNEXPECTED_ANSWER),
        ({"detail": [{"loc": ["body", "dimensions"], "msg": "too large"}]}, Reason.DIMENSION_MISMATCH),
    ],
)
def test_a_refusal_of_a_parameter_condemns_no_message(body: object, reason: Reason) -> None:
    """What every request has in common would be refused for every message."""
    assert refused(400, body).reason is reason
    assert not isinstance(refused(400, body), ContentRefused)


def test_a_body_that_is_too_large_is_the_contents_fault() -> None:
    """Proxies answer it in HTML."""
    assert isinstance(refused(413, html=True), ContentRefused)


def test_evidence_says_what_was_asked_for_and_never_what_the_text_says() -> None:
    """OpenAI repeats most of a wrong key in its answer."""
    body = error("Incorrect API key provided: sk-abcd1234", code="invalid_api_key")
    answer = Answer.of(401, {}, json.dumps(body).encode())
    evidence = refusal(answer, model=MODEL, dimensions=8, evidence={"host": "api.openai.com"}).evidence
    assert evidence == {
        "host": "api.openai.com",
        "model": MODEL,
        "status": "401",
        "detail": "invalid_api_key",
        "expected_dimensions": "8",
    }


def test_the_wait_that_the_server_asks_for_is_kept() -> None:
    """The pipeline honours it."""
    assert refused(429, None, **{"Retry-After": "3"}).retry_after == 3.0
