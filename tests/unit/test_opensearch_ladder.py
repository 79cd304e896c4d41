"""The ladder of OpenSearch, over a fake collection and a server of the test's own."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from connectivity_operator import opensearch_endpoint
from connectivity_operator.diagnosis.engine import Diagnosis
from connectivity_operator.diagnosis.identity import IdentityCheck
from connectivity_operator.diagnosis.ladder import Climb
from connectivity_operator.diagnosis.opensearch import OpenSearchLadder, configuration_problem
from connectivity_operator.diagnosis.probes import Probes
from connectivity_operator.diagnosis.sections import Target
from connectivity_operator.errors import DependencyError
from connectivity_operator.reasons import Reason, Result, Rung, Service
from connectivity_operator.settings import Settings
from tests.fakes.authority import Authority
from tests.fakes.identity import ROLE_ARN, FakeIdentity, identity_error
from tests.fakes.index import FakeIndex
from tests.fakes.peers import listening, wait_for_client

INDEX = "connectivity-test"
TARGET = Target(index=INDEX, dimensions=4)
AOSS = "https://x1y2.eu-west-2.aoss.amazonaws.com"
CONNECTION = [Rung.CONFIGURATION, Rung.IDENTITY, Rung.DNS, Rung.TCP, Rung.TLS, Rung.AUTHENTICATION]


class Bench:
    """A collection, an identity, and a server on which the network rungs pass."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.index = FakeIndex()
        self.identity = FakeIdentity()

    async def climb(self, target: Target = TARGET, **settings: Any) -> Climb:
        async with listening(wait_for_client, self.authority.server_context(["localhost"])) as port:
            endpoint = f"https://localhost:{port}"
            usual: dict[str, Any] = {"opensearch_endpoint": endpoint, "aws_region": "eu-west-2"}
            ladder = OpenSearchLadder(
                settings=Settings(**{**usual, **settings}),
                index=self.index,
                identity=IdentityCheck(self.identity).climb,
                context=ssl.create_default_context(cafile=str(self.authority.file)),
            )
            return await Diagnosis([ladder], Probes()).examine(Service.OPENSEARCH, target, max_age=0)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.index.put(INDEX, 4)
    return made


def results(climb: Climb) -> dict[Rung, Result]:
    return {outcome.rung: outcome.result for outcome in climb.outcomes}


def failure(climb: Climb) -> tuple[Rung, Reason]:
    assert climb.failure is not None
    return climb.failure.rung, climb.failure.reason


def down(reason: Reason, **evidence: str) -> DependencyError:
    return DependencyError(Service.OPENSEARCH, reason, evidence=evidence)


async def test_all_rungs_pass_and_leave_nothing_behind(bench: Bench) -> None:
    """The permission to write is proven without writing."""
    climb = await bench.climb()
    assert climb.passed
    assert list(results(climb)) == [*CONNECTION, Rung.AUTHORIZATION, Rung.OPERATION]
    assert set(results(climb).values()) == {Result.PASSED}
    assert bench.index.writes == []
    assert climb.evidence["dimensions"] == "4"


async def test_without_an_index_the_ladder_ends_with_the_first_lock(bench: Bench) -> None:
    """As at the start of the operator, when no resource exists yet."""
    assert list(results(await bench.climb(Target()))) == CONNECTION


async def test_without_iam_there_is_no_identity_rung(bench: Bench) -> None:
    """Nor are credentials looked for."""
    bench.identity.credentials_failure = identity_error(Reason.NO_CREDENTIALS)
    climb = await bench.climb(opensearch_use_iam_auth=False, aws_region=None)
    assert climb.passed
    assert Rung.IDENTITY not in results(climb)


async def test_a_missing_identity_keeps_its_own_reason(bench: Bench) -> None:
    """It is not OpenSearch's fault."""
    bench.identity.credentials_failure = identity_error(Reason.NO_CREDENTIALS)
    climb = await bench.climb()
    assert failure(climb) == (Rung.IDENTITY, Reason.NO_CREDENTIALS)
    assert results(climb)[Rung.DNS] is Result.SKIPPED


async def test_the_first_lock_stops_the_ladder(bench: Bench) -> None:
    """With the role that policies must name."""
    bench.index.faults.begin("probe_access", down(Reason.API_ACCESS_DENIED))
    climb = await bench.climb()
    assert failure(climb) == (Rung.AUTHENTICATION, Reason.API_ACCESS_DENIED)
    assert climb.failure is not None
    assert climb.failure.evidence["principal"] == ROLE_ARN
    assert results(climb)[Rung.AUTHORIZATION] is Result.SKIPPED


@pytest.mark.parametrize(
    ("operation", "rung", "permission"),
    [("describe", Rung.AUTHORIZATION, "aoss:DescribeIndex"), ("probe_write", Rung.OPERATION, "aoss:WriteDocument")],
)
async def test_the_second_lock_names_principal_permission_and_index(
    bench: Bench, operation: str, rung: Rung, permission: str
) -> None:
    """All that a data access policy needs to say."""
    bench.index.faults.begin(operation, down(Reason.DATA_ACCESS_DENIED, permission=permission))
    climb = await bench.climb(opensearch_collection_name="demo")
    assert failure(climb) == (rung, Reason.DATA_ACCESS_DENIED)
    assert climb.failure is not None
    wanted = {"principal": ROLE_ARN, "permission": permission, "index": INDEX, "collection": "demo"}
    assert wanted.items() <= climb.failure.evidence.items()


async def test_an_absent_index_is_a_warning_that_proves_the_permission_to_write(bench: Bench) -> None:
    """The pipeline makes it with its first message."""
    bench.index.delete(INDEX)
    bench.index.faults.begin("probe_write", down(Reason.INDEX_NOT_FOUND))
    climb = await bench.climb()
    assert climb.passed
    assert [warning.reason for warning in climb.warnings] == [Reason.INDEX_ABSENT]
    assert results(climb)[Rung.AUTHORIZATION] is Result.WARNED
    assert bench.index.dimensions == {}


async def test_an_absent_index_does_not_hide_a_missing_permission_to_write(bench: Bench) -> None:
    """Serverless looks at the permission before it looks for the index."""
    bench.index.delete(INDEX)
    bench.index.faults.begin("probe_write", down(Reason.DATA_ACCESS_DENIED, permission="aoss:WriteDocument"))
    assert failure(await bench.climb()) == (Rung.OPERATION, Reason.DATA_ACCESS_DENIED)


async def test_an_absent_index_is_made_where_that_is_wanted(bench: Bench) -> None:
    """Even if Serverless does not show it to a write at once."""
    bench.index.delete(INDEX)
    bench.index.faults.begin("probe_write", down(Reason.INDEX_NOT_FOUND))
    climb = await bench.climb(Target(index=INDEX, dimensions=4, create=True))
    assert climb.passed
    assert climb.warnings == ()
    assert bench.index.dimensions == {INDEX: 4}


async def test_a_missing_permission_to_create_is_told(bench: Bench) -> None:
    """On the rung where the index is looked at."""
    bench.index.delete(INDEX)
    bench.index.faults.begin("create", down(Reason.CREATE_INDEX_DENIED))
    climb = await bench.climb(Target(index=INDEX, dimensions=4, create=True))
    assert failure(climb) == (Rung.AUTHORIZATION, Reason.CREATE_INDEX_DENIED)


@pytest.mark.parametrize(
    ("found", "reason"), [(None, Reason.MAPPING_MISMATCH), (8, Reason.DIMENSION_MISMATCH), (4, None)]
)
async def test_an_index_must_be_made_for_these_vectors(bench: Bench, found: int | None, reason: Reason | None) -> None:
    """Known before the first message is lost to it."""
    bench.index.put(INDEX, found)
    climb = await bench.climb()
    assert (climb.failure.reason if climb.failure else None) is reason
    if reason:
        assert failure(climb)[0] is Rung.OPERATION


async def test_any_length_will_do_for_a_model_that_nobody_knows(bench: Bench) -> None:
    """Only the API can tell how long its vectors are."""
    assert (await bench.climb(Target(index=INDEX, model="unknown-model"))).passed
    assert failure(await bench.climb(Target(index=INDEX, model="text-embedding-3-small")))[1] is (
        Reason.DIMENSION_MISMATCH
    )


async def test_an_index_that_goes_while_it_is_looked_at_is_told(bench: Bench) -> None:
    """It was there a moment ago: this is no index that will be made with the first message."""
    bench.index.faults.begin("probe_write", down(Reason.INDEX_NOT_FOUND))
    assert failure(await bench.climb()) == (Rung.OPERATION, Reason.INDEX_NOT_FOUND)


async def test_not_configured_is_told_before_anything_else(bench: Bench) -> None:
    """By the name of the variable."""
    ladder = OpenSearchLadder(
        settings=Settings(),
        index=None,
        identity=IdentityCheck(bench.identity).climb,
        context=ssl.create_default_context(),
    )
    climb = await Diagnosis([ladder], Probes()).examine(Service.OPENSEARCH, TARGET, max_age=0)
    assert failure(climb) == (Rung.CONFIGURATION, Reason.NOT_CONFIGURED)
    assert climb.failure is not None
    assert climb.failure.evidence["variable"] == "OPENSEARCH_ENDPOINT"


@pytest.mark.parametrize(
    ("settings", "reason", "variable"),
    [
        ({"aws_region": "eu-west-2"}, None, None),
        ({}, Reason.NOT_CONFIGURED, "AWS_REGION"),
        ({"aws_region": "eu-west-1"}, Reason.INVALID_CONFIGURATION, "AWS_REGION"),
        ({"aws_region": "eu-west-2", "opensearch_service": "es"}, Reason.INVALID_CONFIGURATION, "OPENSEARCH_SERVICE"),
        ({"opensearch_use_iam_auth": False}, None, None),
    ],
)
def test_settings_that_cannot_be_right_are_told_without_asking_anybody(
    settings: dict[str, Any], reason: Reason | None, variable: str | None
) -> None:
    """The endpoint's own name says which service and region signatures must be made for."""
    name = opensearch_endpoint.parse(AOSS.removeprefix("https://"))
    problem = configuration_problem(Settings(opensearch_endpoint=AOSS, **settings), name)
    assert (problem.reason if problem else None) is reason
    assert (problem.evidence["variable"] if problem else None) == variable
