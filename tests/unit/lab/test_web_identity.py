"""Rules by which the lab's STS takes or refuses a web identity token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lab import world
from lab.iam import defaults, state, sts, web_identity
from lab.iam.errors import ServiceError

SUBJECT = f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:{world.OPERATOR_SERVICE_ACCOUNT}"
FORM = {
    "Action": "AssumeRoleWithWebIdentity",
    "RoleArn": world.ROLE_ARN,
    "RoleSessionName": "operator",
    "WebIdentityToken": "a.b.c",
}


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def keys_of(key: rsa.RSAPrivateKey, key_id: str = "k1") -> jwt.PyJWKSet:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return jwt.PyJWKSet.from_dict({"keys": [{**public, "kid": key_id, "use": "sig", "alg": "RS256"}]})


def token(key: Any, *, algorithm: str = "RS256", key_id: str = "k1", **changes: Any) -> str:
    claims = {
        "iss": world.KUBERNETES_ISSUER,
        "sub": SUBJECT,
        "aud": [world.TOKEN_AUDIENCE],
        "exp": int(time.time()) + 3600,
        "iat": int(time.time()),
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(present, key, algorithm, headers={"kid": key_id})


class Refusal:
    """What a block was refused with, once it is left."""

    message = ""


@contextmanager
def refusal(code: str) -> Iterator[Refusal]:
    """The block must raise a `ServiceError` of that code."""
    refused = Refusal()
    with pytest.raises(ServiceError) as info:
        yield refused
    refused.message = info.value.message
    assert info.value.code == code


def test_a_genuine_token_passes(key: rsa.RSAPrivateKey) -> None:
    """Read, verified, current and for the registered audience."""
    text = token(key)
    claims = web_identity.unverified_claims(text)
    web_identity.verify_signature(text, claims, keys_of(key))
    web_identity.check_audience_and_expiry(claims, [world.TOKEN_AUDIENCE], now=time.time())
    assert claims.subject == SUBJECT


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.bm90anNvbg.AAAA"])
def test_what_is_not_a_jwt_is_refused(text: str) -> None:
    """With AWS's hint at access tokens."""
    with refusal("InvalidIdentityToken") as refused:
        web_identity.unverified_claims(text)
    assert refused.message.startswith("The ID Token provided is not a valid JWT.")


def test_a_token_without_an_audience_is_refused(key: rsa.RSAPrivateKey) -> None:
    """AWS names the claim that is missing."""
    with refusal("InvalidIdentityToken") as refused:
        web_identity.unverified_claims(token(key, aud=None))
    assert refused.message == "Missing a required claim: aud"


def test_a_forged_signature_is_refused(key: rsa.RSAPrivateKey) -> None:
    """Made with another key under the issuer's key id."""
    text = token(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    with refusal("InvalidIdentityToken") as refused:
        web_identity.verify_signature(text, web_identity.unverified_claims(text), keys_of(key))
    assert "could not be validated" in refused.message


def test_an_unknown_key_id_is_refused(key: rsa.RSAPrivateKey) -> None:
    """In AWS's words, which sound like a network fault."""
    text = token(key, key_id="k2")
    with refusal("InvalidIdentityToken") as refused:
        web_identity.verify_signature(text, web_identity.unverified_claims(text), keys_of(key))
    assert refused.message.startswith("Couldn't retrieve verification key from your identity provider")


@pytest.mark.parametrize(("algorithm", "secret"), [("none", None), ("HS256", "s" * 32)])
def test_the_token_does_not_choose_its_algorithm(key: rsa.RSAPrivateKey, algorithm: str, secret: str | None) -> None:
    """Only RS256: an unsigned token or one signed with a shared secret proves nothing."""
    text = token(secret, algorithm=algorithm)
    with refusal("InvalidIdentityToken"):
        web_identity.verify_signature(text, web_identity.unverified_claims(text), keys_of(key))


def test_an_expired_token_is_refused_with_both_times(key: rsa.RSAPrivateKey) -> None:
    """AWS prints its clock and the expiry, which is how a wrong clock is recognised."""
    claims = web_identity.unverified_claims(token(key, exp=1700000000))
    with refusal("ExpiredTokenException") as refused:
        web_identity.check_audience_and_expiry(claims, [world.TOKEN_AUDIENCE], now=1700000001.5)
    assert refused.message == (
        "Token expired: current date/time 1700000001 must be before the expiration date/time 1700000000"
    )


def test_a_wrong_audience_is_refused(key: rsa.RSAPrivateKey) -> None:
    """One registered client id among the token's audiences is enough."""
    claims = web_identity.unverified_claims(token(key, aud=["https://kubernetes.default.svc"]))
    with refusal("InvalidIdentityToken") as refused:
        web_identity.check_audience_and_expiry(claims, [world.TOKEN_AUDIENCE], now=0)
    assert refused.message == "Incorrect token audience"
    both = web_identity.unverified_claims(token(key, aud=["x", world.TOKEN_AUDIENCE]))
    web_identity.check_audience_and_expiry(both, [world.TOKEN_AUDIENCE], now=0)


@pytest.mark.parametrize(
    ("role", "subject", "allowed"),
    [
        (world.ROLE_NAME, SUBJECT, True),
        (world.ROLE_NAME, "system:serviceaccount:connectivity:default", False),
        (world.ROLE_NAME, "system:serviceaccount:other:operator", False),
        ("lab-admin", SUBJECT, False),
        ("absent", SUBJECT, False),
    ],
)
def test_the_role_must_exist_and_trust_the_subject(
    key: rsa.RSAPrivateKey, role: str, subject: str, allowed: bool
) -> None:
    """A missing role and a missing trust read the same."""
    request = sts.read_request({**FORM, "RoleArn": f"arn:aws:iam::{world.ACCOUNT}:role/{role}"})
    claims = web_identity.unverified_claims(token(key, sub=subject))
    account = state.read(defaults.document())
    if allowed:
        sts.check_trust(account, request, claims)
    else:
        with refusal("AccessDenied") as refused:
            sts.check_trust(account, request, claims)
        assert refused.message == "Not authorized to perform sts:AssumeRoleWithWebIdentity"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RoleArn": "connectivity-test"}, "Member must have length greater than or equal to 20"),
        ({"RoleArn": "arn:aws:iam::1111:role/connectivity-test"}, "Request ARN is invalid"),
        ({"RoleArn": "arn:aws:iam::111122223333:user/connectivity-test"}, "Request ARN is invalid"),
        ({"RoleSessionName": "a"}, "Value 'a' at 'roleSessionName'"),
        ({"RoleSessionName": "a b"}, "regular expression"),
        ({"WebIdentityToken": "a"}, "'webIdentityToken'"),
        ({"DurationSeconds": "60"}, "greater than or equal to 900"),
        ({"DurationSeconds": "99999"}, "less than or equal to 43200"),
    ],
)
def test_malformed_parameters_are_validation_errors(changes: dict[str, str], message: str) -> None:
    """Before anything else is looked at."""
    with refusal("ValidationError") as refused:
        sts.read_request({**FORM, **changes})
    assert message in refused.message


def test_a_missing_parameter_is_named() -> None:
    """As null, in the API's own spelling."""
    with refusal("ValidationError") as refused:
        sts.read_request({k: v for k, v in FORM.items() if k != "RoleArn"})
    assert "Value null at 'roleArn'" in refused.message


def test_a_duration_longer_than_the_roles_maximum_is_refused(key: rsa.RSAPrivateKey) -> None:
    """One hour unless the role says otherwise."""
    request = sts.read_request({**FORM, "DurationSeconds": "7200"})
    claims = web_identity.unverified_claims(token(key))
    with refusal("ValidationError") as refused:
        sts.check_trust(state.read(defaults.document()), request, claims)
    assert "exceeds the MaxSessionDuration" in refused.message
