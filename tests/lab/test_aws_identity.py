"""The credential chain against STS that verifies: each way to have no credentials has its own reason."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from connectivity_operator.adapters.aws import AwsIdentity
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Service
from lab import certificates, world
from lab.iam import control, pod_identity
from lab.kubernetes import access
from tests.fakes.peers import http_proxy, listening, say

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("account", "pod")]

STS = world.STS[0]


@pytest.fixture(scope="module")
def genuine(lab: object) -> str:
    """A token of the operator's ServiceAccount, as EKS projects it."""
    return access.token(world.OPERATOR_SERVICE_ACCOUNT, audience=world.TOKEN_AUDIENCE, duration="1h")


class Mounted:
    """The projected token's file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, token: str) -> None:
        self.path.write_text(token)

    def remove(self) -> None:
        self.path.unlink()

    def become_a_folder(self) -> None:
        self.path.mkdir()


@pytest.fixture
def token_file(tmp_path: Path, genuine: str) -> Mounted:
    mounted = Mounted(tmp_path / "token")
    mounted.write(genuine)
    return mounted


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, token_file: Mounted) -> None:
    """What EKS's webhook puts into a pod, and nothing else of AWS."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ROLE_ARN", world.ROLE_ARN)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token_file.path))


@pytest.fixture
async def identity(pod: None) -> AsyncIterator[AwsIdentity]:
    opened = AwsIdentity(region=world.REGION, ca_files=(certificates.authority_file(),))
    yield opened
    await opened.close()


async def refusal(identity: AwsIdentity) -> DependencyError:
    with pytest.raises(DependencyError) as refused:
        await identity.ensure_credentials()
    assert refused.value.service is Service.IDENTITY
    return refused.value


async def test_a_pod_with_a_role_knows_who_it_is(identity: AwsIdentity) -> None:
    """The session has a fixed name, STS is the regional one, and the clocks agree."""
    assert await identity.ensure_credentials() == "WebIdentity"
    caller = await identity.caller()
    assert caller.arn == f"arn:aws:sts::{world.ACCOUNT}:assumed-role/{world.ROLE_NAME}/connectivity-operator"
    assert caller.role_arn == world.ROLE_ARN
    assert caller.method == "WebIdentity"
    assert caller.endpoint == STS
    assert abs(caller.clock_skew) < 5
    assert identity.refresh_failure() is None


async def test_tokens_made_of_the_shared_credentials_are_accepted(identity: AwsIdentity) -> None:
    """Kafka's and the database's, by the verifier that both lab servers ask; Kafka's is made once for all."""
    token, expires = await identity.msk_token()
    assert 800 < expires / 1000 - time.time() <= 900
    url = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    question = {"kind": "msk", "url": url, "cluster": world.CLUSTER_ARN}
    assert control.request("POST", "/verify", question)["allowed"]
    assert await identity.msk_token() == (token, expires)
    password = await identity.rds_token(world.POSTGRESQL[0], 5432, world.DB_USER)
    question = {"kind": "rds", "token": password, "user": world.DB_USER}
    assert control.request("POST", "/verify", question)["allowed"]


async def test_all_who_wait_share_one_call_to_sts(identity: AwsIdentity) -> None:
    """Twenty ladders and pipelines at the start ask STS once."""
    calls: list[object] = []
    identity._session.botocore.register("before-call.sts", lambda **event: calls.append(event["model"].name))
    frozen = await asyncio.gather(*(identity.credentials() for _ in range(20)))
    assert calls == ["AssumeRoleWithWebIdentity"]
    assert len({one.access_key for one in frozen}) == 1


# ── the web identity token ───────────────────────────────────────────────────────────────────────────
def expired(genuine: str) -> str:
    """The same token, ended an hour ago: signed with the API server's own key."""
    claims = jwt.decode(genuine, options={"verify_signature": False})
    claims |= {"iat": int(time.time()) - 7200, "nbf": int(time.time()) - 7200, "exp": int(time.time()) - 3600}
    key = (access.FOLDER / "service-accounts.key").read_text()
    return jwt.encode(claims, key, "RS256", headers={"kid": jwt.get_unverified_header(genuine)["kid"]})


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda _: access.token("default", audience=world.TOKEN_AUDIENCE), Reason.TRUST_POLICY_MISMATCH),
        (lambda _: access.token(world.OPERATOR_SERVICE_ACCOUNT, audience="other"), Reason.AUDIENCE_MISMATCH),
        (expired, Reason.WEB_IDENTITY_TOKEN_EXPIRED),
        (lambda genuine: genuine[:-20], Reason.WEB_IDENTITY_TOKEN_INVALID),
        (lambda _: "no token at all", Reason.WEB_IDENTITY_TOKEN_INVALID),
        (lambda _: "", Reason.WEB_IDENTITY_TOKEN_INVALID),
    ],
    ids=["other service account", "other audience", "expired", "cut", "garbled", "empty"],
)
async def test_a_token_that_sts_refuses(
    identity: AwsIdentity, token_file: Mounted, genuine: str, write: Callable[[str], str], reason: Reason
) -> None:
    """STS tells these apart by code and text."""
    token_file.write(write(genuine))
    error = await refusal(identity)
    assert error.reason is reason
    assert error.evidence["path"] == str(token_file.path)
    assert error.evidence["role_arn"] == world.ROLE_ARN


async def test_the_evidence_of_a_refused_token_is_what_the_trust_policy_must_say(
    identity: AwsIdentity, token_file: Mounted
) -> None:
    """Issuer, subject and audience as IAM names them, the role's account and partition; and never the token."""
    text = access.token("default", audience=world.TOKEN_AUDIENCE)
    token_file.write(text)
    evidence = (await refusal(identity)).evidence
    assert evidence["issuer"] == world.KUBERNETES_ISSUER
    assert evidence["issuer_host"] == world.KUBERNETES_ISSUER.removeprefix("https://")
    assert evidence["subject"] == f"system:serviceaccount:{world.OPERATOR_NAMESPACE}:default"
    assert evidence["audience"] == world.TOKEN_AUDIENCE
    assert (evidence["account"], evidence["partition"]) == (world.ACCOUNT, "aws")
    assert not any(text.split(".")[2] in value for value in evidence.values())


async def test_a_token_file_that_is_absent_or_unreadable(identity: AwsIdentity, token_file: Mounted) -> None:
    """The projected volume is missing, or the pod's user may not read it (here: it is a folder)."""
    token_file.remove()
    assert (await refusal(identity)).reason is Reason.WEB_IDENTITY_TOKEN_MISSING
    token_file.become_a_folder()
    assert (await refusal(identity)).reason is Reason.WEB_IDENTITY_TOKEN_UNREADABLE


# ── the role and its provider ────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("role_arn", "reason"),
    [
        (f"arn:aws:iam::{world.ACCOUNT}:role/absent", Reason.TRUST_POLICY_MISMATCH),
        (f"arn:aws:iam::{world.ACCOUNT}:rolle/connectivity-test", Reason.INVALID_ROLE_ARN),
        ("connectivity-test", Reason.INVALID_ROLE_ARN),
    ],
)
async def test_a_role_that_cannot_be_assumed(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, role_arn: str, reason: Reason
) -> None:
    """An absent role and one that does not trust us are one answer of AWS; a malformed ARN is another."""
    monkeypatch.setenv("AWS_ROLE_ARN", role_arn)
    error = await refusal(identity)
    assert error.reason is reason
    assert error.evidence["role_arn"] == role_arn


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        ({"oidc_providers": {world.KUBERNETES_ISSUER: None}}, Reason.OIDC_PROVIDER_MISSING),
        ({"faults": {"identity_provider_unreachable": True}}, Reason.IDENTITY_PROVIDER_UNREACHABLE),
        ({"faults": {"sts_error": {"status": 503, "code": "ServiceUnavailable"}}}, Reason.SERVICE_UNAVAILABLE),
        ({"faults": {"sts_error": {"status": 400, "code": "Throttling"}}}, Reason.SERVICE_UNAVAILABLE),
        ({"faults": {"sts_error": {"status": 403, "code": "RegionDisabledException"}}}, Reason.STS_UNREACHABLE),
    ],
)
async def test_an_account_that_is_not_ready(identity: AwsIdentity, patch: dict[str, Any], reason: Reason) -> None:
    """The account lacks the cluster's provider, or AWS itself has trouble; it heals by itself afterwards."""
    with control.changed(patch):
        assert (await refusal(identity)).reason is reason
    assert await identity.ensure_credentials() == "WebIdentity"


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
async def test_a_web_page_in_the_place_of_sts_is_no_refusal(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """A firewall's or a portal's page says nothing of the role, whatever its status."""
    page = b"<html><body>Please log in</body></html>"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n".encode()
    async with listening(say(head + page)) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{port}")
        error = await refusal(identity)
    assert (error.reason, error.evidence["status"]) == (Reason.UNEXPECTED_ANSWER, status[:3])


# ── the pod's environment ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("unset", "reason", "variable"),
    [
        (["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"], Reason.NO_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (["AWS_WEB_IDENTITY_TOKEN_FILE"], Reason.NO_CREDENTIALS, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (["AWS_ROLE_ARN"], Reason.ROLE_NOT_CONFIGURED, "AWS_ROLE_ARN"),
    ],
)
async def test_variables_that_are_missing(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, unset: list[str], reason: Reason, variable: str
) -> None:
    """The ServiceAccount is not annotated, or only half of it reached the pod."""
    for name in unset:
        monkeypatch.delenv(name)
    error = await refusal(identity)
    assert (error.reason, error.evidence["variable"]) == (reason, variable)


async def test_half_of_a_static_key_names_the_other_half(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore stops at the first provider that has something."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    error = await refusal(identity)
    assert (error.reason, error.evidence["variable"]) == (Reason.NO_CREDENTIALS, "AWS_SECRET_ACCESS_KEY")


async def test_static_keys_win_over_the_role_and_wrong_ones_are_found_out(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are taken without a question; only GetCallerIdentity shows that they are worth nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)
    climbed = await IdentityCheck(identity).climb()
    assert climbed.failure is not None
    assert climbed.failure.reason is Reason.CREDENTIALS_REJECTED
    assert [warning.reason for warning in climbed.warnings] == [Reason.STATIC_CREDENTIALS_IN_USE]


async def test_a_token_needs_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials need none; what is signed with them does."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x" * 40)
    regionless = AwsIdentity(region=None, ca_files=(certificates.authority_file(),))
    with pytest.raises(DependencyError) as refused:
        await regionless.rds_token(world.POSTGRESQL[0], 5432, world.DB_USER)
    await regionless.close()
    assert (refused.value.reason, refused.value.evidence["variable"]) == (Reason.NOT_CONFIGURED, "AWS_REGION")


async def test_a_pod_identity_association_gives_credentials(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, token_file: Mounted
) -> None:
    """EKS Pod Identity: other variables, another token; without the association there is nothing to get."""
    monkeypatch.delenv("AWS_ROLE_ARN")
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", pod_identity.URI)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token_file.path))
    token_file.write(access.token(world.OPERATOR_SERVICE_ACCOUNT, audience=pod_identity.AUDIENCE))
    refused = await refusal(identity)
    assert refused.reason is Reason.POD_IDENTITY_UNAVAILABLE
    assert refused.evidence["detail"] == "the agent has no credentials for this pod"
    who = f"{world.OPERATOR_NAMESPACE}/{world.OPERATOR_SERVICE_ACCOUNT}"
    with control.changed(
        {
            "roles": {world.ROLE_NAME: {"trust": pod_identity.trust()}},
            "pod_identity_associations": {who: world.ROLE_NAME},
        }
    ):
        assert await identity.ensure_credentials() == "PodIdentity"
        assert (await identity.caller()).role_arn == world.ROLE_ARN


async def test_without_an_agent_pod_identity_is_unavailable(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, token_file: Mounted
) -> None:
    """The add-on is not installed: nothing listens. And without its token file nothing is asked."""
    monkeypatch.delenv("AWS_ROLE_ARN")
    monkeypatch.delenv("AWS_WEB_IDENTITY_TOKEN_FILE")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.77.0.99/v1/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(token_file.path))
    error = await refusal(identity)
    assert (error.reason, error.evidence["detail"]) == (
        Reason.POD_IDENTITY_UNAVAILABLE,
        "the agent does not answer",
    )
    token_file.remove()
    error = await refusal(identity)
    assert (error.reason, error.evidence["path"]) == (Reason.POD_IDENTITY_UNAVAILABLE, str(token_file.path))


# ── the way to STS ───────────────────────────────────────────────────────────────────────────────────
def redirect(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    """STS's name has another address, or none."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != STS:
            return resolve(host, *args, **kwargs)
        if address is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(address, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    ("address", "detail"),
    [
        (None, "its name does not resolve"),
        ("127.77.0.99", "it refuses the connection"),
        (world.OPENAI[1], "its certificate is for another name"),  # a sound server, of another name
    ],
)
async def test_an_sts_out_of_reach_says_which_step_failed(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, address: str | None, detail: str
) -> None:
    """Name, port and certificate have different remedies."""
    redirect(monkeypatch, address)
    error = await refusal(identity)
    assert error.reason is Reason.STS_UNREACHABLE
    assert error.evidence["host"] == STS
    assert error.evidence["region"] == world.REGION
    assert error.evidence["detail"] == detail


async def test_the_authorities_of_the_settings_are_needed_and_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no variable of other programs replaces them."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificates.authority_file()))
    strict = AwsIdentity(region=world.REGION)
    error = await refusal(strict)
    await strict.close()
    assert (error.reason, error.evidence["detail"]) == (
        Reason.STS_UNREACHABLE,
        "its certificate is not trusted",
    )


async def test_a_proxy_that_is_not_there_is_named_without_its_password(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STS is an HTTPS service like others; NO_PROXY is a remedy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.77.0.99:3128")
    error = await refusal(identity)
    assert error.reason is Reason.PROXY_UNREACHABLE
    assert (error.evidence["host"], error.evidence["port"]) == ("127.77.0.99", "3128")
    assert not any("secret" in value for value in error.evidence.values())


@pytest.mark.parametrize(
    ("status", "reason"), [(407, Reason.PROXY_AUTHENTICATION_REQUIRED), (403, Reason.PROXY_REFUSED)]
)
async def test_a_proxy_that_opens_no_tunnel(
    identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch, status: int, reason: Reason
) -> None:
    """Its answer to CONNECT says why."""
    async with listening(http_proxy(f"HTTP/1.1 {status} No\r\n\r\n".encode())) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = await refusal(identity)
    assert error.reason is reason
    assert error.evidence["status"] == str(status)


async def test_without_a_region_the_global_endpoint_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore does not read AWS_REGION: that is why the region is passed."""
    monkeypatch.setenv("AWS_REGION", world.REGION)
    regionless = AwsIdentity(region=None, ca_files=(certificates.authority_file(),))
    error = await refusal(regionless)
    await regionless.close()
    assert (error.reason, error.evidence["host"]) == (Reason.STS_UNREACHABLE, "sts.amazonaws.com")


@pytest.mark.parametrize(("ahead", "sign"), [(600, "-"), (-600, "+")])
async def test_a_clock_ten_minutes_off_is_measured(identity: AwsIdentity, ahead: int, sign: str) -> None:
    """Web identity needs no clock, so there are credentials; every signature of theirs is refused."""
    with control.changed({"faults": {"clock_skew_seconds": ahead}}):
        climbed = await IdentityCheck(identity).climb()
    assert climbed.failure is not None
    assert climbed.failure.reason is Reason.CLOCK_SKEW
    assert climbed.failure.evidence["skew"][0] == sign
    assert 595 < abs(float(climbed.failure.evidence["skew"])) < 605


# ── renewal ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_failed_renewal_of_good_credentials_is_only_remembered(
    identity: AwsIdentity, token_file: Mounted, genuine: str
) -> None:
    """Ten minutes before their end they still work; the next attempt that succeeds clears it."""
    with control.changed({"faults": {"credentials_cap_seconds": 600}}):
        before = await identity.credentials()
    token_file.write("no token at all")
    identity._attempted = float("-inf")  # as if the last attempt were long ago
    assert await identity.ensure_credentials() == "WebIdentity"
    assert await identity.credentials() == before
    failure = identity.refresh_failure()
    assert failure is not None
    assert failure.reason is Reason.WEB_IDENTITY_TOKEN_INVALID
    climbed = await IdentityCheck(identity).climb()
    assert climbed.passed
    assert Reason.CREDENTIAL_REFRESH_FAILING in [warning.reason for warning in climbed.warnings]
    token_file.write(genuine)
    identity._attempted = float("-inf")
    await identity.ensure_credentials()
    assert identity.refresh_failure() is None
    assert await identity.credentials() != before


async def test_less_than_two_minutes_before_the_end_a_failed_renewal_is_a_failure(
    identity: AwsIdentity, token_file: Mounted
) -> None:
    """The rung fails early enough to be seen; requests still go on with what there is."""
    with control.changed({"faults": {"credentials_cap_seconds": 100}}):
        before = await identity.credentials()
    token_file.remove()
    identity._attempted = float("-inf")
    assert (await refusal(identity)).reason is Reason.WEB_IDENTITY_TOKEN_MISSING
    assert await identity.credentials() == before


async def test_credentials_that_aws_ended_early_are_replaced(identity: AwsIdentity) -> None:
    """One answer says CredentialsExpired, the next call has new ones."""
    await identity.caller()
    control.expire_issued_credentials()
    with pytest.raises(DependencyError) as refused:
        await identity.caller()
    assert refused.value.reason is Reason.CREDENTIALS_EXPIRED
    assert (await identity.caller()).role_arn == world.ROLE_ARN


async def test_waiting_for_sts_does_not_stop_the_loop(identity: AwsIdentity, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS accepts and says nothing; meanwhile everything else goes on, and the caller's limit is kept."""
    with socket.socket() as silent:
        silent.bind(("127.77.0.98", 443))
        silent.listen()
        redirect(monkeypatch, "127.77.0.98")
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                began = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - began)

        ticking = asyncio.create_task(tick())
        climbed = await IdentityCheck(identity, limit=0.5).climb()
        ticking.cancel()
    assert climbed.failure is not None
    assert climbed.failure.reason is Reason.STS_UNREACHABLE
    assert climbed.failure.evidence["limit"] == "0.5"
    assert climbed.failure.evidence["host"] == STS
    assert max(gaps) < 2  # a blocked loop would have waited 5 s for STS
