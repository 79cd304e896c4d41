"""The ladder of the embeddings API, over a fake API and a server of the test's own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connectivity_operator.diagnosis.embeddings import PROBE_TEXT, EmbeddingsLadder
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from tests.fakes.authority import Authority
from tests.fakes.embeddings_prober import FakeEmbeddingsProber
from tests.fakes.peers import listening, wait_for_client

MODEL = "some-model"
CONNECTION = [Rung.CONFIGURATION, Rung.DNS, Rung.TCP, Rung.TLS, Rung.AUTHENTICATION]


@pytest.fixture
def api() -> FakeEmbeddingsProber:
    return FakeEmbeddingsProber()


@asynccontextmanager
async def reachable(tmp_path: Path) -> AsyncIterator[tuple[str, ssl.SSLContext]]:
    """(base URL, context that trusts it) of a server on which the network rungs pass."""
    authority = Authority(tmp_path)
    async with listening(wait_for_client, authority.server_context(["localhost"])) as port:
        yield f"https://localhost:{port}/v1", ssl.create_default_context(cafile=str(authority.file))


async def climbed(api: FakeEmbeddingsProber, tmp_path: Path, target: Target, **settings: Any) -> Climb:
    async with reachable(tmp_path) as (url, context):
        ladder = EmbeddingsLadder(settings=Settings(openai_base_url=url, **settings), embedder=api, context=context)
        return await Diagnosis([ladder], Probes()).examine(Service.OPENAI, target, max_age=0)


def results(climb: Climb) -> dict[Rung, Result]:
    return {outcome.rung: outcome.result for outcome in climb.outcomes}


def failure(climb: Climb) -> tuple[Rung, Reason]:
    assert climb.failure is not None
    return climb.failure.rung, climb.failure.reason


def down(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.OPENAI, reason, evidence=evidence)


async def test_all_rungs_pass_by_one_short_embedding(api: FakeEmbeddingsProber, tmp_path: Path) -> None:
    """There is no identity rung; what is learnt is told."""
    climb = await climbed(api, tmp_path, Target(model=MODEL))
    assert climb.passed
    assert list(results(climb)) == [*CONNECTION, Rung.AUTHORIZATION, Rung.OPERATION]
    assert set(results(climb).values()) == {Result.PASSED}
    assert api.requests == [[PROBE_TEXT]]
    assert climb.evidence["dimensions"] == "4"
    assert climb.evidence["host"] == "localhost"


async def test_without_a_model_the_ladder_ends_with_the_key(api: FakeEmbeddingsProber, tmp_path: Path) -> None:
    """The key is proven with the operator's own model; nothing is paid for."""
    climb = await climbed(api, tmp_path, Target(), openai_embedding_model="default-model")
    assert list(results(climb)) == CONNECTION
    assert api.probed == ["default-model"]
    assert api.requests == []


async def test_a_key_that_cannot_be_sent_stops_the_ladder_at_its_foot(
    api: FakeEmbeddingsProber, tmp_path: Path
) -> None:
    """Before any name is looked up."""
    api.faults.begin("check_key", down(Reason.API_KEY_MALFORMED, variable="OPENAI_API_KEY"))
    climb = await climbed(api, tmp_path, Target(model=MODEL))
    assert failure(climb) == (Rung.CONFIGURATION, Reason.API_KEY_MALFORMED)
    assert set(results(climb).values()) == {Result.FAILED, Result.SKIPPED}
    assert (api.probed, api.requests) == ([], [])


async def test_a_refused_key_leaves_the_model_unclimbed(api: FakeEmbeddingsProber, tmp_path: Path) -> None:
    """Nothing is embedded with a key that is known to be wrong."""
    api.faults.begin("probe_key", down(Reason.API_KEY_INVALID))
    climb = await climbed(api, tmp_path, Target(model=MODEL))
    assert failure(climb) == (Rung.AUTHENTICATION, Reason.API_KEY_INVALID)
    assert results(climb)[Rung.OPERATION] is Result.SKIPPED
    assert api.requests == []


@pytest.mark.parametrize("reason", [Reason.MODEL_NOT_FOUND, Reason.MODEL_ACCESS_DENIED])
async def test_what_is_wrong_with_the_model_stands_on_the_authorization_rung(
    api: FakeEmbeddingsProber, tmp_path: Path, reason: Reason
) -> None:
    """Although one request proves both rungs."""
    api.faults.begin("embed", down(reason))
    climb = await climbed(api, tmp_path, Target(model=MODEL))
    assert failure(climb) == (Rung.AUTHORIZATION, reason)
    assert results(climb)[Rung.AUTHORIZATION] is Result.FAILED
    assert results(climb)[Rung.OPERATION] is Result.SKIPPED
    assert climb.failure is not None
    assert climb.failure.evidence["model"] == MODEL


@pytest.mark.parametrize(
    ("error", "authorization"),
    [
        (down(Reason.RATE_LIMITED), Result.SKIPPED),
        (down(Reason.QUOTA_EXHAUSTED), Result.SKIPPED),
        (down(Reason.INVALID_RESPONSE), Result.PASSED),
        (ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED), Result.PASSED),
    ],
)
async def test_a_failed_embedding_claims_nothing_of_the_model_that_was_not_proven(
    api: FakeEmbeddingsProber, tmp_path: Path, error: DependencyError, authorization: Result
) -> None:
    """An exhausted quota is answered before the model is looked at."""
    api.faults.begin("embed", error)
    climb = await climbed(api, tmp_path, Target(model=MODEL))
    assert failure(climb) == (Rung.OPERATION, error.reason)
    assert results(climb)[Rung.AUTHORIZATION] is authorization


async def test_vectors_of_another_length_than_the_models_are_told(api: FakeEmbeddingsProber, tmp_path: Path) -> None:
    """Every write to an index of the model's length would fail."""
    climb = await climbed(api, tmp_path, Target(model="text-embedding-3-small"))
    assert failure(climb) == (Rung.OPERATION, Reason.DIMENSION_MISMATCH)
    assert climb.failure is not None
    assert climb.failure.evidence["expected_dimensions"] == "1536"
    assert climb.failure.evidence["dimensions"] == "4"


async def test_a_server_without_tls_has_no_such_rung(api: FakeEmbeddingsProber) -> None:
    """A model server beside the operator may be spoken to in plain HTTP, and never through the proxy."""
    async with listening(wait_for_client) as port:
        settings = Settings(openai_base_url=f"http://127.0.0.1:{port}/v1", https_proxy="http://127.0.0.1:1")
        ladder = EmbeddingsLadder(settings=settings, embedder=api, context=ssl.create_default_context())
        climb = await Diagnosis([ladder], Probes()).examine(Service.OPENAI, Target(), max_age=0)
    assert climb.passed
    assert Rung.TLS not in results(climb)


async def test_plain_http_on_the_port_of_https_is_refused_by_the_settings(api: FakeEmbeddingsProber) -> None:
    """A TLS server answers plain HTTP by hanging up, which tells nobody anything."""
    settings = Settings(openai_base_url="http://api.openai.example:443/v1")
    ladder = EmbeddingsLadder(settings=settings, embedder=api, context=ssl.create_default_context())
    climb = await Diagnosis([ladder], Probes()).examine(Service.OPENAI, Target(), max_age=0)
    assert failure(climb) == (Rung.CONFIGURATION, Reason.INVALID_CONFIGURATION)


def keys(ladder: EmbeddingsLadder, target: Target) -> list[tuple[str, ...]]:
    return [section.key for stage in ladder.stages(target) for section in stage]


def test_what_is_the_same_question_is_shared() -> None:
    """A model's own length is the same as asking for it; another length is another question."""
    ladder = EmbeddingsLadder(
        settings=Settings(), embedder=FakeEmbeddingsProber(), context=ssl.create_default_context()
    )
    small = "text-embedding-3-small"
    assert keys(ladder, Target(model=small)) == keys(ladder, Target(model=small, dimensions=1536))
    assert keys(ladder, Target(model=small)) != keys(ladder, Target(model=small, dimensions=256))
    assert keys(ladder, Target(model=small))[0] == keys(ladder, Target())[0] == ("openai", "connection")
