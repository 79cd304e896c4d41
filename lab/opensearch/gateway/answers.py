"""The gateway's own answers, in Serverless's words as far as they are known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

REQUEST_LIMIT = 10 * 1024 * 1024
"""Bytes of a request's body. Source: "Amazon OpenSearch Serverless quotas"."""

OWN_ID = {
    "type": "illegal_argument_exception",
    "reason": "Document ID is not supported in create/index operation request",
}
"""Source: opensearch-project/opensearch-py issue 792."""


@dataclass(frozen=True)
class Answer:
    """Status, body (bytes: a web page; None: empty; else JSON) and headers of an answer."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else json.dumps(self.body).encode()

    @property
    def content_type(self) -> str | None:
        if isinstance(self.body, bytes):
            return "text/html"
        return None if self.body is None else "application/json"


class RefusedError(Exception):
    """Ends the handling of a request with this answer. The text is the true reason, for the log alone."""

    def __init__(self, answer: Answer, reason: str) -> None:
        super().__init__(reason)
        self.answer = answer


def not_served() -> Answer:
    """An API that Serverless does not have. Source: opensearch-project/opensearch-py issue 646."""
    return Answer(HTTPStatus.NOT_FOUND)


def forbidden() -> Answer:
    """Wrong signature, or no `aoss:APIAccessAll`: one answer for both. Source: abutaha/aws-es-proxy issue 132."""
    return of_status(HTTPStatus.FORBIDDEN, {"x-aoss-response-hint": "X01:gw-helper-deny"})


def forbidden_by_network_policy() -> Answer:
    """The collection's network policy does not let the caller's network in; the header's text is *assumed*."""
    return of_status(HTTPStatus.UNAUTHORIZED, {"x-aoss-response-hint": "X01:network-policy-deny"})


def web_page(status: int, text: str) -> Answer:
    """What is no answer of Serverless."""
    return Answer(status, f"<!DOCTYPE html><html><body>{text}</body></html>".encode())


def forbidden_by_data_policy() -> Answer:
    """Source: aws-samples/amazon-bedrock-workshop issue 103."""
    return error(
        HTTPStatus.FORBIDDEN,
        "authorization_exception",
        "User does not have permissions for the requested resource",
    )


def refresh_refused(policy: str) -> Answer:
    """`?refresh=true` or `wait_for` on a write. Source: opensearch-project/opensearch-ruby issue 131."""
    return error(HTTPStatus.BAD_REQUEST, "status_exception", f"{policy} refresh policy is not supported.")


def own_id_refused() -> Answer:
    """A document id of the client's choice in a vector search collection."""
    return error(HTTPStatus.BAD_REQUEST, OWN_ID["type"], OWN_ID["reason"])


def too_large() -> Answer:
    """*Assumed*: the words of OpenSearch Service domains, which have the same limit."""
    return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"Message": f"Request size exceeded {REQUEST_LIMIT} bytes"})


def error(status: int, kind: str, reason: str) -> Answer:
    """An error in OpenSearch's own form."""
    cause = {"type": kind, "reason": reason}
    return Answer(status, {"error": {"root_cause": [cause], **cause}, "status": status})


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """An error in the form of Serverless's front, which is known for 403 and *assumed* for other codes."""
    phrase = HTTPStatus(status).phrase
    return Answer(status, {"status": status, "error": {"reason": f"{status} {phrase}", "type": phrase}}, headers or {})
