"""botocore's failures become reasons; what the lab cannot provoke is built here from botocore's own exceptions."""

from __future__ import annotations

import base64
import errno
import json
import os
from pathlib import Path

import pytest
from botocore import exceptions as aws

from connectivity_operator.adapters.aws import Frozen, tokens, web_identity
from connectivity_operator.adapters.aws.failures import Situation, explain
from connectivity_operator.reasons import Reason, Service

TOKEN_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
FACTS = {"path": TOKEN_FILE, "role_arn": "arn:aws:iam::111122223333:role/connectivity-test", "region": "eu-west-2"}


def answered(code: str, message: str = "", *, operation: str = "AssumeRoleWithWebIdentity") -> aws.ClientError:
    metadata = {"HTTPStatusCode": 403}
    return aws.ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)  # type: ignore[typeddict-item, unused-ignore]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (answered("IDPRejectedClaim", "rejected"), Reason.WEB_IDENTITY_TOKEN_INVALID),
        (answered("ValidationError", "Value '' at 'webIdentityToken' failed"), Reason.WEB_IDENTITY_TOKEN_INVALID),
        (answered("ExpiredToken", operation="GetCallerIdentity"), Reason.CREDENTIALS_EXPIRED),
        (answered("InvalidClientTokenId", operation="GetCallerIdentity"), Reason.CREDENTIALS_REJECTED),
        (
            answered("SignatureDoesNotMatch", "Signature expired: …", operation="GetCallerIdentity"),
            Reason.CLOCK_SKEW,
        ),
        (
            answered("SignatureDoesNotMatch", "The request signature we …", operation="GetCallerIdentity"),
            Reason.CREDENTIALS_REJECTED,
        ),
        (
            answered("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
            Reason.TRUST_POLICY_MISMATCH,
        ),
        (answered("AccessDenied", "… because no VPC endpoint policy allows …"), Reason.STS_ACCESS_DENIED),
        (answered("AccessDenied", "… explicit deny in a resource control policy"), Reason.STS_ACCESS_DENIED),
        (answered("AccessDenied", "… not authorized …", operation="GetCallerIdentity"), Reason.STS_ACCESS_DENIED),
        (aws.ProfileNotFound(profile="x"), Reason.NO_CREDENTIALS),
        (aws.CredentialRetrievalError(provider="custom-process", error_msg="x"), Reason.NO_CREDENTIALS),
        (
            aws.CredentialRetrievalError(
                provider="container-role",
                error_msg="Received non 200 response 400 from container metadata: (AccessDeniedException): …",
            ),
            Reason.TRUST_POLICY_MISMATCH,
        ),
        (aws.ReadTimeoutError(endpoint_url="https://sts.eu-west-2.amazonaws.com/"), Reason.STS_UNREACHABLE),
        (aws.ProxyConnectionError(proxy_url="http://user:secret@proxy:3128"), Reason.PROXY_UNREACHABLE),
        (PermissionError(errno.EACCES, "denied", TOKEN_FILE), Reason.WEB_IDENTITY_TOKEN_UNREADABLE),
        (FileNotFoundError(errno.ENOENT, "absent", "/var/run/other"), Reason.POD_IDENTITY_UNAVAILABLE),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), Reason.WEB_IDENTITY_TOKEN_INVALID),
        (ValueError("Unsupported host '10.0.0.1'"), Reason.POD_IDENTITY_UNAVAILABLE),
        (RuntimeError("Credentials were refreshed, but …"), Reason.CREDENTIALS_EXPIRED),
    ],
)
def test_each_failure_has_its_reason(error: Exception, reason: Reason) -> None:
    """Evidence holds what was known before."""
    explained = explain(error, Situation(FACTS, None))
    assert (explained.service, explained.reason) == (Service.IDENTITY, reason)
    assert explained.evidence["role_arn"] == FACTS["role_arn"]


@pytest.mark.parametrize(
    "error",
    [
        aws.ProxyConnectionError(proxy_url="http://user:secret@proxy:3128"),
        aws.CredentialRetrievalError(provider="container-role", error_msg="secret"),
        answered("AccessDenied", "secret"),
        aws.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_no_text_of_botocore_is_passed_on(error: Exception) -> None:
    """Some of them hold passwords."""
    explained = explain(error, Situation({}, None))
    assert not any("secret" in value for value in (*explained.evidence.values(), str(explained)))


@pytest.mark.parametrize(("skew", "reason"), [(None, "WebIdentityTokenExpired"), (-3600.0, "ClockSkew")])
def test_an_expired_token_under_a_wrong_clock_is_the_clocks_fault(skew: float | None, reason: str) -> None:
    """Both clocks were in the answer that refused the token."""
    explained = explain(answered("ExpiredTokenException"), Situation(FACTS, skew))
    assert explained.reason == reason
    assert explained.evidence.get("skew") == (f"{skew:+.0f}" if skew else None)


def test_fresh_credentials_that_are_expired_mean_a_clock_ahead() -> None:
    """STS gives an hour; only a clock more than an hour ahead finds that expired."""
    error = RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")
    assert explain(error, Situation(FACTS, 7200.0)).reason is Reason.CLOCK_SKEW


# ── the web identity's facts ─────────────────────────────────────────────────────────────────────────
def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.signature"


def test_claims_are_read_as_iam_names_them(tmp_path: Path) -> None:
    """The issuer without its scheme is what trust policies and provider ARNs use."""
    file = tmp_path / "token"
    file.write_text(
        jwt(iss="https://oidc.eks.example/id/1", sub="system:serviceaccount:a:b", aud=["x"], exp=1767225600)
    )
    facts = web_identity.evidence(
        {"AWS_WEB_IDENTITY_TOKEN_FILE": str(file), "AWS_ROLE_ARN": "arn:aws-cn:iam::111122223333:role/path/name"}
    )
    assert facts == {
        "path": str(file),
        "role_arn": "arn:aws-cn:iam::111122223333:role/path/name",
        "partition": "aws-cn",
        "account": "111122223333",
        "issuer": "https://oidc.eks.example/id/1",
        "issuer_host": "oidc.eks.example/id/1",
        "subject": "system:serviceaccount:a:b",
        "namespace": "a",
        "service_account": "b",
        "audience": "x",
        "expires": "2026-01-01T00:00:00Z",
    }


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.!!.c", "a.W10.c", jwt(iss=5), "a.é.c"])
def test_whatever_is_in_the_file_explaining_never_fails(tmp_path: Path, text: str) -> None:
    """The refusal is what counts; its explanation may lack facts."""
    file = tmp_path / "token"
    file.write_text(text)
    assert web_identity.claims(file) == {}
    assert web_identity.claims(tmp_path / "absent") == {}


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────
KEYS = Frozen("AKIAIOSFODNN7EXAMPLE", "very secret", "session+token/=")


def test_secrets_are_not_shown() -> None:
    """A traceback with local variables must not hold keys."""
    assert repr(KEYS) == "Frozen(access_key='AKIAIOSFODNN7EXAMPLE')"


def test_an_rds_token_is_a_presigned_url_without_its_scheme() -> None:
    """Host, port and user stand in it, encoded; 15 minutes is what RDS allows."""
    token = tokens.rds(KEYS, "eu-west-2", host="demo.example", port=5432, user="app user+1")
    assert token.startswith("demo.example:5432/?Action=connect&DBUser=app%20user%2B1&X-Amz-Algorithm=")
    assert "X-Amz-Expires=900" in token
    assert "%2Feu-west-2%2Frds-db%2Faws4_request" in token
    assert "X-Amz-Security-Token=session%2Btoken%2F%3D" in token
    assert "very secret" not in token


def test_an_msk_token_is_signed_by_the_keys_that_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by whatever the environment has."""
    monkeypatch.setitem(os.environ, "AWS_ACCESS_KEY_ID", "AKIAOTHER")
    token, expires = tokens.msk(KEYS, "eu-west-2")
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    assert url.startswith("https://kafka.eu-west-2.amazonaws.com/?Action=kafka-cluster%3AConnect")
    assert "AKIAIOSFODNN7EXAMPLE" in url
    assert expires % 1000 == 0
