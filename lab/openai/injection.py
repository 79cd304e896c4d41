"""Bad days of OpenAI, on demand: answers that are given instead of, or beside, the real ones."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from lab.injections import InForce, Limited


@dataclass(frozen=True)
class Injection(Limited):
    """One kind of answer, and for which and how many requests."""

    status: int = 0
    """HTTP status of the answer; 0: the real answer is given (late, or with wrong dimensions)."""
    body: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    reset: bool = False
    """The connection is reset (RST) instead of answered."""
    dimensions: int = 0
    """The real answer with vectors of this length instead of the right one."""
    empty: bool = False
    """The real answer without any vector."""
    contains: str = ""
    """Only requests of which an input contains this text."""

    def fits(self, inputs: Sequence[object]) -> bool:
        """Whether it is meant for a request with these inputs."""
        return not self.contains or any(self.contains in str(one) for one in inputs)


class UnknownInjectionError(ValueError):
    """No such preset or field; the text names those there are."""


def _error(status: int, message: str, kind: str, code: str | None, **headers: str) -> dict[str, Any]:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return {"status": status, "body": json.dumps(body), "headers": headers}


def _embedding(vector: bytes) -> str:
    """A whole answer of one embedding, whatever its bytes."""
    one = {"object": "embedding", "index": 0, "embedding": base64.b64encode(vector).decode()}
    return json.dumps({"object": "list", "data": [one], "model": "lab", "usage": {"total_tokens": 1}})


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "insufficient_quota": _error(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        "insufficient_quota",
    ),
    "rate_limit_exceeded": _error(
        429,
        "Rate limit reached for text-embedding-3-small in organization org-lab on requests per min (RPM): Limit 3000, "
        "Used 3000, Requested 1. Please try again in 1s. Visit https://platform.openai.com/account/rate-limits to "
        "learn more.",
        "requests",
        "rate_limit_exceeded",
        **{"Retry-After": "1"},
    ),
    "server_error": _error(
        500, "The server had an error while processing your request. Sorry about that!", "server_error", None
    ),
    "overloaded": _error(503, "The engine is currently overloaded, please try again later", "server_error", None),
    "model_access_denied": _error(
        403,
        "Project `proj_lab` does not have access to model `text-embedding-3-small`",
        "invalid_request_error",
        "model_not_found",
    ),
    "region_not_supported": _error(
        403,
        "Country, region, or territory not supported",
        "request_forbidden",
        "unsupported_country_region_territory",
    ),
    "key_restricted": _error(
        # Source: continuedev/continue issue 10059.
        401,
        "You have insufficient permissions for this operation. Missing scopes: model.request. Check that you have the "
        "correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're using a "
        "restricted API key, that it has the necessary scopes.",
        "invalid_request_error",
        None,
    ),
    "ip_not_authorized": _error(
        401,
        "Your request was made from an IP address that is not authorized for this project.",
        "invalid_request_error",
        "ip_not_authorized",
    ),
    "invalid_input": _error(
        400,
        "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
        "invalid_request_error",
        None,
    ),
    "html": {
        "status": 200,
        "body": "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Welcome</body></html>",
        "content_type": "text/html; charset=utf-8",
    },
    "bad_gateway": {
        "status": 502,
        "body": "<html><head><title>502 Bad Gateway</title></head><body><center>cloudflare</center></body></html>",
        "content_type": "text/html",
    },
    "blocked": {
        "status": 403,
        "body": "<html><head><title>Web filter</title></head><body>This site is blocked by your company.</body></html>",
        "content_type": "text/html",
    },
    "moved": {"status": 302, "headers": {"Location": "https://portal.example/login"}, "content_type": "text/html"},
    "other_api": {"status": 200, "body": json.dumps({"status": "ok", "version": "1.4.2"})},
    "not_a_number": {"status": 200, "body": _embedding(struct.pack("<f", math.nan) * 1536)},
    "cut_short": {"status": 200, "body": _embedding(bytes(4 * 1536 - 2))},
    "slow": {"delay_seconds": 30},
    "reset": {"reset": True},
    "wrong_dimensions": {"dimensions": 8},
    "empty": {"empty": True},
}
"""Name -> fields of an `Injection`."""


def read(source: Mapping[str, Any]) -> Injection:
    """``{"preset": name, field: value, …}`` -> the injection; fields override the preset's. JSON bodies may be objects.

    Raises `UnknownInjectionError`.
    """
    given = dict(source)
    preset = given.pop("preset", None)
    if preset is not None and preset not in PRESETS:
        raise UnknownInjectionError(f"no preset {preset}; there are {', '.join(PRESETS)}")
    known = {f.name for f in fields(Injection)}
    if unknown := set(given) - known:
        raise UnknownInjectionError(f"unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    merged = {**PRESETS.get(preset or "", {}), **given}
    if not isinstance(merged.get("body", ""), str):
        merged["body"] = json.dumps(merged["body"])
    return Injection(**merged)


class Injections(InForce[Injection]):
    """Those in force."""

    def of(self, inputs: Sequence[object]) -> Injection | None:
        """The injection for a request with these inputs, counted as used."""
        return self.take(lambda injection: injection.fits(inputs))
