"""What an OpenAI-compatible API means when it refuses: status, error code and parameter become a reason.

OpenAI's errors are ``{"error": {"message", "type", "param", "code"}}`` (guide "Error codes"); compatible servers
put the same fields at the top, or validate with FastAPI (``{"detail": [{"loc": [...]}]}``). Texts are looked into
only where nothing else tells two causes apart, and are never passed on: that of a refused key contains the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from connectivity_operator.adapters.http_answer import Answer, retry_after
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason, Service

_QUOTA = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "quota_exceeded",
    "credit_balance_exhausted",
}
_MISMATCHED = {"mismatched_organization": "OPENAI_ORG_ID", "mismatched_project": "OPENAI_PROJECT_ID"}
"""Code -> the variable that the SDK makes a header of, and that names another account than the key's."""
_MODEL_UNKNOWN = {"model_not_found", "invalid_model", "DeploymentNotFound"}
_PARAMETERS = {
    "model": Reason.MODEL_NOT_FOUND,
    "dimensions": Reason.DIMENSION_MISMATCH,
    "encoding_format": Reason.UNEXPECTED_ANSWER,
}
"""What is wrong when a 400 blames one of the parameters that are the same in every request of ours."""

_IN_PARAM = re.compile(r"^[$.]*(\w+)")  # dimensions, input[0], $.input
_IN_MESSAGE = re.compile(r"^'\$\.(\w+)|^Invalid (?:value for )?'(\w+)|- '(\w+)'$")
_SAFE_CODE = re.compile(r"[A-Za-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class _Error:
    """The error object, whatever its wrapping; ``spoken`` is False when the answer was no JSON error at all."""

    spoken: bool = False
    code: str = ""
    type: str = ""
    param: str = ""
    message: str = ""


def refusal(
    answer: Answer, *, model: str, dimensions: int | None, evidence: Mapping[str, str] | None = None
) -> DependencyError:
    """The error to raise for ``answer`` to an embedding request of ``model`` (and ``dimensions``, if asked for).

    `ContentRefused` when it blames the input, or nothing that is the same in every request.
    """
    error = _parse(answer.content)
    evidence = {**(evidence or {}), "model": model, "status": str(answer.status)}
    if dimensions is not None:
        evidence["expected_dimensions"] = str(dimensions)
    if _SAFE_CODE.fullmatch(error.code):
        evidence["detail"] = error.code
    if variable := _MISMATCHED.get(error.code):
        evidence["variable"] = variable
    reason = _reason(answer.status, error, model)
    kind = ContentRefused if reason is Reason.INPUT_REJECTED else DependencyError
    return kind(Service.OPENAI, reason, evidence=evidence, retry_after=retry_after(answer.headers))


def _reason(status: int, error: _Error, model: str) -> Reason:
    match status:
        case 408:
            return Reason.REQUEST_TIMEOUT
        case 429:
            return Reason.QUOTA_EXHAUSTED if {error.code, error.type} & _QUOTA else Reason.RATE_LIMITED
        case 409 | _ if status == 409 or status >= 500:
            return Reason.SERVICE_UNAVAILABLE
        case 404 | 405:
            return Reason.MODEL_NOT_FOUND if _names_model(error, model) else Reason.WRONG_BASE_URL
        case 413:  # a proxy's limit of the body's size as much as the API's
            return Reason.INPUT_REJECTED
        case _ if not error.spoken:
            # 3xx: the URL is another place's. 4xx in HTML: something between us and the API answered.
            return Reason.WRONG_BASE_URL if status < 400 else Reason.UNEXPECTED_ANSWER
        case 401:
            return _unauthorized(error)
        case 403:
            return _forbidden(error)
        case _:
            return _PARAMETERS.get(_blamed(error), Reason.INPUT_REJECTED)


def _unauthorized(error: _Error) -> Reason:
    if error.code == "ip_not_authorized":
        return Reason.IP_NOT_ALLOWED
    if error.code in _MISMATCHED:
        return Reason.ORGANIZATION_MISMATCH
    if "scope" in error.message.lower():  # "You have insufficient permissions for this operation. Missing scopes: …"
        return Reason.API_KEY_RESTRICTED
    return Reason.API_KEY_INVALID


def _forbidden(error: _Error) -> Reason:
    if error.code == "unsupported_country_region_territory":
        return Reason.REGION_NOT_SUPPORTED
    if "scope" in error.message.lower():
        return Reason.API_KEY_RESTRICTED
    if error.code in _MODEL_UNKNOWN or "model" in error.message.lower():
        return Reason.MODEL_ACCESS_DENIED  # also "You are not allowed to generate embeddings from this model"
    # Another API's words: {"message": "Forbidden"} of a gateway, {"error": {"type": "Forbidden"}} of OpenSearch.
    return Reason.API_KEY_RESTRICTED if error.code else Reason.UNEXPECTED_ANSWER


def _names_model(error: _Error, model: str) -> bool:
    """A 404 about the model and not about the path ("Invalid URL (POST /embeddings)")."""
    quoted = re.search(rf"[`'\"]{re.escape(model)}[`'\"]", error.message)
    return error.code in _MODEL_UNKNOWN or error.param == "model" or quoted is not None


def _blamed(error: _Error) -> str:
    """The parameter that a 400 or 422 is about: ``input`` unless it says another one."""
    for source, pattern in ((error.param, _IN_PARAM), (error.message, _IN_MESSAGE)):
        if found := pattern.search(source):
            return next(name for name in found.groups() if name)
    if error.code in _MODEL_UNKNOWN or re.match(r"invalid model|you must provide a model", error.message, re.I):
        return "model"
    if error.message == "This model does not support specifying dimensions.":  # comes without param and code
        return "dimensions"
    return "input"


def _parse(content: bytes) -> _Error:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _Error()
    if not isinstance(body, dict):
        return _Error()
    found = body.get("error", body)
    if isinstance(found, str):
        return _Error(spoken=True, message=found)
    if not isinstance(found, dict):
        return _Error()
    detail = found.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        where = detail[0].get("loc")
        named = [str(part) for part in where if part != "body"] if isinstance(where, list) else []
        return _Error(spoken=True, param=named[0] if named else "")
    texts = {name: str(found.get(name) or "") for name in ("code", "type", "param", "message")}
    return _Error(spoken=any(texts.values()) or isinstance(detail, str), **texts)
