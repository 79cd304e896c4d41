"""The web identity token (a Kubernetes service account's JWT): claims, signature, audience, expiry, trust.

Pure; keys are fetched by `lab.iam.issuer_keys`. Texts and codes are those of STS for AssumeRoleWithWebIdentity.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jwt

from lab.iam.errors import ServiceError
from lab.iam.policies import Context

_NOT_A_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
_NO_KEY = (
    "Couldn't retrieve verification key from your identity provider, "
    "please reference AssumeRoleWithWebIdentity documentation for requirements"
)
_NOT_VALIDATED = (  # STS API reference, AssumeRoleWithWebIdentity, InvalidIdentityToken
    "The web identity token that was passed could not be validated by Amazon Web Services. "
    "Get a new identity token from the identity provider and then retry the request."
)
_REQUIRED_CLAIMS = ("iss", "sub", "aud", "exp")


@dataclass(frozen=True)
class Claims:
    """What the token says of itself. Times are epoch seconds."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]
    expires: int
    algorithm: str
    key_id: str


def invalid_token(message: str, reason: str = "") -> ServiceError:
    """STS's refusal of a token that is not merely expired."""
    return ServiceError(400, "InvalidIdentityToken", message, reason)


def no_key(reason: str) -> ServiceError:
    """STS's refusal when the issuer has no key for the token, or answers with something else than keys."""
    return invalid_token(_NO_KEY, reason)


def unverified_claims(token: str) -> Claims:
    """Read the token without believing it: the issuer must be known before its keys can be asked for."""
    try:
        header = jwt.get_unverified_header(token)
        payload: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError) as error:
        raise invalid_token(_NOT_A_JWT, repr(error)) from error
    for claim in _REQUIRED_CLAIMS:
        if claim not in payload:
            raise invalid_token(f"Missing a required claim: {claim}")
    audience = payload["aud"]
    try:
        return Claims(
            issuer=str(payload["iss"]),
            subject=str(payload["sub"]),
            audiences=(audience,) if isinstance(audience, str) else tuple(str(a) for a in audience),
            expires=int(payload["exp"]),
            algorithm=str(header.get("alg", "")),
            key_id=str(header.get("kid", "")),
        )
    except (TypeError, ValueError) as error:
        raise invalid_token(_NOT_A_JWT, repr(error)) from error


def verify_signature(token: str, claims: Claims, keys: jwt.PyJWKSet) -> None:
    """Check the RS256 signature with the issuer's key of that id. Raises `ServiceError` InvalidIdentityToken."""
    key = next((k for k in keys.keys if k.key_id == claims.key_id), None)
    if key is None:
        raise no_key(f"the issuer has no key {claims.key_id!r}")
    try:
        # Only the algorithm that AWS takes for EKS: whoever may choose it chooses "none" or HS256.
        jwt.decode(token, key, algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False})
    except jwt.InvalidTokenError as error:
        raise invalid_token(_NOT_VALIDATED, repr(error)) from error


def check_audience_and_expiry(claims: Claims, registered: Collection[str], *, now: float) -> None:
    """Check the claims against the registered provider's client ids and AWS's clock. Raises `ServiceError`."""
    if now >= claims.expires:
        raise ServiceError(
            400,
            "ExpiredTokenException",
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {claims.expires}",
        )
    if not set(claims.audiences) & set(registered):
        raise invalid_token("Incorrect token audience", f"{claims.audiences}, registered are {tuple(registered)}")


def provider_id(issuer: str) -> str:
    """An issuer as IAM names it in ARNs and condition keys: without the scheme."""
    return issuer.removeprefix("https://")


def trust_context(claims: Claims, session: str) -> Context:
    """Condition keys that a trust policy can use for this token."""
    issuer = provider_id(claims.issuer)
    return {
        f"{issuer}:sub": claims.subject,
        f"{issuer}:aud": claims.audiences,
        "sts:RoleSessionName": session,
    }
