"""What is known from here of the pod's web identity (IRSA): the role that it asks for and what its token says.

The token is a JWT of the cluster's API server. Its claims are read without verification, for they only explain a
refusal: STS verifies. The token itself never leaves this module.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

TOKEN_FILE_VARIABLE = "AWS_WEB_IDENTITY_TOKEN_FILE"  # noqa: S105 (a variable's name)
ROLE_VARIABLE = "AWS_ROLE_ARN"
POD_IDENTITY_FILE_VARIABLE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
API_SERVER_TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105

_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/.+")


def evidence(environ: Mapping[str, str]) -> dict[str, str]:
    """``role_arn``, ``partition``, ``account``, ``path`` and the token's claims, as far as each can be had.

    And ``namespace`` and ``service_account``, which commands of remedies name.
    """
    facts = pod(environ)
    if role := environ.get(ROLE_VARIABLE):
        facts["role_arn"] = role
        if parts := _ROLE_ARN.fullmatch(role):
            facts.update(parts.groupdict())
    if path := environ.get(TOKEN_FILE_VARIABLE):
        facts["path"] = path
        facts.update(claims(Path(path)))
    return facts


def service_account(environ: Mapping[str, str]) -> dict[str, str]:
    """``issuer_host`` and ``subject`` of the Pod's own ServiceAccount, from the first of its tokens that is there.

    Of Pod Identity, and the one for the API server: it is there before any role is given to the Pod, and on EKS its
    issuer is the same.
    """
    files = (environ.get(TOKEN_FILE_VARIABLE), environ.get(POD_IDENTITY_FILE_VARIABLE), API_SERVER_TOKEN_FILE)
    for file in filter(None, files):
        found = claims(Path(file))
        if "subject" in found:
            return {name: found[name] for name in ("issuer_host", "subject") if name in found}
    return {}


def pod(environ: Mapping[str, str]) -> dict[str, str]:
    """``namespace`` and ``service_account`` of the Pod, as far as a token tells."""
    subject = service_account(environ).get("subject", "").split(":")  # system:serviceaccount:<namespace>:<name>
    if subject[:2] != ["system", "serviceaccount"] or len(subject) != 4:
        return {}
    return {"namespace": subject[2], "service_account": subject[3]}


def claims(token_file: Path) -> dict[str, str]:
    """``issuer``, ``issuer_host`` (as IAM names it), ``subject``, ``audience``, ``expires``; empty if it is no JWT."""
    try:
        payload = _payload(token_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    facts: dict[str, str] = {}
    if isinstance(issuer := payload.get("iss"), str):
        facts |= {"issuer": issuer, "issuer_host": issuer.removeprefix("https://")}
    if isinstance(subject := payload.get("sub"), str):
        facts["subject"] = subject
    if audience := payload.get("aud"):
        facts["audience"] = ", ".join(map(str, audience)) if isinstance(audience, list) else str(audience)
    if isinstance(expires := payload.get("exp"), int):
        facts["expires"] = f"{datetime.fromtimestamp(expires, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return facts


def _payload(token: str) -> dict[str, object]:
    """The middle part of ``header.payload.signature``. Raises `ValueError` for anything else."""
    encoded = token.strip().split(".")[1:2]
    if not encoded:
        raise ValueError("not a JWT")
    payload = json.loads(base64.urlsafe_b64decode(encoded[0] + "=" * (-len(encoded[0]) % 4)))
    if not isinstance(payload, dict):
        raise ValueError("not a JWT")  # noqa: TRY004 (of the text, not of a caller's argument)
    return payload
