"""A look at our own signature, for when a server refuses it without saying why.

The rules are those of AWS's "Signing HTTP requests to Amazon OpenSearch Serverless" and of its troubleshooting page.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from connectivity_operator import opensearch_endpoint

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<headers>[^,]+), ?Signature=[0-9a-f]{64}"
)


def problem(url: str, headers: Mapping[str, str], body: bytes | None) -> str | None:
    """Why the server cannot accept this signed request, whatever the caller's permissions; None: nothing found.

    ``headers`` are looked up in lower case. Date and secret key are not judged: the identity rung proves both.
    """
    signed = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if signed is None:
        return "the request is not signed"
    if "content-length" in signed["headers"].split(";"):
        return "content-length is signed, which Serverless does not allow"
    if signed["service"] == "aoss" and headers.get("x-amz-content-sha256") != hashlib.sha256(body or b"").hexdigest():
        return "x-amz-content-sha256 is not the hash of the body"
    return _scope_problem(urlsplit(url).hostname or "", signed["service"], signed["region"])


def _scope_problem(host: str, service: str, region: str) -> str | None:
    endpoint = opensearch_endpoint.parse(host)
    if endpoint is None:
        # AWS computes the signature with the endpoint's own name, so a CNAME or a tunnel breaks it.
        return f"it is made for the name {host}, which is no endpoint's own" if service == "aoss" else None
    if service != endpoint.service:
        return f"it is made for the service {service}, the endpoint is of {endpoint.service}"
    if region != endpoint.region:
        return f"it is made for region {region}, the endpoint is in {endpoint.region}"
    return None
