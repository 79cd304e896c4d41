"""botocore's failures in our words: a reason of the identity rung with the facts that explain it.

STS's codes and texts are documented with each action; where one code has several causes, AWS's own text tells
them apart. No text of botocore is passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from connectivity_operator.adapters.aws.web_identity import ROLE_VARIABLE, TOKEN_FILE_VARIABLE
from connectivity_operator.adapters.connection_errors import network_reason
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Rung, Service

TRANSLATED = (aws.BotoCoreError, aws.ClientError, ResponseParserError, KeyError, OSError, ValueError, RuntimeError)
"""What credential providers and clients raise. RuntimeError: fresh credentials that have expired already; KeyError: an
answer that lacks what AWS's have, a web page for example."""

ALLOWED_SKEW = 300.0
"""Seconds that AWS lets a clock be off."""

_ASSUME_ROLE = {
    "AccessDenied": Reason.TRUST_POLICY_MISMATCH,  # also for a role that does not exist
    "ExpiredTokenException": Reason.WEB_IDENTITY_TOKEN_EXPIRED,
    "ExpiredToken": Reason.WEB_IDENTITY_TOKEN_EXPIRED,
    "IDPCommunicationError": Reason.IDENTITY_PROVIDER_UNREACHABLE,
    "InvalidIdentityToken": Reason.WEB_IDENTITY_TOKEN_INVALID,
    "IDPRejectedClaim": Reason.WEB_IDENTITY_TOKEN_INVALID,
    "ValidationError": Reason.INVALID_ROLE_ARN,
}
"""Codes of AssumeRoleWithWebIdentity."""

_INVALID_TOKEN = {
    "No OpenIDConnect provider found": Reason.OIDC_PROVIDER_MISSING,
    "Incorrect token audience": Reason.AUDIENCE_MISMATCH,
    "Couldn't retrieve verification key": Reason.IDENTITY_PROVIDER_UNREACHABLE,
}
"""Beginnings of the texts of InvalidIdentityToken that name another cause than the token itself."""

_TOKEN_PARAMETER = ("webIdentityToken", "WebIdentityToken")
"""The token in validation errors, as STS and as botocore spell it; any other parameter is the role's ARN."""

_CALLER = {"ExpiredToken": Reason.CREDENTIALS_EXPIRED, "ExpiredTokenException": Reason.CREDENTIALS_EXPIRED}
"""Codes of a signed request; every other refusal means that the keys are wrong or were withdrawn."""

_OTHER_POLICY = re.compile(r"(VPC endpoint|service control|resource control) policy")
"""The kind of policy that does not allow a request, where it is not the role's own: AWS's texts name it (IAM's guide,
"Troubleshoot access denied error messages")."""

_NETWORK = {
    Reason.NAME_NOT_RESOLVED: "its name does not resolve",
    Reason.RESOLVER_UNAVAILABLE: "the resolver does not answer",
    Reason.CONNECTION_REFUSED: "it refuses the connection",
    Reason.CONNECTION_RESET: "it closes the connection",
    Reason.CONNECTION_TIMEOUT: "it does not answer",
    Reason.REQUEST_TIMEOUT: "it does not answer",
    Reason.NETWORK_UNREACHABLE: "there is no route to it",
    Reason.CERTIFICATE_UNTRUSTED: "its certificate is not trusted",
    Reason.CERTIFICATE_EXPIRED: "its certificate has expired",
    Reason.CERTIFICATE_NOT_YET_VALID: "its certificate is not valid yet",
    Reason.CERTIFICATE_NAME_MISMATCH: "its certificate is for another name",
    Reason.TLS_NOT_SPOKEN: "it does not speak TLS",
    Reason.TLS_HANDSHAKE_FAILED: "TLS with it fails",
}
"""STS has one reason for everything below HTTP; this is the detail that tells them apart."""

_CLOCK_TEXTS = ("Signature expired", "Signature not yet current")


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known while a failure is explained."""

    facts: Mapping[str, str]
    """`web_identity.evidence` and the ``region``."""
    skew: float | None
    """Seconds that our clock is ahead of STS's, if STS has ever answered."""
    ca_files: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with the files of certificates (`trust.unusable`)."""


def explain(error: Exception, situation: Situation) -> DependencyError:
    """Any of `TRANSLATED` as an error of the service identity."""
    reason, found = _cause(error, situation)
    known = dict(situation.facts)
    # STS checks a token against its own clock: "expired" of a token that is not, is our clock's or the node's fault.
    if reason is Reason.WEB_IDENTITY_TOKEN_EXPIRED and abs(situation.skew or 0.0) > ALLOWED_SKEW:
        reason = Reason.CLOCK_SKEW
    if reason is Reason.CLOCK_SKEW and situation.skew is not None:
        known["skew"] = f"{situation.skew:+.0f}"
    return failed(reason, {**known, **found})


def failed(reason: Reason, evidence: Mapping[str, str] | None = None) -> DependencyError:
    """An error of the identity. It belongs to the identity rung even if a token is needed at a later one."""
    return DependencyError(Service.IDENTITY, reason, evidence=evidence, rung=Rung.IDENTITY)


def _cause(error: Exception, situation: Situation) -> tuple[Reason, dict[str, str]]:
    match error:
        case aws.ClientError():
            return _refusal(error)
        case ResponseParserError() | KeyError():  # a web page with status 200: something else answers for STS
            return Reason.UNEXPECTED_ANSWER, {"status": "200"}
        case aws.CredentialRetrievalError():
            return _retrieval(error)
        case aws.ConnectionError() | aws.HTTPClientError():
            return _unreachable(error, situation.ca_files)
        case aws.BotoCoreError():
            return _configuration(error)
        case OSError():
            return _file(error, situation)
        case RuntimeError():  # "Credentials were refreshed, but the refreshed credentials are still expired"
            ahead = (situation.skew or 0.0) > ALLOWED_SKEW
            return (Reason.CLOCK_SKEW if ahead else Reason.CREDENTIALS_EXPIRED), {}
        case _:  # UnicodeDecodeError of a token file, or the address of a container agent that botocore refuses
            decoding = isinstance(error, UnicodeDecodeError)
            return (Reason.WEB_IDENTITY_TOKEN_INVALID if decoding else Reason.POD_IDENTITY_UNAVAILABLE), {}


def _refusal(error: aws.ClientError) -> tuple[Reason, dict[str, str]]:
    """STS answered, with an error code."""
    answer: Any = error.response
    said = answer.get("Error", {})
    code, text = str(said.get("Code", "Unknown")), str(said.get("Message"))
    status = int(answer["ResponseMetadata"]["HTTPStatusCode"])
    if code in (str(status), "Unknown") and status < 500:  # botocore's words for an answer that holds none of AWS's
        return Reason.UNEXPECTED_ANSWER, {"status": str(status)}
    if status >= 500 or status == 429 or code in ("Throttling", "ThrottlingException"):
        return Reason.SERVICE_UNAVAILABLE, {"status": str(status)}
    if code == "RegionDisabledException":
        detail = "STS is not activated in this region for the account"
        return Reason.STS_UNREACHABLE, {"detail": detail, "cause": "RegionDisabled"}
    if code == "SignatureDoesNotMatch" and text.startswith(_CLOCK_TEXTS):
        return Reason.CLOCK_SKEW, {}
    named, assuming = _OTHER_POLICY.search(text), error.operation_name == "AssumeRoleWithWebIdentity"
    if code == "AccessDenied" and (named or not assuming):  # GetCallerIdentity needs no permission of the role's
        return Reason.STS_ACCESS_DENIED, {
            "permission": f"sts:{error.operation_name}", **({"cause": named[0]} if named else {})
        }  # fmt: skip
    if not assuming:
        return _CALLER.get(code, Reason.CREDENTIALS_REJECTED), {"detail": code}
    reason = _ASSUME_ROLE.get(code, Reason.TRUST_POLICY_MISMATCH)
    if reason is Reason.WEB_IDENTITY_TOKEN_INVALID:
        reason = next((r for start, r in _INVALID_TOKEN.items() if text.startswith(start)), reason)
    if reason is Reason.INVALID_ROLE_ARN:
        reason = _invalid_parameter(text)
    return reason, {"detail": code}


def _invalid_parameter(text: str) -> Reason:
    named = any(name in text for name in _TOKEN_PARAMETER)
    return Reason.WEB_IDENTITY_TOKEN_INVALID if named else Reason.INVALID_ROLE_ARN


def _said(error: Exception, name: str) -> object:
    """A fact that botocore put into its error."""
    return vars(error).get("kwargs", {}).get(name)


def _configuration(error: aws.BotoCoreError) -> tuple[Reason, dict[str, str]]:
    """botocore did not even ask: variables or profiles are missing, incomplete or malformed."""
    match error:
        case aws.InvalidConfigError() if "no role ARN" in str(error):
            return Reason.ROLE_NOT_CONFIGURED, {"variable": ROLE_VARIABLE}
        case aws.ParamValidationError():
            return _invalid_parameter(str(_said(error, "report"))), {}
        case aws.PartialCredentialsError():
            absent = str(_said(error, "cred_var") or "")
            return Reason.NO_CREDENTIALS, {"variable": absent, "detail": f"half of a key is set, {absent} is not"}
        case aws.ProfileNotFound():
            return Reason.NO_CREDENTIALS, {
                "variable": "AWS_PROFILE", "detail": "AWS_PROFILE names a profile that does not exist"
            }  # fmt: skip
        case _:
            return Reason.NO_CREDENTIALS, {"detail": f"the AWS SDK's settings are wrong ({type(error).__name__})"}


def _file(error: OSError, situation: Situation) -> tuple[Reason, dict[str, str]]:
    """A token's file cannot be read: the web identity's, or the one that Pod Identity mounts for its agent."""
    path = str(error.filename or situation.facts.get("path", ""))
    if path != situation.facts.get("path"):
        return Reason.POD_IDENTITY_UNAVAILABLE, {
            "path": path, "detail": f"the token for its agent, {path}, cannot be read"
        }  # fmt: skip
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    reason = Reason.WEB_IDENTITY_TOKEN_MISSING if missing else Reason.WEB_IDENTITY_TOKEN_UNREADABLE
    return reason, {"path": path, "variable": TOKEN_FILE_VARIABLE}


def _retrieval(error: aws.CredentialRetrievalError) -> tuple[Reason, dict[str, str]]:
    """Another program that gives credentials did not: the Pod Identity agent, or a laptop's helper program."""
    if _said(error, "provider") != "container-role":
        return Reason.NO_CREDENTIALS, {"detail": f"{error.kwargs.get('provider')} gave none"}
    answer = str(_said(error, "error_msg") or "")
    # The agent passes on what AssumeRoleForPodIdentity of the EKS Auth API answered.
    if "AccessDeniedException" in answer:
        return Reason.TRUST_POLICY_MISMATCH, {"cause": "pods"}
    if "non 200 response" in answer:
        detail = "the agent has no credentials for this pod"
        return Reason.POD_IDENTITY_UNAVAILABLE, {"detail": detail, "cause": "association"}
    return Reason.POD_IDENTITY_UNAVAILABLE, {"detail": "the agent does not answer", "cause": "agent"}


def _unreachable(error: aws.BotoCoreError, ca_files: Mapping[str, str]) -> tuple[Reason, dict[str, str]]:
    """No answer of STS: what the network did, or the proxy before it."""
    if isinstance(error, aws.ProxyConnectionError):
        return _proxy(error)
    url = urlsplit(str(_said(error, "endpoint_url") or ""))
    found = {"host": url.hostname} if url.hostname else {}
    # botocore lets urllib3 compare the names, which has an error of its own for that.
    cause = error.__context__ and error.__context__.args[:1]
    mismatch = isinstance(error, aws.SSLError) and "CertificateError" in repr(cause)
    reason = Reason.CERTIFICATE_NAME_MISMATCH if mismatch else network_reason(error)
    detail = _NETWORK.get(reason, "the connection fails")
    if reason is Reason.CERTIFICATE_UNTRUSTED and ca_files:
        reason = Reason.CA_FILE_UNUSABLE
        detail = f"{detail}, and {ca_files['variable']} cannot be used: {ca_files['detail']}"
    return Reason.STS_UNREACHABLE, {**found, "detail": detail, "cause": str(reason)}


def _proxy(error: aws.BotoCoreError) -> tuple[Reason, dict[str, str]]:
    """``host`` and ``port`` are the proxy's; its URL may hold a password."""
    url = urlsplit(str(_said(error, "proxy_url") or ""))
    found = {"host": url.hostname or "", "port": str(url.port or "")}
    if answered := re.search(r"failed: (\d{3})", str(_said(error, "error"))):
        found["status"] = answered[1]
    reason = network_reason(error, proxied=True)
    return (reason if reason in _PROXY else Reason.PROXY_UNREACHABLE), found


_PROXY = (Reason.PROXY_REFUSED, Reason.PROXY_AUTHENTICATION_REQUIRED)
