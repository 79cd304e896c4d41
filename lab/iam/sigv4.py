"""AWS Signature Version 4, the verifier's side: presigned URLs and signed headers.

Everything here is pure: text in, the caller's claim out; whether the signature is right is decided by
recomputing it with the secret that belongs to the access key.
Source: IAM User Guide, "AWS Signature Version 4 for API requests".
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<credential>[^,\s]+), *SignedHeaders=(?P<headers>[^,\s]+), *"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class MalformedSignatureError(ValueError):
    """The request carries something that is not a complete Signature Version 4; the text says what is wrong."""


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire."""

    method: str
    raw_path: str
    """The request target: path and query, as they were sent."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body_sha256: str
    """Of the body as it was sent, lower-case hexadecimal."""


@dataclass(frozen=True)
class Signed:
    """What a signed request claims, with the canonical request that its signature must cover."""

    access_key: str
    date: str
    """Day of the scope, YYYYMMDD."""
    region: str
    service: str
    amz_date: str
    """Time of signing, ISO 8601 basic, UTC."""
    lifetime: int | None
    """Seconds for which a presigned URL is good; None for signed headers (5 minutes either way)."""
    session_token: str
    signature: str
    signed_headers: tuple[str, ...]
    canonical_request: str

    @property
    def signed_at(self) -> float:
        """Time of signing, epoch seconds."""
        return datetime.strptime(self.amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Presigned:
    """A presigned URL in its parts."""

    host: str
    """Host and, if it is in the URL, port: exactly what was signed."""
    parameters: Mapping[str, str]
    signed: Signed


def presigned(url: str, *, unsigned_parameters: Collection[str] = ()) -> Presigned:
    """Take a presigned GET apart. ``unsigned_parameters`` were appended after signing and are left out.

    Raises `MalformedSignatureError`.
    """
    if not url.isprintable():  # urlsplit would drop a line break and accept the rest
        raise MalformedSignatureError("a control character in the URL")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise MalformedSignatureError(f"not a URL: {error}") from error
    pairs = [(k, v) for k, v in _pairs(parts.query) if k not in unsigned_parameters]
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise MalformedSignatureError("a query parameter occurs twice")
    _require(parameters, "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders")
    _require(parameters, "X-Amz-Signature")
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        raise MalformedSignatureError(f"algorithm {parameters['X-Amz-Algorithm']}")
    if parameters["X-Amz-SignedHeaders"] != "host":
        raise MalformedSignatureError(f"signed headers {parameters['X-Amz-SignedHeaders']}, expected host")
    query = _canonical_query([(k, v) for k, v in pairs if k != "X-Amz-Signature"])
    canonical = _canonical(("GET", parts.path or "/", query), {"host": parts.netloc}, EMPTY_SHA256)
    access_key, date, region, service = _scope(parameters["X-Amz-Credential"])
    if not parameters["X-Amz-Expires"].isdecimal():
        raise MalformedSignatureError("X-Amz-Expires is not a number")
    signed = Signed(
        access_key, date, region, service,
        amz_date=_amz_date(parameters["X-Amz-Date"], date),
        lifetime=int(parameters["X-Amz-Expires"]),
        session_token=parameters.get("X-Amz-Security-Token", ""),
        signature=parameters["X-Amz-Signature"],
        signed_headers=("host",),
        canonical_request=canonical,
    )  # fmt: skip
    return Presigned(parts.netloc, parameters, signed)


def from_headers(request: Request) -> Signed:
    """Take a request with an Authorization header apart. Raises `MalformedSignatureError`."""
    headers = request.headers
    match = _AUTHORIZATION.fullmatch(headers["authorization"].strip())
    if match is None:
        raise MalformedSignatureError("Authorization is not a complete AWS4-HMAC-SHA256 header")
    names = match["headers"].split(";")
    if "host" not in names or "x-amz-date" not in names:
        raise MalformedSignatureError("host and x-amz-date must be signed")
    if names != sorted(names) or any(n not in headers for n in names):
        raise MalformedSignatureError("SignedHeaders are not sorted or name a header that the request lacks")
    access_key, date, region, service = _scope(match["credential"])
    path, _, query = request.raw_path.partition("?")
    payload = headers.get("x-amz-content-sha256", request.body_sha256)
    if payload not in (request.body_sha256, UNSIGNED_PAYLOAD):
        raise MalformedSignatureError("x-amz-content-sha256 is not the hash of the body")
    head = (request.method, path, _canonical_query(_pairs(query)))
    return Signed(
        access_key, date, region, service,
        amz_date=_amz_date(headers["x-amz-date"], date),
        lifetime=None,
        session_token=headers.get("x-amz-security-token", ""),
        signature=match["signature"],
        signed_headers=tuple(names),
        canonical_request=_canonical(head, {name: headers[name] for name in names}, payload),
    )  # fmt: skip


def signature_matches(signed: Signed, secret: str) -> bool:
    """Whether the signature was made with that secret key."""
    scope = f"{signed.date}/{signed.region}/{signed.service}/aws4_request"
    digest = hashlib.sha256(signed.canonical_request.encode()).hexdigest()
    to_sign = "\n".join([ALGORITHM, signed.amz_date, scope, digest])
    key = _signing_key(secret, signed.date, signed.region, signed.service)
    return hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), signed.signature)


@functools.lru_cache(maxsize=1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical(head: tuple[str, str, str], signed_headers: Mapping[str, str], payload: str) -> str:
    """The canonical request; ``head`` is method, path as sent and canonical query."""
    method, path, query = head
    lines = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in signed_headers.items())
    # Every service but S3 encodes the path of the wire (already encoded once) a second time.
    return "\n".join([method, quote(path, safe="/-_.~"), query, lines, ";".join(signed_headers), payload])


def _canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    encoded = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _pairs(query: str) -> list[tuple[str, str]]:
    """Query parameters in order, decoded; ``+`` is a blank, parameters without ``=`` are kept."""
    fields = [field.partition("=") for field in query.split("&") if field]
    return [(unquote(k.replace("+", " ")), unquote(v.replace("+", " "))) for k, _, v in fields]


def _scope(credential: str) -> tuple[str, str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not re.fullmatch(r"\d{8}", parts[1]):
        raise MalformedSignatureError(f"credential scope {'/'.join(parts[1:])}")
    return parts[0], parts[1], parts[2], parts[3]


def _amz_date(value: str, date: str) -> str:
    try:
        datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise MalformedSignatureError(f"date {value!r} is not YYYYMMDDTHHMMSSZ") from None
    if not value.startswith(date):
        raise MalformedSignatureError(f"the scope's day {date} is not that of the date {value}")
    return value


def _require(parameters: Mapping[str, str], *names: str) -> None:
    for name in names:
        if name not in parameters:
            raise MalformedSignatureError(f"{name} is missing")
