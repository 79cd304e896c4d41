"""What OpenSearch means when it refuses: two locks (IAM and data access policy), the network policy, the index.

Serverless answers 403 to everything behind its first lock, with one text for a missing ``aoss:APIAccessAll`` and
for a signature that it does not accept; the second lock has an error type of its own. Its network policy answers 401
(AWS's "Troubleshooting Amazon OpenSearch Serverless"). What the two causes of the first lock have in common is
narrowed by `signature.problem`, a look at our own signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from connectivity_operator.adapters.http_answer import Answer, retry_after
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.ports import DependencyFailure
from connectivity_operator.reasons import Reason, Rung, Service


class Asked(Enum):
    """A request of ours: (permission of a data access policy on Serverless, IAM action on a domain)."""

    ACCESS = ("aoss:APIAccessAll", "es:ESHttpGet")
    DESCRIBE = ("aoss:DescribeIndex", "es:ESHttpGet")
    CREATE = ("aoss:CreateIndex", "es:ESHttpPut")
    WRITE = ("aoss:WriteDocument", "es:ESHttpPost")
    DELETE = ("aoss:WriteDocument", "es:ESHttpDelete")

    def permission(self, service: str) -> str:
        return self.value[service == "es"]


_DATA_ACCESS = {"authorization_exception", "security_exception"}
_DENIED_BY_POLICY = re.compile(r"does not have permissions for the requested resource|^no permissions for \[")
_SIGNATURE = re.compile(
    r"signature we calculated does not match|[Cc]redential should be scoped|[Ss]ignature (expired|not yet current)"
    r"|security token included in the request is invalid|[Ii]nvalid ?[Ss]ignature|Authorization header"
)
_EXPIRED = re.compile(r"security token included in the request is expired|ExpiredToken")
_BLOCK = re.compile(r"\b[A-Z_]+/(\d+)/")
"""A block in the text of an exception: "blocked by: [FORBIDDEN/8/index write (api)];" (`ClusterBlocks`)."""
_BLOCKS = {"5": "read_only", "8": "write", "12": "read_only_allow_delete"}
"""Ids of the blocks of one index -> its setting index.blocks.<…> (`IndexMetadata`); other ids are the cluster's."""
_DIMENSIONS = re.compile(r"dimension mismatch\. Expected: (\d+), Given: (\d+)")
_SAFE_TYPE = re.compile(r"[a-z_]{1,64}")

_BY_TYPE = {
    "index_not_found_exception": Reason.INDEX_NOT_FOUND,
    "index_closed_exception": Reason.INDEX_CLOSED,
    "invalid_index_name_exception": Reason.INVALID_CONFIGURATION,
}
_BLOCKED = {"cluster_block_exception", "index_create_block_exception"}
"""An index or the cluster takes no writes, whoever asks: neither lock's doing."""
_OF_THE_INDEX = {
    Reason.INDEX_NOT_FOUND,
    Reason.INDEX_CLOSED,
    Reason.INDEX_READ_ONLY,
    Reason.DATA_ACCESS_DENIED,
    Reason.DIMENSION_MISMATCH,
    Reason.INVALID_CONFIGURATION,
}
"""Reasons that one document's refusal shares with every other document of the same request."""


@dataclass(frozen=True, slots=True)
class _Error:
    type: str = ""
    text: str = ""
    spoken: bool = False
    """Whether the answer was JSON with an error in it."""


def refusal(
    answer: Answer, asked: Asked, *, service: str, evidence: Mapping[str, str], signature: str | None = None
) -> DependencyError:
    """The error to raise for ``answer``.

    ``service``: ``aoss`` or ``es``. ``evidence``: what the caller knows. ``signature``: what is wrong with the
    signature of the request, None when nothing was found.
    """
    error = _parse(answer.content)
    reason, rung = _reason(answer, error, asked, service, signature), None
    facts = {**evidence, "status": str(answer.status), **_dimensions(error), **_block(error)}
    if reason in (Reason.DATA_ACCESS_DENIED, Reason.CREATE_INDEX_DENIED, Reason.API_ACCESS_DENIED):
        facts["permission"] = asked.permission(service)
    if reason is Reason.SIGNATURE_REJECTED:
        facts["detail"] = signature or "the service says that it is not valid for this request"
    elif _SAFE_TYPE.fullmatch(error.type):
        facts["detail"] = error.type
    if reason is Reason.INVALID_CONFIGURATION:
        facts["variable"] = "spec.index"
    if reason is Reason.CREDENTIALS_EXPIRED:
        rung = Rung.IDENTITY
    kind = ContentRefused if reason is Reason.DOCUMENT_REJECTED else DependencyError
    return kind(Service.OPENSEARCH, reason, evidence=facts, rung=rung, retry_after=retry_after(answer.headers))


def item_failure(item: Mapping[str, Any], *, evidence: Mapping[str, str]) -> DependencyFailure:
    """Why one document of an accepted bulk request was refused. Raises for what is the whole index's fault."""
    status = int(item.get("status", 0))
    error = _error(item.get("error"))
    facts = {**evidence, "status": str(status), **_dimensions(error), **_block(error)}
    if _SAFE_TYPE.fullmatch(error.type):
        facts["detail"] = error.type
    reason = _item_reason(status, error)
    if reason in _OF_THE_INDEX:
        if reason is Reason.DATA_ACCESS_DENIED:
            facts["permission"] = Asked.WRITE.permission("aoss" if error.type == "authorization_exception" else "es")
        raise DependencyError(Service.OPENSEARCH, reason, evidence=facts)
    return DependencyFailure(reason, reason is not Reason.DOCUMENT_REJECTED, facts)


def _item_reason(status: int, error: _Error) -> Reason:
    if error.type in _BY_TYPE:
        return _BY_TYPE[error.type]
    if error.type in _BLOCKED:
        return _blocked(status, Asked.WRITE)
    if _DIMENSIONS.search(error.text):
        return Reason.DIMENSION_MISMATCH
    if error.type in _DATA_ACCESS:
        return Reason.DATA_ACCESS_DENIED
    if status in (402, 429):  # 402: "maximum OCU capacity reached", Serverless's own way to say 429
        return Reason.THROTTLED
    return Reason.SERVICE_UNAVAILABLE if status >= 500 else Reason.DOCUMENT_REJECTED


def _reason(answer: Answer, error: _Error, asked: Asked, service: str, signature: str | None) -> Reason:
    status = answer.status
    if error.type in _BY_TYPE:
        return _BY_TYPE[error.type]
    if error.type in _BLOCKED:
        return _blocked(status, asked)
    match status:
        case 401:
            return _unauthorized(answer, service)
        case 403:
            return _forbidden(answer, error, asked, signature)
        case 408:
            return Reason.REQUEST_TIMEOUT
        case 413 if asked is Asked.WRITE:
            return Reason.DOCUMENT_REJECTED
        case 402 | 429:
            return Reason.THROTTLED
        case _ if status >= 500:
            return Reason.SERVICE_UNAVAILABLE
        case 400 if error.spoken:
            return _malformed(error, asked)
        case _:  # 404 of the API itself, redirects, web pages: not OpenSearch, or not its root
            return Reason.UNEXPECTED_ANSWER


def _blocked(status: int, asked: Asked) -> Reason:
    """A block of 5xx is a cluster that has no manager or is not complete yet; any other one somebody has set."""
    if status >= 500:
        return Reason.SERVICE_UNAVAILABLE
    return Reason.CREATE_INDEX_DENIED if asked is Asked.CREATE else Reason.INDEX_READ_ONLY


def _unauthorized(answer: Answer, service: str) -> Reason:
    hint = answer.headers.get("x-aoss-response-hint", "")
    if "network-policy" in hint or (service == "aoss" and not hint):
        return Reason.NETWORK_POLICY_DENIED
    return Reason.API_ACCESS_DENIED


def _forbidden(answer: Answer, error: _Error, asked: Asked, signature: str | None) -> Reason:
    if answer.content.lstrip().startswith(b"<") and "x-aoss-response-hint" not in answer.headers:
        return Reason.UNEXPECTED_ANSWER  # a web filter's page
    if error.type in _DATA_ACCESS or _DENIED_BY_POLICY.search(error.text):
        return Reason.CREATE_INDEX_DENIED if asked is Asked.CREATE else Reason.DATA_ACCESS_DENIED
    if _EXPIRED.search(error.text):
        return Reason.CREDENTIALS_EXPIRED
    if signature or _SIGNATURE.search(error.text):
        return Reason.SIGNATURE_REJECTED
    return Reason.API_ACCESS_DENIED


def _malformed(error: _Error, asked: Asked) -> Reason:
    if _DIMENSIONS.search(error.text) or (asked is Asked.CREATE and "dimension" in error.text.lower()):
        return Reason.DIMENSION_MISMATCH
    match asked:
        case Asked.WRITE:
            return Reason.DOCUMENT_REJECTED
        case Asked.CREATE:
            return Reason.MAPPING_MISMATCH
        case _:
            return Reason.UNEXPECTED_ANSWER


def _block(error: _Error) -> dict[str, str]:
    """Which block it is that takes no writes; ``cluster`` for those of the whole."""
    if error.type not in _BLOCKED:
        return {}
    ids = _BLOCK.findall(error.text)
    return {"cause": next((_BLOCKS[one] for one in ids if one in _BLOCKS), "cluster")}


def _dimensions(error: _Error) -> dict[str, str]:
    found = _DIMENSIONS.search(error.text)
    return {"expected_dimensions": found[1], "dimensions": found[2]} if found else {}


def _parse(content: bytes) -> _Error:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return _Error()
    if not isinstance(body, dict):
        return _Error()
    if "error" in body:
        return _error(body["error"])
    text = body.get("message") or body.get("Message")  # AWS's front: {"message": "The security token …"}
    return _Error(text=str(text), spoken=True) if text else _Error()


def _error(found: object) -> _Error:
    if not isinstance(found, dict):
        return _Error(text=str(found or ""), spoken=bool(found))
    caused = found.get("caused_by")
    reasons = [found.get("reason"), caused.get("reason") if isinstance(caused, dict) else None]
    return _Error(str(found.get("type", "")), " ".join(str(reason) for reason in reasons if reason), spoken=True)
