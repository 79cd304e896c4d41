"""lab-iam refuses as AWS does: with the texts that users of AWS see, and the truth in its log."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore.session
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, CredentialRetrievalError
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lab import administration, certificates, openai, world
from lab.iam import control, defaults, pod_identity
from lab.iam.control import Issued
from lab.kubernetes import access

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account")]


def client(service: str, who: Issued | None) -> Any:
    """A client of the real SDK, pointed at nothing but the region."""
    session = botocore.session.get_session()
    config = Config(retries={"total_max_attempts": 1}, signature_version=None if who else UNSIGNED)
    keys = (
        {
            "aws_access_key_id": who.access_key_id,
            "aws_secret_access_key": who.secret_access_key,
            "aws_session_token": who.session_token,
        }
        if who
        else {}
    )
    ca = str(certificates.authority_file())
    return session.create_client(service, region_name=world.REGION, verify=ca, config=config, **keys)


def altered(who: Issued, **changes: str) -> Issued:
    return Issued(**{**who.__dict__, **changes})


def refusal(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    """Code and message of the refusal that the call must meet."""
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


# ── AssumeRoleWithWebIdentity ────────────────────────────────────────────────────────────────────────
@dataclass
class Issuer:
    """An OIDC issuer of the test's own: real TLS, discovery and keys."""

    url: str
    key: rsa.RSAPrivateKey
    answers: dict[str, Any]

    def token(self, *, key: rsa.RSAPrivateKey | None = None, **changes: Any) -> str:
        claims = {
            "iss": self.url,
            "sub": "system:serviceaccount:connectivity:operator",
            "aud": [world.TOKEN_AUDIENCE],
            "exp": int(time.time()) + 600,
            **changes,
        }
        return jwt.encode(claims, key or self.key, "RS256", headers={"kid": "test"})


@pytest.fixture(scope="module")
def issuer_server() -> Iterator[Issuer]:
    answers: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200 if self.path in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificates.issue("test-issuer", hosts=["127.0.0.1"]))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yield Issuer(f"https://127.0.0.1:{server.server_port}", key, answers)
    server.shutdown()
    server.server_close()


@pytest.fixture
def issuer(account: None, issuer_server: Issuer) -> Issuer:
    """Registered as a provider, and trusted by the operator's role."""
    public = {**RSAAlgorithm.to_jwk(issuer_server.key.public_key(), as_dict=True), "kid": "test", "alg": "RS256"}
    issuer_server.answers.clear()
    issuer_server.answers["/.well-known/openid-configuration"] = {
        "issuer": issuer_server.url,
        "jwks_uri": f"{issuer_server.url}/keys",
    }
    issuer_server.answers["/keys"] = {"keys": [public]}
    trust = json.dumps(defaults.trust("operator")).replace(
        world.KUBERNETES_ISSUER.removeprefix("https://"), issuer_server.url.removeprefix("https://")
    )
    control.patch_state(
        {
            "oidc_providers": {issuer_server.url: [world.TOKEN_AUDIENCE]},
            "roles": {world.ROLE_NAME: {"trust": json.loads(trust)}},
        }
    )
    return issuer_server


def assume(token: str, *, role_arn: str = world.ROLE_ARN, **more: Any) -> Any:
    return client("sts", None).assume_role_with_web_identity(
        RoleArn=role_arn, RoleSessionName="operator", WebIdentityToken=token, **more
    )


def test_a_genuine_token_gets_credentials_that_work(issuer: Issuer) -> None:
    """And the session has the name that was asked for, the length that was asked for, and AWS's shapes."""
    answer = assume(issuer.token(), DurationSeconds=1800)
    granted = answer["Credentials"]
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::111122223333:assumed-role/connectivity-test/operator"
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:connectivity:operator"
    assert 1790 <= (granted["Expiration"] - datetime.now(UTC)).total_seconds() <= 1801
    assert len(granted["SessionToken"]) > 1000
    who = Issued(granted["AccessKeyId"], granted["SecretAccessKey"], granted["SessionToken"], "", 0)
    identity = client("sts", who).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["Account"] == world.ACCOUNT


def test_a_forged_token_is_refused(issuer: Issuer) -> None:
    """Signed with a key that the issuer does not publish."""
    forged = issuer.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    code, message = refusal(assume, forged)
    assert code == "InvalidIdentityToken"
    assert "could not be validated" in message
    assert "InvalidSignatureError" in control.log()[-1]["reason"]


def test_an_expired_token_is_refused(issuer: Issuer) -> None:
    """With both times."""
    code, message = refusal(assume, issuer.token(exp=1700000000))
    assert code == "ExpiredTokenException"
    assert message.startswith("Token expired: current date/time ")
    assert message.endswith(" must be before the expiration date/time 1700000000")


def test_a_wrong_audience_is_refused(issuer: Issuer) -> None:
    """As from a volume without `audience: sts.amazonaws.com`."""
    refused = refusal(assume, issuer.token(aud="https://kubernetes.default.svc"))
    assert refused == ("InvalidIdentityToken", "Incorrect token audience")


def test_another_service_account_is_refused(issuer: Issuer) -> None:
    """The opaque text that the trust policy's owner must decipher; the log names the subject."""
    denied = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    assert refusal(assume, issuer.token(sub="system:serviceaccount:connectivity:default")) == denied
    assert "connectivity:default" in control.log()[-1]["reason"]
    assert refusal(assume, issuer.token(), role_arn=f"arn:aws:iam::{world.ACCOUNT}:role/absent") == denied
    elsewhere = world.ROLE_ARN.replace(world.ACCOUNT, world.ACCOUNT[::-1])
    assert refusal(assume, issuer.token(), role_arn=elsewhere) == denied


def test_an_unregistered_issuer_is_refused(issuer: Issuer) -> None:
    """The text names the issuer, as AWS's does."""
    control.patch_state({"oidc_providers": {issuer.url: None}})
    assert refusal(assume, issuer.token()) == (
        "InvalidIdentityToken",
        f"No OpenIDConnect provider found in your account for {issuer.url}",
    )


def test_an_issuer_that_cannot_be_reached_is_told_apart(issuer: Issuer) -> None:
    """Nothing listens; or it answers, but not with the key."""
    nowhere = "https://127.0.0.1:1"
    control.patch_state({"oidc_providers": {nowhere: [world.TOKEN_AUDIENCE]}})
    assert refusal(assume, issuer.token(iss=nowhere))[0] == "IDPCommunicationError"
    control.patch_state({"faults": {"identity_provider_unreachable": True}})
    assert refusal(assume, issuer.token())[0] == "IDPCommunicationError"
    control.patch_state({"faults": {"identity_provider_unreachable": False}})
    issuer.answers["/keys"] = {"keys": []}
    code, message = refusal(assume, issuer.token())
    assert code == "InvalidIdentityToken"
    assert message.startswith("Couldn't retrieve verification key")


def test_a_malformed_role_arn_is_a_validation_error(issuer: Issuer) -> None:
    """A typo in the annotation."""
    assert refusal(assume, issuer.token(), role_arn="arn:aws:iam::111122223333:rolle/connectivity-test") == (
        "ValidationError",
        "Request ARN is invalid",
    )


def test_what_is_no_token_is_refused(issuer: Issuer) -> None:
    """A garbled file."""
    code, message = refusal(assume, "garbage")
    assert code == "InvalidIdentityToken"
    assert message.startswith("The ID Token provided is not a valid JWT.")


def test_the_life_of_credentials_can_be_capped(issuer: Issuer) -> None:
    """A fault for tests of refreshing: whatever was asked for, they end sooner."""
    control.patch_state({"faults": {"credentials_cap_seconds": 5}})
    granted = assume(issuer.token())["Credentials"]
    assert (granted["Expiration"] - datetime.now(UTC)).total_seconds() <= 5


@pytest.mark.skipif("kubernetes" not in os.environ.get("LAB_PARTS", "kubernetes"), reason="needs the API server")
def test_a_service_accounts_token_of_the_cluster_is_taken() -> None:
    """The real chain: TokenRequest, the API server's discovery and keys, the role's trust policy."""
    answer = assume(access.token("operator", audience=world.TOKEN_AUDIENCE))
    assert answer["SubjectFromWebIdentityToken"] == "system:serviceaccount:connectivity:operator"
    assert answer["Provider"] == "arn:aws:iam::111122223333:oidc-provider/127.96.0.1:443"
    assert refusal(assume, access.token("operator")) == ("InvalidIdentityToken", "Incorrect token audience")
    stranger = access.token("default", audience=world.TOKEN_AUDIENCE)
    assert refusal(assume, stranger)[0] == "AccessDenied"


# ── EKS Pod Identity ─────────────────────────────────────────────────────────────────────────────────
def pod_credentials(monkeypatch: pytest.MonkeyPatch, folder: Path, token: str) -> Any:
    """What the SDK's own chain finds in a Pod with an association."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    file = folder / "token"
    file.write_text(token)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod_identity.URI)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(file))
    return botocore.session.get_session().get_credentials()


def test_a_pod_gets_the_role_of_its_association(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a token for the agent's audience, an association, and a role that trusts the service."""
    token = issuer.token(aud=pod_identity.AUDIENCE)
    with pytest.raises(CredentialRetrievalError, match="404"):
        pod_credentials(monkeypatch, tmp_path, token)
    control.patch_state({"pod_identity_associations": {"connectivity/operator": world.ROLE_NAME}})
    with pytest.raises(CredentialRetrievalError, match="400"):
        pod_credentials(monkeypatch, tmp_path, token)
    control.patch_state({"roles": {world.ROLE_NAME: {"trust": pod_identity.trust()}}})
    with pytest.raises(CredentialRetrievalError, match="400"):
        pod_credentials(monkeypatch, tmp_path, issuer.token())
    found = pod_credentials(monkeypatch, tmp_path, token)
    assert found.method == "container-role"
    who = Issued(found.access_key, found.secret_key, found.token, "", 0)
    assert "assumed-role/connectivity-test/eks-lab-operator-" in client("sts", who).get_caller_identity()["Arn"]


# ── GetCallerIdentity ────────────────────────────────────────────────────────────────────────────────
def test_signatures_are_really_verified() -> None:
    """A wrong secret, an unknown key, a foreign session token and expired credentials: each with STS's own text."""
    who = control.issue()
    ask = "get_caller_identity"
    assert client("sts", who).get_caller_identity()["Arn"] == who.principal
    code, message = refusal(getattr(client("sts", altered(who, secret_access_key="x" * 40)), ask))
    assert code == "SignatureDoesNotMatch"
    assert message.startswith("The request signature we calculated does not match")
    invalid = ("InvalidClientTokenId", "The security token included in the request is invalid.")
    assert refusal(getattr(client("sts", altered(who, access_key_id="ASIAUNKNOWN")), ask)) == invalid
    assert refusal(getattr(client("sts", altered(who, session_token="x" * 1000)), ask)) == invalid
    expired = ("ExpiredToken", "The security token included in the request is expired")
    assert refusal(getattr(client("sts", control.issue(seconds=-1)), ask)) == expired
    control.expire_issued_credentials()
    assert refusal(getattr(client("sts", who), ask)) == expired
    assert refusal(getattr(client("sts", None), ask))[0] == "MissingAuthenticationToken"


def test_a_wrong_clock_shows_in_the_date_and_in_the_refusal() -> None:
    """AWS's clock is ten minutes ahead of ours: `Date` says so, signatures are expired."""
    control.patch_state({"faults": {"clock_skew_seconds": 600}})
    who = control.issue()
    with pytest.raises(ClientError) as refused:
        client("sts", who).get_caller_identity()
    error = refused.value.response
    assert error["Error"]["Code"] == "SignatureDoesNotMatch"
    assert error["Error"]["Message"].startswith("Signature expired: ")
    date = parsedate_to_datetime(error["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert 595 <= (date - datetime.now(UTC)).total_seconds() <= 605


def test_an_outage_of_sts_can_be_injected() -> None:
    """Every call gets the injected answer."""
    control.patch_state({"faults": {"sts_error": {"status": 503, "code": "ServiceUnavailable", "message": "later"}}})
    assert refusal(client("sts", control.issue()).get_caller_identity) == ("ServiceUnavailable", "later")


# ── Secrets Manager ──────────────────────────────────────────────────────────────────────────────────
def test_a_secret_needs_the_permission() -> None:
    """The operator's role may not read it, the tests' may; AWS names principal, action and resource."""
    secret = {"SecretId": world.OPENAI_SECRET_NAME}
    who = control.issue()
    code, message = refusal(client("secretsmanager", who).get_secret_value, **secret)
    assert code == "AccessDeniedException"
    assert message == (
        f"User: {who.principal} is not authorized to perform: secretsmanager:GetSecretValue on resource: "
        f"{world.OPENAI_SECRET_NAME} because no identity-based policy allows the secretsmanager:GetSecretValue action"
    )
    admin = client("secretsmanager", control.issue("lab-admin"))
    assert admin.get_secret_value(**secret)["SecretString"] == openai.API_KEY
    assert refusal(admin.get_secret_value, SecretId="absent") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )


def test_a_secret_needs_a_good_signature() -> None:
    """In the JSON protocol's own codes."""
    forged = altered(control.issue("lab-admin"), secret_access_key="x" * 40)
    call = client("secretsmanager", forged).get_secret_value
    assert refusal(call, SecretId=world.OPENAI_SECRET_NAME)[0] == "InvalidSignatureException"


# ── administration ───────────────────────────────────────────────────────────────────────────────────
def test_permissions_are_taken_away_and_given_back_at_once() -> None:
    """The switch behind every missing-permission test."""
    question = [
        {
            "principal": control.issue().principal,
            "action": "kafka-cluster:ReadData",
            "resource": defaults.operator_policies()["kafka"]["Statement"][1]["Resource"][0],
        }
    ]
    assert control.request("POST", "/authorize", question) == [{"allowed": True}]
    with control.without("kafka-cluster:ReadData"):
        assert control.request("POST", "/authorize", question) == [{"allowed": False}]
        assert "kafka-cluster:ReadData" in control.log()[-1]["reason"]
    assert control.request("POST", "/authorize", question) == [{"allowed": True}]


def test_data_access_policies_are_the_second_lock() -> None:
    """By role ARN, per index, and changed at run time."""
    who = control.issue().principal
    question = [
        {"principal": who, "permission": "aoss:WriteDocument", "resource": "index/demo/connectivity-test-1"},
        {"principal": who, "permission": "aoss:WriteDocument", "resource": "index/demo/other"},
    ]
    assert control.request("POST", "/aoss/authorize", question) == [{"allowed": True}, {"allowed": False}]
    with control.changed({"data_access_policies": {"connectivity-test": []}}):
        assert control.request("POST", "/aoss/authorize", question)[0] == {"allowed": False}


def test_a_misspelt_fault_is_refused() -> None:
    """Otherwise a test would pass for the wrong reason."""
    with pytest.raises(administration.RefusedError, match="unknown clock_skw"):
        control.patch_state({"faults": {"clock_skw": 1}})
