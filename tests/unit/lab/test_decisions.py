"""Who may log in to the lab's MSK, RDS and OpenSearch Serverless: tokens made by the real signers, judged by lab-iam.

The signers are those that the operator uses (botocore, the MSK signer, requests-aws4auth), so what passes here
is what they really send.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import botocore.session
import pytest
import requests
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import CredentialProvider
from botocore.credentials import Credentials as BotoCredentials
from requests_aws4auth import AWS4Auth

from lab import world
from lab.iam import credentials, defaults, state
from lab.iam.credentials import Cause, Credentials, NotAuthenticatedError
from lab.iam.decisions import (
    Account,
    Answer,
    ConnectRate,
    authorize,
    caller_of,
    role_arn,
    verify_aoss,
    verify_msk,
    verify_rds,
)
from lab.iam.sigv4 import Request

URL = f"https://{world.OPENSEARCH[0]}/connectivity-test/_doc"
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Bed:
    """An account with one session of the operator's role."""

    state: state.State
    caller: Credentials

    def at(self, offset: float = 0) -> Account:
        """The account as AWS sees it ``offset`` seconds from now."""
        known = {self.caller.access_key: self.caller}
        return Account(self.state, known.get, time.time() + offset)


@pytest.fixture
def bed() -> Bed:
    caller = credentials.assume_role(world.ROLE_NAME, "operator", expires=time.time() + 3600)
    return Bed(state.read(defaults.document()), caller)


def boto(caller: Credentials) -> BotoCredentials:
    return BotoCredentials(caller.access_key, caller.secret, caller.session_token)


# ── MSK ──────────────────────────────────────────────────────────────────────────────────────────────
def msk_url(caller: Credentials, region: str = world.REGION) -> str:
    class Fixed(CredentialProvider):  # type: ignore[misc]
        def load(self) -> BotoCredentials:
            return boto(caller)

    token, _ = MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, Fixed())
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()


def msk(account: Account, url: str, rate: ConnectRate | None = None) -> Answer:
    return verify_msk(account, rate or ConnectRate(), url, world.CLUSTER_ARN)


def test_the_real_msk_signer_is_accepted(bed: Bed) -> None:
    """Its User-Agent was appended after signing and is not part of the signature."""
    answer = msk(bed.at(), msk_url(bed.caller))
    assert answer.allowed, answer.reason
    assert answer.principal == f"arn:aws:sts::{world.ACCOUNT}:assumed-role/connectivity-test/operator"
    assert answer.expires == bed.caller.expires


def test_msk_refuses_a_wrong_secret(bed: Bed) -> None:
    """The client learns nothing but `Access denied`; the log learns the truth."""
    answer = msk(bed.at(), msk_url(replace(bed.caller, secret="wrong")))
    assert (answer.allowed, answer.message, answer.cause) == (False, "Access denied", Cause.SIGNATURE)


def test_msk_refuses_tampering(bed: Bed) -> None:
    """Every signed parameter counts: here the time of signing."""
    url = msk_url(bed.caller)
    stamp = url.partition("X-Amz-Date=")[2][:16]
    later = stamp[:-3] + f"{(int(stamp[-3:-1]) + 1) % 60:02d}Z"
    assert msk(bed.at(), url.replace(stamp, later)).cause is Cause.SIGNATURE


@pytest.mark.parametrize(
    ("offset", "cause"),
    [(890, None), (905, Cause.SIGNATURE_EXPIRED), (-290, None), (-310, Cause.SIGNATURE_EARLY)],
)
def test_an_msk_token_is_good_for_900_seconds(bed: Bed, offset: float, cause: Cause | None) -> None:
    """And five minutes of a clock that runs behind are forgiven."""
    assert msk(bed.at(offset), msk_url(bed.caller)).cause is cause


def test_msk_refuses_expired_unknown_and_foreign_credentials(bed: Bed) -> None:
    """Each with its own reason in the log."""
    url = msk_url(bed.caller)
    expired = replace(bed, caller=replace(bed.caller, expires=time.time() - 1))
    assert msk(expired.at(), url).cause is Cause.CREDENTIALS_EXPIRED
    assert msk(Account(bed.state, lambda _: None, time.time()), url).cause is Cause.UNKNOWN_KEY
    other_token = replace(bed, caller=replace(bed.caller, session_token="other"))
    assert msk(other_token.at(), url).cause is Cause.SESSION_TOKEN


def test_msk_refuses_another_region(bed: Bed) -> None:
    """The signer's region is in host and scope."""
    answer = msk(bed.at(), msk_url(bed.caller, "us-east-1"))
    assert not answer.allowed
    assert "us-east-1" in answer.reason


def test_msk_needs_connect_on_this_cluster(bed: Bed) -> None:
    """A good signature without the permission is `Access denied`, too."""
    answer = verify_msk(bed.at(), ConnectRate(), msk_url(bed.caller), world.CLUSTER_ARN.replace("/demo/", "/other/"))
    assert (answer.allowed, answer.message, answer.cause) == (False, "Access denied", None)
    assert "no identity-based policy allows kafka-cluster:Connect" in answer.reason


def test_msk_session_limits_are_faults(bed: Bed) -> None:
    """`Session too short` for credentials about to end; a cap shortens sessions; a rate refuses the surplus."""
    url = msk_url(bed.caller)
    short = replace(bed, caller=replace(bed.caller, expires=time.time() + 5))
    assert msk(short.at(), url).message == "Session too short"
    capped = replace(bed, state=replace(bed.state, faults=state.Faults(session_cap_seconds=7)))
    account = capped.at()
    assert msk(account, url).expires == account.now + 7
    limited = replace(bed, state=replace(bed.state, faults=state.Faults(connect_rate=2))).at()
    rate = ConnectRate()
    assert [msk(limited, url, rate).message for _ in range(3)] == ["", "", "Too many connects"]
    assert msk(replace(limited, now=limited.now + 1.01), url, rate).allowed


# ── RDS ──────────────────────────────────────────────────────────────────────────────────────────────
def rds_token(caller: Credentials, *, host: str = world.POSTGRESQL[0], user: str = world.DB_USER) -> str:
    client = botocore.session.get_session().create_client(
        "rds",
        region_name=world.REGION,
        aws_access_key_id=caller.access_key,
        aws_secret_access_key=caller.secret,
        aws_session_token=caller.session_token,
    )
    token: str = client.generate_db_auth_token(host, 5432, user)
    return token


def test_the_real_rds_token_is_accepted(bed: Bed) -> None:
    """It has no scheme, and with a real session token it is longer than 1 kB."""
    token = rds_token(bed.caller)
    assert len(token) > 1024
    assert not token.startswith("https://")
    assert verify_rds(bed.at(), token, world.DB_USER).allowed


@pytest.mark.parametrize(
    ("host", "user", "login", "reason"),
    [
        ("db.internal", world.DB_USER, world.DB_USER, "signed for host db.internal:5432"),
        (world.POSTGRESQL[0], "someone", world.DB_USER, "DBUser is 'someone'"),
        (world.POSTGRESQL[0], "Connectivity_Test", "Connectivity_Test", "no identity-based policy allows"),
    ],
)
def test_an_rds_token_is_for_one_endpoint_and_user(bed: Bed, host: str, user: str, login: str, reason: str) -> None:
    """A CNAME, another user's token and a user that the policy does not name are refused."""
    answer = verify_rds(bed.at(), rds_token(bed.caller, host=host, user=user), login)
    assert not answer.allowed
    assert reason in answer.reason


def test_an_rds_token_is_good_for_900_seconds(bed: Bed) -> None:
    """For opening a connection."""
    token = rds_token(bed.caller)
    assert verify_rds(bed.at(890), token, world.DB_USER).allowed
    assert verify_rds(bed.at(905), token, world.DB_USER).cause is Cause.SIGNATURE_EXPIRED


@pytest.mark.parametrize("password", ["", "secret", "[", "host:5432/?Action=connect", "\x00", "a" * 70000])
def test_any_other_password_is_refused(bed: Bed, password: str) -> None:
    """Whatever is typed as a password must not break the verifier."""
    assert not verify_rds(bed.at(), password, world.DB_USER).allowed


def test_a_token_may_not_claim_a_longer_life(bed: Bed) -> None:
    """Not even if it is signed: at most 900 seconds."""
    from botocore.auth import SigV4QueryAuth

    url = f"https://{world.POSTGRESQL[0]}:5432/?Action=connect&DBUser={world.DB_USER}"
    request = AWSRequest("GET", url)
    SigV4QueryAuth(boto(bed.caller), "rds-db", world.REGION, expires=3600).add_auth(request)
    answer = verify_rds(bed.at(), request.url.removeprefix("https://"), world.DB_USER)
    assert not answer.allowed
    assert "3600" in answer.reason


# ── OpenSearch Serverless ────────────────────────────────────────────────────────────────────────────
def by_requests(
    caller: Credentials, body: bytes = b'{"a":1}', *, method: str = "POST", url: str = URL, service: str = "aoss"
) -> Request:
    auth = AWS4Auth(caller.access_key, caller.secret, world.REGION, service, session_token=caller.session_token)
    prepared = requests.Request(method, url, data=body, auth=auth).prepare()
    headers = {k.lower(): v if isinstance(v, str) else v.decode() for k, v in prepared.headers.items()}
    headers.setdefault("host", world.OPENSEARCH[0])
    return Request(method, str(prepared.path_url), headers, hashlib.sha256(body).hexdigest())


def by_botocore(caller: Credentials, service: str, extra: Mapping[str, str], *, url: str = URL) -> Request:
    body = b'{"a":1}'
    signing = AWSRequest("POST", url, data=body, headers=dict(extra))
    SigV4Auth(boto(caller), service, world.REGION).add_auth(signing)
    headers = {k.lower(): v for k, v in signing.headers.items()}
    headers.setdefault("host", world.OPENSEARCH[0])
    return Request("POST", url.partition(world.OPENSEARCH[0])[2], headers, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize(
    "url",
    [URL, URL + "?routing=a%20b&x=", f"https://{world.OPENSEARCH[0]}/a%2Fb/_search?q=%C3%A9", URL + "?b=2&a-b=1&a=1"],
)
def test_the_real_aoss_signers_are_accepted(bed: Bed, url: str) -> None:
    """Encoded paths and queries included."""
    for request in (
        by_requests(bed.caller, url=url),
        by_botocore(bed.caller, "aoss", {"X-Amz-Content-SHA256": hashlib.sha256(b'{"a":1}').hexdigest()}, url=url),
    ):
        answer = verify_aoss(bed.at(), request)
        assert answer.allowed, answer.reason
        assert answer.api_access
        assert role_arn(answer.principal) == world.ROLE_ARN


def test_aoss_refuses_what_it_must(bed: Bed) -> None:
    """No signature, another service, a changed body, path or secret."""
    good = by_requests(bed.caller)
    unsigned = {k: v for k, v in good.headers.items() if k != "authorization"}
    assert verify_aoss(bed.at(), replace(good, headers=unsigned)).cause is Cause.MISSING
    assert verify_aoss(bed.at(), by_requests(bed.caller, service="es")).cause is Cause.SCOPE
    assert verify_aoss(bed.at(), replace(good, body_sha256=EMPTY)).cause is Cause.MALFORMED
    assert verify_aoss(bed.at(), replace(good, raw_path="/other/_doc")).cause is Cause.SIGNATURE
    assert verify_aoss(bed.at(), replace(good, method="PUT")).cause is Cause.SIGNATURE
    assert verify_aoss(bed.at(), by_requests(replace(bed.caller, secret="no"))).cause is Cause.SIGNATURE
    assert verify_aoss(bed.at(301), good).cause is Cause.SIGNATURE_EXPIRED


def test_aoss_wants_the_payload_hash_and_no_signed_content_length(bed: Bed) -> None:
    """Rules that only Serverless has; UNSIGNED-PAYLOAD is as good as a hash."""
    missing = verify_aoss(bed.at(), by_botocore(bed.caller, "aoss", {}))
    assert "x-amz-content-sha256 is missing" in missing.reason
    digest = {"X-Amz-Content-SHA256": hashlib.sha256(b'{"a":1}').hexdigest()}
    length = verify_aoss(bed.at(), by_botocore(bed.caller, "aoss", {**digest, "Content-Length": "7"}))
    assert "content-length" in length.reason
    unsigned = by_botocore(bed.caller, "aoss", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert verify_aoss(bed.at(), unsigned).allowed


def test_aoss_needs_api_access_on_the_collection(bed: Bed) -> None:
    """The signature is believed, the call is not allowed: no cause, but no access either."""
    document = defaults.document()
    del document["roles"][world.ROLE_NAME]["policies"]["opensearch"]
    answer = verify_aoss(replace(bed, state=state.read(document)).at(), by_requests(bed.caller))
    assert (answer.allowed, answer.api_access, answer.cause) == (False, False, None)
    assert "aoss:APIAccessAll" in answer.reason


# ── AWS APIs ─────────────────────────────────────────────────────────────────────────────────────────
def test_botocore_signed_headers_prove_the_caller(bed: Bed) -> None:
    """For STS and Secrets Manager."""
    assert caller_of(bed.at(), "sts", by_botocore(bed.caller, "sts", {})) == bed.caller
    with pytest.raises(NotAuthenticatedError) as refused:
        caller_of(bed.at(), "secretsmanager", by_botocore(bed.caller, "sts", {}))
    assert refused.value.cause is Cause.SCOPE


@pytest.mark.parametrize("header", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b"])
def test_an_incomplete_authorization_header_is_malformed(bed: Bed, header: str) -> None:
    """Not a crash, and not a signature."""
    request = Request("GET", "/", {"authorization": header, "host": "x", "x-amz-date": "20260101T000000Z"}, EMPTY)
    with pytest.raises(NotAuthenticatedError) as refused:
        caller_of(bed.at(), "sts", request)
    assert refused.value.cause is Cause.MALFORMED


# ── the default state ────────────────────────────────────────────────────────────────────────────────
KAFKA = f"arn:aws:kafka:{world.REGION}:{world.ACCOUNT}"
OPERATOR = f"arn:aws:sts::{world.ACCOUNT}:assumed-role/connectivity-test/operator"
LEAST = [
    ("kafka-cluster:Connect", world.CLUSTER_ARN, True),
    ("kafka-cluster:ReadData", f"{KAFKA}:topic/demo/{world.CLUSTER_UUID}/orders", True),
    ("kafka-cluster:DescribeTopic", f"{KAFKA}:topic/demo/{world.CLUSTER_UUID}/connectivity-test-2", True),
    ("kafka-cluster:WriteData", f"{KAFKA}:topic/demo/{world.CLUSTER_UUID}/payments", True),
    ("kafka-cluster:AlterGroup", f"{KAFKA}:group/demo/{world.CLUSTER_UUID}/connectivity-test.ns.name.1", True),
    ("kafka-cluster:AlterGroup", f"{KAFKA}:group/demo/{world.CLUSTER_UUID}/other", False),
    ("kafka-cluster:ReadData", f"{KAFKA}:topic/demo/{world.CLUSTER_UUID}/secret", False),
    ("kafka-cluster:CreateTopic", f"{KAFKA}:topic/demo/{world.CLUSTER_UUID}/orders", False),
    ("kafka-cluster:DescribeCluster", world.CLUSTER_ARN, False),
    ("secretsmanager:GetSecretValue", "*", False),
]


@pytest.mark.parametrize(("action", "resource", "expected"), LEAST)
def test_the_operator_may_do_exactly_what_it_needs(bed: Bed, action: str, resource: str, expected: bool) -> None:
    """And the tests' role everything."""
    assert authorize(bed.state, OPERATOR, action, resource).allowed is expected
    assert authorize(bed.state, OPERATOR.replace("connectivity-test/", "lab-admin/"), action, resource).allowed


@pytest.mark.parametrize("principal", ["ANONYMOUS", OPERATOR.replace("connectivity-test/", "gone/"), world.ROLE_ARN])
def test_other_principals_may_do_nothing(bed: Bed, principal: str) -> None:
    """Unknown names, roles that were deleted, and a role itself, which is nobody's session."""
    assert not authorize(bed.state, principal, "kafka-cluster:Connect", world.CLUSTER_ARN).allowed
