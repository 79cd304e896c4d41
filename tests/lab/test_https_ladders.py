"""The ladders of OpenAI and OpenSearch, climbed on the lab's servers, with the words that a person reads."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.aws import Frozen
from connectivity_operator.adapters.embeddings import ApiKey, OpenAIEmbedder
from connectivity_operator.adapters.opensearch import OpenSearchIndex
from connectivity_operator.diagnosis import catalogue
from connectivity_operator.diagnosis.embeddings import EmbeddingsLadder
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.opensearch import OpenSearchLadder
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from lab import certificates, world
from lab.iam import control as iam
from lab.openai import API_KEY
from lab.openai import control as openai
from lab.opensearch import admin
from lab.opensearch import control as opensearch
from tests.fakes.identity import ROLE_ARN, FakeIdentity
from tests.fakes.peers import http_proxy, listening

pytestmark = pytest.mark.usefixtures("account", "healthy")

SMALL = "text-embedding-3-small"
INDEX = f"connectivity-test-{uuid.uuid4().hex[:8]}"
TARGET = Target(index=INDEX, model=SMALL)


@pytest.fixture
async def healthy(lab: object) -> AsyncIterator[None]:
    """Servers as `lab up` made them, and no index, before and after."""
    openai.reset()
    opensearch.reset()
    yield
    openai.reset()
    opensearch.reset()
    admin.delete_index(INDEX)


async def credentials() -> Frozen:
    issued = iam.issue()
    return Frozen(issued.access_key_id, issued.secret_access_key, issued.session_token)


@asynccontextmanager
async def diagnosis(key: str = API_KEY, proxy: str | None = None, **settings: Any) -> AsyncIterator[Diagnosis]:
    """Both ladders as the operator in the lab has them."""
    usual: dict[str, Any] = {
        "opensearch_endpoint": f"https://{world.OPENSEARCH[0]}",
        "opensearch_collection_name": world.COLLECTION_NAME,
        "aws_region": world.REGION,
        "https_proxy": proxy,
    }
    made = Settings(**{**usual, **settings})
    authority = certificates.authority_file()
    context = trust.context(authority)
    embedder = OpenAIEmbedder(
        base_url=made.openai_base_url, api_key=ApiKey(value=key), context=context, proxy=proxy, timeout=5
    )
    index = OpenSearchIndex(
        endpoint=str(made.opensearch_endpoint),
        service=made.opensearch_service,
        region=made.aws_region,
        credentials=credentials,
        ca_bundle=trust.bundle(authority),
        proxy=proxy,
    )
    identity = IdentityCheck(FakeIdentity()).climb
    yield Diagnosis(
        [
            EmbeddingsLadder(settings=made, embedder=embedder, context=context),
            OpenSearchLadder(settings=made, index=index, identity=identity, context=context),
        ],
        Probes(),
    )
    await embedder.close()
    await index.close()


async def climbed(service: Service, target: Target = TARGET, **options: Any) -> Climb:
    async with diagnosis(**options) as made:
        return await made.examine(service, target, max_age=0)


def failure(climb: Climb) -> tuple[Rung, Reason]:
    assert climb.failure is not None
    return climb.failure.rung, climb.failure.reason


def words(service: Service, climb: Climb) -> catalogue.Explanation:
    assert climb.failure is not None
    return catalogue.describe(service, climb.failure)


# ── all is well ──────────────────────────────────────────────────────────────────────────────────────
async def test_openai_is_climbed_by_one_paid_request() -> None:
    """The key is proven by a request that costs nothing."""
    climb = await climbed(Service.OPENAI)
    assert climb.passed
    assert {outcome.result for outcome in climb.outcomes} == {Result.PASSED}
    assert openai.counters()["inputs"] == 1


async def test_opensearch_is_climbed_and_left_as_it_was() -> None:
    """No index is made by looking, no document by proving that one may be written."""
    climb = await climbed(Service.OPENSEARCH)
    assert climb.passed
    assert [warning.reason for warning in climb.warnings] == [Reason.INDEX_ABSENT]
    assert not admin.exists(INDEX)
    created = await climbed(Service.OPENSEARCH, Target(index=INDEX, model=SMALL, create=True))
    assert created.passed
    assert created.warnings == ()
    again = await climbed(Service.OPENSEARCH)
    assert again.evidence["dimensions"] == "1536"
    assert {outcome.result for outcome in again.outcomes} == {Result.PASSED}
    assert admin.count(INDEX) == 0


@pytest.mark.parametrize("service", [Service.OPENAI, Service.OPENSEARCH])
async def test_through_a_proxy_every_rung_goes_through_it(service: Service) -> None:
    """The climb goes the way of the clients, and the clients go through the proxy as well."""
    async with listening(http_proxy()) as port:
        climb = await climbed(service, proxy=f"http://127.0.0.1:{port}")
    assert climb.passed
    reached = {outcome.rung: outcome.evidence for outcome in climb.outcomes}
    assert (reached[Rung.DNS]["host"], reached[Rung.DNS]["port"]) == ("127.0.0.1", str(port))
    assert reached[Rung.TLS]["port"] == "443"


# ── OpenAI ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_wrong_key_fails_at_authentication() -> None:
    """And no embedding is tried with it."""
    climb = await climbed(Service.OPENAI, key="sk-wrong")
    assert failure(climb) == (Rung.AUTHENTICATION, Reason.API_KEY_INVALID)
    assert world.OPENAI[0] in words(Service.OPENAI, climb).message
    assert openai.counters().get("inputs", 0) == 0


@pytest.mark.parametrize(
    ("target", "rung", "reason"),
    [
        (Target(model="no-such-model"), Rung.AUTHORIZATION, Reason.MODEL_NOT_FOUND),
        (Target(model=SMALL, dimensions=9999), Rung.OPERATION, Reason.DIMENSION_MISMATCH),
        (Target(model="text-embedding-ada-002", dimensions=8), Rung.OPERATION, Reason.DIMENSION_MISMATCH),
    ],
)
async def test_what_a_resource_asks_of_the_model_is_judged(target: Target, rung: Rung, reason: Reason) -> None:
    """On the rung where it belongs."""
    assert failure(await climbed(Service.OPENAI, target)) == (rung, reason)


@pytest.mark.parametrize(
    ("preset", "rung", "reason"),
    [
        ("model_access_denied", Rung.AUTHORIZATION, Reason.MODEL_ACCESS_DENIED),
        ("insufficient_quota", Rung.OPERATION, Reason.QUOTA_EXHAUSTED),
        ("rate_limit_exceeded", Rung.OPERATION, Reason.RATE_LIMITED),
        ("region_not_supported", Rung.AUTHENTICATION, Reason.REGION_NOT_SUPPORTED),
        ("html", Rung.AUTHENTICATION, Reason.WRONG_BASE_URL),
        ("other_api", Rung.AUTHENTICATION, Reason.UNEXPECTED_ANSWER),
        ("server_error", Rung.AUTHENTICATION, Reason.SERVICE_UNAVAILABLE),
    ],
)
async def test_a_refusal_fails_the_rung_that_it_is_about(preset: str, rung: Rung, reason: Reason) -> None:
    """A key that is told that its quota is used up is a good key."""
    with openai.injected(preset):
        assert failure(await climbed(Service.OPENAI)) == (rung, reason)


# ── OpenSearch ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_missing_iam_permission_is_told_so_that_it_can_be_pasted() -> None:
    """Action, resource and principal."""
    with iam.without("aoss:APIAccessAll"):
        climb = await climbed(Service.OPENSEARCH)
    assert failure(climb) == (Rung.AUTHENTICATION, Reason.API_ACCESS_DENIED)
    assert (
        f"Allow aoss:APIAccessAll on {world.COLLECTION_ARN} for {ROLE_ARN}" in words(Service.OPENSEARCH, climb).remedy
    )


@pytest.mark.parametrize(
    ("permission", "rung"),
    [("aoss:DescribeIndex", Rung.AUTHORIZATION), ("aoss:WriteDocument", Rung.OPERATION)],
)
async def test_a_missing_data_permission_is_told_so_that_it_can_be_pasted(permission: str, rung: Rung) -> None:
    """Permission, resource and principal, whether the index exists or not."""
    [grant] = iam.get_state()["data_access_policies"]["connectivity-test"]
    rules = [{**rule, "Permission": [p for p in rule["Permission"] if p != permission]} for rule in grant["Rules"]]
    with iam.changed({"data_access_policies": {"connectivity-test": [{**grant, "Rules": rules}]}}):
        climb = await climbed(Service.OPENSEARCH)
    assert failure(climb) == (rung, Reason.DATA_ACCESS_DENIED)
    told = words(Service.OPENSEARCH, climb).remedy
    assert permission in told
    assert f"index/{world.COLLECTION_NAME}/{INDEX}" in told
    assert ROLE_ARN in told


@pytest.mark.parametrize(
    ("settings", "variable"),
    [({"aws_region": "eu-west-1"}, "AWS_REGION"), ({"opensearch_service": "es"}, "OPENSEARCH_SERVICE")],
)
async def test_a_signature_that_must_fail_is_not_even_tried(settings: dict[str, Any], variable: str) -> None:
    """The endpoint's name contradicts the settings."""
    climb = await climbed(Service.OPENSEARCH, **settings)
    assert failure(climb) == (Rung.CONFIGURATION, Reason.INVALID_CONFIGURATION)
    assert variable in words(Service.OPENSEARCH, climb).message


async def test_an_index_of_another_length_is_told_with_both() -> None:
    """One of them must change."""
    climb = await climbed(Service.OPENSEARCH, Target(index=INDEX, dimensions=8, create=True))
    assert climb.passed
    climb = await climbed(Service.OPENSEARCH)
    assert failure(climb) == (Rung.OPERATION, Reason.DIMENSION_MISMATCH)
    assert "8 dimensions" in words(Service.OPENSEARCH, climb).message
    assert "1536" in words(Service.OPENSEARCH, climb).message


@pytest.mark.parametrize(
    ("injection", "rung", "reason"),
    [
        ({"status": 401, "operations": ["not-served"]}, Rung.AUTHENTICATION, Reason.NETWORK_POLICY_DENIED),
        ({"status": 503, "operations": ["not-served"]}, Rung.AUTHENTICATION, Reason.SERVICE_UNAVAILABLE),
        (
            {"status": 200, "document": {"x": 1}, "operations": ["not-served"]},
            Rung.AUTHENTICATION,
            Reason.UNEXPECTED_ANSWER,
        ),
        (
            {"status": 200, "document": {"x": 1}, "operations": ["describe-index"]},
            Rung.AUTHORIZATION,
            Reason.UNEXPECTED_ANSWER,
        ),
        ({"status": 429, "operations": ["describe-index"]}, Rung.AUTHORIZATION, Reason.THROTTLED),
        ({"connection": "reset", "operations": ["delete"]}, Rung.OPERATION, Reason.CONNECTION_RESET),
    ],
)
async def test_a_bad_day_fails_the_rung_that_met_it(injection: dict[str, Any], rung: Rung, reason: Reason) -> None:
    """What passes by itself is told by its own reason."""
    with opensearch.injected(**injection):
        assert failure(await climbed(Service.OPENSEARCH)) == (rung, reason)
