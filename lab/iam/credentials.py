"""Credentials: what they are, how temporary ones are made, and whether a signed request may use them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from enum import Enum

from lab import world
from lab.iam.sigv4 import Signed, signature_matches

MAX_SKEW_SECONDS = 300
"""How far a signature's date may lie from AWS's clock."""

_SESSION_TOKEN_PREFIX = base64.b64decode("IQoJb3JpZ2luX2Vj")
_SESSION_TOKEN_BYTES = 780
"""Gives the 1040 characters that STS's tokens have today; with one, an RDS token is longer than 1 kB."""


@dataclass(frozen=True)
class Credentials:
    """An access key and whom it speaks for. Times are epoch seconds by AWS's clock."""

    access_key: str
    secret: str
    session_token: str
    """Empty for the long-term key of a user."""
    principal: str
    """ARN of the assumed-role session or of the user."""
    user_id: str
    role: str
    """Role name; empty for a user."""
    expires: float | None
    """None for a long-term key."""


class Cause(Enum):
    """Why a request is not authenticated; each AWS service has its own words for it, or none."""

    MISSING = "not signed"
    MALFORMED = "malformed signature"
    SCOPE = "wrong credential scope"
    UNKNOWN_KEY = "unknown access key"
    SESSION_TOKEN = "session token missing or wrong"
    CREDENTIALS_EXPIRED = "credentials expired"
    SIGNATURE = "signature mismatch"
    SIGNATURE_EXPIRED = "signature expired"
    SIGNATURE_EARLY = "signature not yet current"


class NotAuthenticatedError(Exception):
    """The signature does not prove a principal."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(f"{cause.value}: {detail}" if detail else cause.value)
        self.cause = cause
        self.detail = detail


def assume_role(role: str, session: str, *, expires: float) -> Credentials:
    """Fresh temporary credentials of a session of that role."""
    return Credentials(
        access_key="ASIA" + _upper_base32(16),
        secret=base64.b64encode(secrets.token_bytes(30)).decode(),
        session_token=base64.b64encode(_SESSION_TOKEN_PREFIX + secrets.token_bytes(_SESSION_TOKEN_BYTES - 12)).decode(),
        principal=f"arn:aws:sts::{world.ACCOUNT}:assumed-role/{role}/{session}",
        user_id=f"{unique_id('AROA', role)}:{session}",
        role=role,
        expires=expires,
    )


def unique_id(prefix: str, name: str) -> str:
    """The unique id that IAM gives a role (AROA…) or user (AIDA…): here derived from the name, so it is stable."""
    return prefix + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def authenticate(
    signed: Signed, credentials: Credentials | None, *, service: str, region: str, now: float
) -> Credentials:
    """The credentials if the signature is theirs, current and for this service and region.

    ``credentials`` are those that belong to ``signed.access_key``, if any. Raises `NotAuthenticatedError`.
    """
    if (signed.service, signed.region) != (service, region):
        raise NotAuthenticatedError(Cause.SCOPE, f"{signed.region}/{signed.service}, expected {region}/{service}")
    if credentials is None:
        raise NotAuthenticatedError(Cause.UNKNOWN_KEY, signed.access_key)
    if signed.session_token != credentials.session_token:
        raise NotAuthenticatedError(Cause.SESSION_TOKEN, f"of {credentials.principal}")
    if credentials.expires is not None and now >= credentials.expires:
        raise NotAuthenticatedError(Cause.CREDENTIALS_EXPIRED, f"{now - credentials.expires:.0f} s ago")
    if not signature_matches(signed, credentials.secret):
        raise NotAuthenticatedError(Cause.SIGNATURE, f"by {credentials.principal}")
    good_for = MAX_SKEW_SECONDS if signed.lifetime is None else signed.lifetime
    if now > signed.signed_at + good_for:
        raise NotAuthenticatedError(Cause.SIGNATURE_EXPIRED, f"signed at {signed.amz_date}, good for {good_for} s")
    if now < signed.signed_at - MAX_SKEW_SECONDS:
        raise NotAuthenticatedError(Cause.SIGNATURE_EARLY, f"signed at {signed.amz_date}")
    return credentials


def _upper_base32(length: int) -> str:
    return base64.b32encode(secrets.token_bytes(length)).decode()[:length]
