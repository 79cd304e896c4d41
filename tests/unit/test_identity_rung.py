"""The shared identity rung: it fails only when there are no credentials to go on with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectivity_operator.diagnosis import identity
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.ladder import Climb, climb
from connectivity_operator.reasons import Reason, Result, Rung, Service
from tests.fakes.identity import CALLER_ARN, ROLE_ARN, FakeIdentity, identity_error


async def climbed(fake: FakeIdentity) -> Climb:
    return await IdentityCheck(fake, known={"service_account": "operator"}).climb()


def warned(result: Climb) -> list[Reason]:
    return [warning.reason for warning in result.warnings]


async def test_a_passed_rung_knows_the_caller() -> None:
    """The principal is the role that policies name, not the session."""
    result = await climbed(FakeIdentity())
    assert result.passed
    assert result.warnings == ()
    assert result.evidence == {
        "service_account": "operator",
        "host": "sts.eu-west-2.amazonaws.com",
        "method": "WebIdentity",
        "principal": ROLE_ARN,
        "caller_arn": CALLER_ARN,
        "account": "111122223333",
        "partition": "aws",
    }


async def test_without_credentials_the_rung_fails_with_the_adapters_reason() -> None:
    """Its evidence comes along, and what was known before."""
    fake = FakeIdentity()
    fake.credentials_failure = identity_error(Reason.TRUST_POLICY_MISMATCH, subject="system:serviceaccount:a:b")
    result = await climbed(fake)
    assert result.failure is not None
    assert (result.failure.rung, result.failure.reason) == (Rung.IDENTITY, Reason.TRUST_POLICY_MISMATCH)
    assert result.failure.evidence["subject"] == "system:serviceaccount:a:b"
    assert result.failure.evidence["service_account"] == "operator"


@pytest.mark.parametrize(
    ("method", "reason"), [("Static", Reason.STATIC_CREDENTIALS_IN_USE), ("NodeRole", Reason.NODE_ROLE_IN_USE)]
)
async def test_credentials_that_are_not_the_pods_own_are_a_warning(method: str, reason: Reason) -> None:
    """They work, but they are not the role that was meant."""
    result = await climbed(FakeIdentity(method))
    assert result.outcomes[0].result is Result.WARNED
    assert warned(result) == [reason]


async def test_the_global_sts_endpoint_is_a_warning() -> None:
    """A VPC endpoint serves only the regional one."""
    assert warned(await climbed(FakeIdentity(endpoint="sts.amazonaws.com"))) == [Reason.GLOBAL_STS_ENDPOINT]


async def test_a_failed_refresh_with_good_credentials_is_a_warning_that_names_its_cause() -> None:
    """The climb goes on: there is still time to heal."""
    fake = FakeIdentity()
    fake.failing_refresh = identity_error(Reason.STS_UNREACHABLE, detail="no answer")
    result = await climbed(fake)
    assert result.passed
    assert warned(result) == [Reason.CREDENTIAL_REFRESH_FAILING]
    assert result.warnings[0].evidence["cause"] == "STSUnreachable"
    assert result.warnings[0].evidence["detail"] == "no answer"


async def test_sts_out_of_reach_is_a_warning_and_the_caller_stays_known() -> None:
    """The principal of the last answer still stands in remedies."""
    fake = FakeIdentity()
    check = IdentityCheck(fake)
    assert (await check.climb()).passed
    fake.caller_failure = identity_error(Reason.STS_UNREACHABLE)
    result = await check.climb()
    assert result.passed
    assert warned(result) == [Reason.CREDENTIAL_REFRESH_FAILING]
    assert result.evidence["principal"] == ROLE_ARN


async def test_sts_out_of_reach_from_the_start_still_passes_with_credentials() -> None:
    """Static keys or Pod Identity need no STS."""
    fake = FakeIdentity("PodIdentity")
    fake.caller_failure = identity_error(Reason.STS_UNREACHABLE)
    result = await climbed(fake)
    assert result.passed
    assert "principal" not in result.evidence


async def test_credentials_that_sts_refuses_fail_the_rung() -> None:
    """A refusal is about the credentials, whatever time they have left."""
    fake = FakeIdentity()
    fake.caller_failure = identity_error(Reason.CREDENTIALS_EXPIRED)
    result = await climbed(fake)
    assert result.failure is not None
    assert result.failure.reason is Reason.CREDENTIALS_EXPIRED


@pytest.mark.parametrize(("skew", "passes"), [(299.0, True), (-299.0, True), (301.0, False), (-301.0, False)])
async def test_a_clock_more_than_five_minutes_off_fails(skew: float, passes: bool) -> None:
    """AWS refuses the signatures of such a clock, with texts that do not say so."""
    fake = FakeIdentity()
    fake.answer = replace(fake.answer, clock_skew=skew)
    result = await climbed(fake)
    assert result.passed is passes
    if result.failure:
        assert result.failure.reason is Reason.CLOCK_SKEW
        assert result.failure.evidence["skew"] == f"{skew:+.0f}"


async def test_a_service_takes_over_the_shared_result() -> None:
    """Caller, warnings and failure are the same as if it had climbed the rung itself."""
    check = IdentityCheck(FakeIdentity("NodeRole"), known={"service_account": "operator"})
    passed = await climb(Service.KAFKA, [identity.step(check.climb)])
    assert passed.passed
    assert passed.evidence["principal"] == ROLE_ARN
    assert "service_account" not in passed.evidence
    assert [(w.reason, w.rung) for w in passed.warnings] == [(Reason.NODE_ROLE_IN_USE, Rung.IDENTITY)]

    fake = FakeIdentity()
    fake.credentials_failure = identity_error(Reason.NO_CREDENTIALS)
    failed = await climb(Service.KAFKA, [identity.step(IdentityCheck(fake).climb)])
    assert failed.service is Service.KAFKA
    assert failed.failure is not None
    assert (failed.failure.rung, failed.failure.reason) == (Rung.IDENTITY, Reason.NO_CREDENTIALS)
