"""Secrets Manager, the JSON protocol: GetSecretValue with signature and IAM policy checked."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from lab import world
from lab.iam.credentials import Cause, NotAuthenticatedError
from lab.iam.decisions import Account, authorize, caller_of
from lab.iam.errors import SIGNATURE_MISMATCH_TEXT, ServiceError
from lab.iam.policies import Decision
from lab.iam.sigv4 import Request

_TARGET = "secretsmanager.GetSecretValue"
_ACTION = "secretsmanager:GetSecretValue"

_NOT_AUTHENTICATED = {
    Cause.MISSING: ("MissingAuthenticationTokenException", "Request is missing Authentication Token"),
    Cause.MALFORMED: ("IncompleteSignatureException", "The request signature does not conform to AWS standards."),
    Cause.UNKNOWN_KEY: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    Cause.SESSION_TOKEN: ("UnrecognizedClientException", "The security token included in the request is invalid."),
    Cause.CREDENTIALS_EXPIRED: ("ExpiredTokenException", "The security token included in the request is expired"),
}
_SIGNATURE_MISMATCH = ("InvalidSignatureException", SIGNATURE_MISMATCH_TEXT)


def secret_arn(name: str) -> str:
    """The ARN of a secret: its name and six characters, here derived from the name."""
    return f"arn:aws:secretsmanager:{world.REGION}:{world.ACCOUNT}:secret:{name}-{_digest(name)[:6]}"


def get_secret_value(account: Account, request: Request, body: bytes) -> dict[str, Any]:
    """One API call -> the JSON answer. Raises `ServiceError` (all of them are HTTP 400 in this protocol)."""
    try:
        caller = caller_of(account, "secretsmanager", request)
    except NotAuthenticatedError as error:
        code, message = _NOT_AUTHENTICATED.get(error.cause, _SIGNATURE_MISMATCH)
        raise ServiceError(400, code, message, str(error)) from error
    if request.headers.get("x-amz-target") != _TARGET:
        raise ServiceError(400, "UnknownOperationException", "", "the lab has GetSecretValue only")
    secret_id = _secret_id(body)
    name = next((n for n in account.state.secrets if secret_id in (n, secret_arn(n))), None)
    decision = authorize(account.state, caller.principal, _ACTION, secret_arn(name or secret_id))
    if not decision.allowed:  # checked first: who may not read must not learn which secrets exist
        raise ServiceError(
            400, "AccessDeniedException", _denied(caller.principal, secret_id, decision), decision.reason
        )
    if name is None:
        raise ServiceError(400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    value = account.state.secrets[name]
    return {
        "ARN": secret_arn(name),
        "Name": name,
        "VersionId": str(uuid.uuid5(uuid.NAMESPACE_URL, name + _digest(value))),
        "SecretString": value,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1700000000.0,
    }


def _secret_id(body: bytes) -> str:
    try:
        return str(json.loads(body)["SecretId"])
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(400, "InvalidRequestException", "SecretId is required", repr(error)) from error


def _denied(principal: str, secret_id: str, decision: Decision) -> str:
    why = (
        "with an explicit deny in an identity-based policy"
        if decision.explicit
        else f"because no identity-based policy allows the {_ACTION} action"
    )
    return f"User: {principal} is not authorized to perform: {_ACTION} on resource: {secret_id} {why}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
