"""STS, the query protocol: AssumeRoleWithWebIdentity and GetCallerIdentity, with STS's own codes and texts.

Texts are those that users of AWS report; source: STS API reference, and issues of EKS projects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from lab import world
from lab.iam import credentials, web_identity
from lab.iam.credentials import MAX_SKEW_SECONDS, Cause, Credentials, NotAuthenticatedError
from lab.iam.decisions import Account, caller_of
from lab.iam.errors import SIGNATURE_MISMATCH_TEXT, ServiceError
from lab.iam.identity_tokens import IdentityTokens
from lab.iam.policies import evaluate_trust
from lab.iam.sigv4 import Request
from lab.iam.state import State
from lab.iam.store import Store
from lab.iam.web_identity import Claims

DEFAULT_DURATION = 3600
MIN_DURATION = 900
MAX_DURATION = 43200

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(?P<account>\d{12}):role/(?:[\w+=,.@/-]*/)?(?P<name>[\w+=,.@-]{1,64})")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_DENIED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


@dataclass(frozen=True)
class AssumeRoleRequest:
    """The validated parameters of AssumeRoleWithWebIdentity."""

    account: str
    role: str
    session: str
    token: str
    duration: int


def read_request(form: Mapping[str, str]) -> AssumeRoleRequest:
    """Validate the parameters. Raises `ServiceError` ValidationError."""
    arn = _parameter(form, "RoleArn", "roleArn", shortest=20, longest=2048)
    token = _parameter(form, "WebIdentityToken", "webIdentityToken", shortest=4, longest=20000)
    session = _parameter(form, "RoleSessionName", "roleSessionName", shortest=2, longest=64)
    if not _SESSION_NAME.fullmatch(session):
        raise _constraint("roleSessionName", session, r"Member must satisfy regular expression pattern: [\w+=,.@-]*")
    role = _ROLE_ARN.fullmatch(arn)
    if role is None:
        raise _validation(f"{arn} is invalid" if not arn.startswith("arn:") else "Request ARN is invalid")
    text = form.get("DurationSeconds", str(DEFAULT_DURATION))
    duration = int(text) if text.isdecimal() else 0
    if duration < MIN_DURATION:
        raise _constraint("durationSeconds", text, f"Member must have value greater than or equal to {MIN_DURATION}")
    if duration > MAX_DURATION:
        raise _constraint("durationSeconds", text, f"Member must have value less than or equal to {MAX_DURATION}")
    return AssumeRoleRequest(role["account"], role["name"], session, token, duration)


def check_trust(state: State, request: AssumeRoleRequest, claims: Claims) -> None:
    """Whether the role exists, trusts this token and allows the duration. Raises `ServiceError`.

    A role that does not exist and one that does not trust the caller get the same answer, on purpose of AWS.
    """
    role = state.roles.get(request.role)
    if role is None:
        raise ServiceError(403, "AccessDenied", _DENIED, f"role {request.role} does not exist")
    provider = f"arn:aws:iam::{world.ACCOUNT}:oidc-provider/{web_identity.provider_id(claims.issuer)}"
    context = web_identity.trust_context(claims, request.session)
    decision = evaluate_trust(role.trust, "Federated", provider, "sts:AssumeRoleWithWebIdentity", context)
    if not decision.allowed:
        raise ServiceError(403, "AccessDenied", _DENIED, f"role {request.role}: {decision.reason}")
    if request.duration > role.max_session_seconds:
        raise _validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def not_authenticated(error: NotAuthenticatedError, signed_at: str, now: float) -> ServiceError:
    """STS's words for a signature that proves nothing. ``signed_at``: the request's X-Amz-Date."""
    reason = str(error)
    match error.cause:
        case Cause.MISSING:
            return ServiceError(403, "MissingAuthenticationToken", "Request is missing Authentication Token", reason)
        case Cause.MALFORMED:
            return ServiceError(400, "IncompleteSignature", reason, reason)
        case Cause.UNKNOWN_KEY | Cause.SESSION_TOKEN:
            text = "The security token included in the request is invalid."
            return ServiceError(403, "InvalidClientTokenId", text, reason)
        case Cause.CREDENTIALS_EXPIRED:
            return ServiceError(403, "ExpiredToken", "The security token included in the request is expired", reason)
        case Cause.SCOPE:
            text = "Credential should be scoped to a valid region."
        case Cause.SIGNATURE:
            text = SIGNATURE_MISMATCH_TEXT
        case Cause.SIGNATURE_EXPIRED:
            edge, clock = _amz(now - MAX_SKEW_SECONDS), _amz(now)
            text = f"Signature expired: {signed_at} is now earlier than {edge} ({clock} - 5 min.)"
        case Cause.SIGNATURE_EARLY:
            edge, clock = _amz(now + MAX_SKEW_SECONDS), _amz(now)
            text = f"Signature not yet current: {signed_at} is still later than {edge} ({clock} + 5 min.)"
    return ServiceError(403, "SignatureDoesNotMatch", text, reason)


class Sts:
    """The service: parameters and headers in, the result's fields out. Raises `ServiceError`."""

    def __init__(self, store: Store, tokens: IdentityTokens) -> None:
        self._store = store
        self._tokens = tokens

    async def call(self, request: Request, body: bytes) -> tuple[str, Result]:
        """One API call -> (action, result)."""
        fault = self._store.state.faults.sts_error
        if fault:
            raise ServiceError(int(fault["status"]), fault["code"], fault.get("message", fault["code"]), "fault")
        form = dict(parse_qsl(body.decode() if body else request.raw_path.partition("?")[2], keep_blank_values=True))
        self._store.asked[form.get("Action", "")] += 1
        match form.get("Action"):
            case "AssumeRoleWithWebIdentity" as action:
                return action, await self._assume_role(read_request(form))
            case "GetCallerIdentity" as action:
                return action, self._caller_identity(request)
            case action:
                raise ServiceError(400, "InvalidAction", f"Could not find operation {action} for version 2011-06-15")

    async def _assume_role(self, request: AssumeRoleRequest) -> Result:
        if request.account != world.ACCOUNT:
            raise ServiceError(403, "AccessDenied", _DENIED, f"role of another account, {request.account}")
        claims = await self._tokens.verify(request.token)
        registered = self._store.state.oidc_providers.get(claims.issuer, ())
        web_identity.check_audience_and_expiry(claims, registered, now=self._store.now())
        check_trust(self._store.state, request, claims)
        cap = self._store.state.faults.credentials_cap_seconds or request.duration
        issued = credentials.assume_role(
            request.role, request.session, expires=self._store.now() + min(request.duration, cap)
        )
        self._store.remember(issued)
        return _assumed(issued, claims)

    def _caller_identity(self, request: Request) -> Result:
        now = self._store.now()
        try:
            caller = caller_of(Account(self._store.state, self._store.credentials, now), "sts", request)
        except NotAuthenticatedError as error:
            raise not_authenticated(error, request.headers.get("x-amz-date", ""), now) from error
        return {"Arn": caller.principal, "UserId": caller.user_id, "Account": world.ACCOUNT}


Result = Mapping[str, "str | Result"]
"""The elements of a result: name -> text or elements."""


def _assumed(issued: Credentials, claims: Claims) -> Result:
    expires = datetime.fromtimestamp(issued.expires or 0, UTC)
    return {
        "SubjectFromWebIdentityToken": claims.subject,
        "Audience": claims.audiences[0],
        "Provider": f"arn:aws:iam::{world.ACCOUNT}:oidc-provider/{web_identity.provider_id(claims.issuer)}",
        "AssumedRoleUser": {"Arn": issued.principal, "AssumedRoleId": issued.user_id},
        "Credentials": {
            "AccessKeyId": issued.access_key,
            "SecretAccessKey": issued.secret,
            "SessionToken": issued.session_token,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


def _amz(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y%m%dT%H%M%SZ")


def _parameter(form: Mapping[str, str], name: str, member: str, *, shortest: int, longest: int) -> str:
    value = form.get(name)
    if value is None:
        raise _constraint(member, None, "Member must not be null")
    if len(value) < shortest:
        raise _constraint(member, value, f"Member must have length greater than or equal to {shortest}")
    if len(value) > longest:
        raise _constraint(member, value, f"Member must have length less than or equal to {longest}")
    return value


def _constraint(member: str, value: str | None, constraint: str) -> ServiceError:
    shown = "null" if value is None else f"'{value}'"
    return _validation(
        f"1 validation error detected: Value {shown} at '{member}' failed to satisfy constraint: {constraint}"
    )


def _validation(message: str) -> ServiceError:
    return ServiceError(400, "ValidationError", message)
