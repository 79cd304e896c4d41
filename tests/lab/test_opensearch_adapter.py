"""The OpenSearch adapter against the lab's collection: a real OpenSearch behind Serverless's locks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.aws import Frozen
from connectivity_operator.adapters.opensearch import OpenSearchIndex
from connectivity_operator.adapters.opensearch import index as index_module
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.ports import DependencyFailure
from connectivity_operator.reasons import Reason, Rung, Service
from lab import certificates, world
from lab.iam import control as iam
from lab.opensearch import admin, control
from tests.contracts.vector_index import DIMENSIONS, VectorIndexContract, document, documents, ids

pytestmark = pytest.mark.usefixtures("account")


async def credentials() -> Frozen:
    issued = iam.issue()
    return Frozen(issued.access_key_id, issued.secret_access_key, issued.session_token)


def store(**options: Any) -> OpenSearchIndex:
    """As the operator in the lab has it."""
    usual: dict[str, Any] = {
        "endpoint": f"https://{world.OPENSEARCH[0]}",
        "service": "aoss",
        "region": world.REGION,
        "credentials": credentials,
        "ca_bundle": trust.bundle(certificates.authority_file()),
    }
    return OpenSearchIndex(**{**usual, **options})


class LabCollection:
    """An index of its own name, looked into behind the gateway's back."""

    def __init__(self) -> None:
        self.store = store()
        self.index = f"connectivity-test-{uuid.uuid4().hex[:8]}"

    async def put_foreign(self) -> None:
        admin.create_index(self.index, {"mappings": {"properties": {"vector": {"type": "float"}}}})

    async def delete(self) -> None:
        admin.delete_index(self.index)

    async def texts(self) -> list[str]:
        found = admin.documents(self.index) if admin.exists(self.index) else []
        return [each["text"] for each in sorted(found, key=lambda each: int(each["offset"]))]

    async def exists(self) -> bool:
        return admin.exists(self.index)


@pytest.fixture
async def collection(lab: object) -> AsyncIterator[LabCollection]:
    control.reset()
    made = LabCollection()
    yield made
    control.reset()
    admin.delete_index(made.index)
    await made.store.close()


@pytest.fixture
async def ready(collection: LabCollection) -> LabCollection:
    """With the index made."""
    await collection.store.create(collection.index, DIMENSIONS)
    return collection


async def refusal(call: Any) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        await call
    return caught.value


class TestVectorIndex(VectorIndexContract):
    """The contract, kept by the real thing."""


# ── what is made and written ─────────────────────────────────────────────────────────────────────────
async def test_the_mapping_is_the_one_that_was_designed(ready: LabCollection) -> None:
    """Vectors for neighbours by inner product; the rest as what it is; nothing else is mapped."""
    mapping = admin.mapping(ready.index)
    assert mapping is not None
    assert mapping["dynamic"] == "false"
    assert mapping["properties"].pop("vector") == {
        "type": "knn_vector",
        "dimension": DIMENSIONS,
        "method": {"engine": "faiss", "space_type": "innerproduct", "name": "hnsw", "parameters": {}},
    }
    assert {name: field["type"] for name, field in mapping["properties"].items()} == {
        "message_id": "keyword",
        "namespace": "keyword",
        "name": "keyword",
        "topic": "keyword",
        "partition": "integer",
        "offset": "long",
        "text": "text",
        "model": "keyword",
        "timestamp": "date",
    }


async def test_the_nearest_neighbour_is_found(ready: LabCollection) -> None:
    """What is written is a vector to OpenSearch, not an array."""
    ids(await ready.store.write(ready.index, documents(5)))
    (nearest,) = admin.nearest(ready.index, "vector", [100.0, 100.0, 100.0, 100.0])
    assert nearest["text"] == "text 4"


async def test_one_refused_document_does_not_hold_back_the_others(ready: LabCollection) -> None:
    """Its refusal is final and its own: sending it again would not help."""
    sent = [document(0), replace(document(1), partition=2**40), document(2)]
    first, second, third = await ready.store.write(ready.index, sent)
    assert isinstance(second, DependencyFailure)
    assert (second.reason, second.transient) == (Reason.DOCUMENT_REJECTED, False)
    assert isinstance(first, str)
    assert isinstance(third, str)
    assert await ready.texts() == ["text 0", "text 2"]


async def test_a_large_batch_goes_in_several_requests(ready: LabCollection) -> None:
    """Serverless takes no more than 10 MiB in one; the answers still come in order."""
    sent = [replace(each, text="x" * 700_000) for each in documents(20)]
    before = control.answered().get("bulk", {}).get("200", 0)
    made = ids(await ready.store.write(ready.index, sent))
    assert control.answered()["bulk"]["200"] - before == 3
    stored = {each["_id"]: each["offset"] for each in admin.documents(ready.index)}
    assert [stored[each] for each in made] == list(range(20))


async def test_a_batch_that_failed_halfway_does_not_send_its_written_part_again(ready: LabCollection) -> None:
    """The first request is through: only the rest is refused, to be tried later."""
    control.inject(times=1, operations=["bulk"])  # the first goes through as it is
    control.inject(status=503, operations=["bulk"])
    answers = await ready.store.write(ready.index, [replace(each, text="x" * 700_000) for each in documents(10)])
    assert [isinstance(answer, str) for answer in answers] == [True] * 7 + [False] * 3
    failed = [answer for answer in answers if isinstance(answer, DependencyFailure)]
    assert all((each.reason, each.transient) == (Reason.SERVICE_UNAVAILABLE, True) for each in failed)
    assert admin.count(ready.index) == 7


@pytest.mark.parametrize("writers", [1, 3])
async def test_an_index_deleted_among_writes_never_comes_back_with_a_guessed_mapping(
    ready: LabCollection, writers: int
) -> None:
    """At whatever moment of a write it goes. OpenSearch makes an index for every bulk request that names none."""
    for _ in range(5):
        await ready.store.create(ready.index, DIMENSIONS)
        outcomes: list[Reason | None] = []
        stop = asyncio.Event()

        async def write(outcomes: list[Reason | None], stop: asyncio.Event) -> None:
            while not stop.is_set():
                try:
                    await ready.store.write(ready.index, documents(1))
                    outcomes.append(None)
                except DependencyError as error:
                    outcomes.append(error.reason)

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for _writer in range(writers):
                group.create_task(write(outcomes, stop))
            while outcomes.count(None) < 2 * writers:
                await asyncio.sleep(0.005)
            await asyncio.to_thread(admin.delete_index, ready.index)
            while outcomes.count(Reason.INDEX_NOT_FOUND) < 3 * writers:
                await asyncio.sleep(0.005)
            stop.set()
        assert not admin.exists(ready.index)


async def test_where_ids_are_allowed_a_message_written_twice_is_one_document(ready: LabCollection) -> None:
    """A domain (or an OpenSearch without locks, as here) takes the message's id."""
    host, port = world.OPENSEARCH_BACKEND
    domain = store(endpoint=f"http://{host}:{port}", service="es", credentials=None)
    await domain.probe_access()
    assert ids(await domain.write(ready.index, documents(2))) == ["m0", "m1"]
    assert ids(await domain.write(ready.index, documents(2))) == ["m0", "m1"]
    assert admin.count(ready.index) == 2
    await domain.close()


# ── the locks ────────────────────────────────────────────────────────────────────────────────────────
async def test_the_first_lock_is_iams(collection: LabCollection) -> None:
    """A missing aoss:APIAccessAll, with a signature that has no fault to be seen."""
    with iam.without("aoss:APIAccessAll"):
        error = await refusal(collection.store.probe_access())
    assert error.reason is Reason.API_ACCESS_DENIED
    assert error.evidence["permission"] == "aoss:APIAccessAll"
    await collection.store.probe_access()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"region": "eu-west-1"}, "it is made for region eu-west-1, the endpoint is in eu-west-2"),
        ({"service": "es"}, "it is made for the service es, the endpoint is of aoss"),
        ({"credentials": None}, "the request is not signed"),
    ],
)
async def test_a_faulty_signature_is_told_from_a_missing_permission(options: dict[str, Any], told: str) -> None:
    """The collection answers both with the same 403."""
    made = store(**options)
    error = await refusal(made.probe_access())
    assert (error.reason, error.evidence["detail"]) == (Reason.SIGNATURE_REJECTED, told)
    await made.close()


Call = Callable[[OpenSearchIndex, str], Any]


@pytest.mark.parametrize(
    ("permission", "call", "reason"),
    [
        ("aoss:DescribeIndex", lambda s, i: s.describe(i), Reason.DATA_ACCESS_DENIED),
        ("aoss:DescribeIndex", lambda s, i: s.write(i, documents(1)), Reason.DATA_ACCESS_DENIED),
        ("aoss:WriteDocument", lambda s, i: s.write(i, documents(1)), Reason.DATA_ACCESS_DENIED),
        ("aoss:WriteDocument", lambda s, i: s.probe_write(i), Reason.DATA_ACCESS_DENIED),
        ("aoss:CreateIndex", lambda s, i: s.create(i, DIMENSIONS), Reason.CREATE_INDEX_DENIED),
    ],
)
async def test_the_second_lock_is_the_data_access_policys(
    ready: LabCollection, permission: str, call: Call, reason: Reason
) -> None:
    """The permission that is missing for this very call is named; the first lock stays open."""
    ready.store._looks.clear()
    with without_data_permission(permission):
        error = await refusal(call(ready.store, ready.index))
        await ready.store.probe_access()
    assert (error.reason, error.evidence["permission"]) == (reason, permission)


def without_data_permission(permission: str) -> Any:
    """The operator's grant without one permission."""
    [grant] = iam.get_state()["data_access_policies"]["connectivity-test"]
    rules = [{**rule, "Permission": [p for p in rule["Permission"] if p != permission]} for rule in grant["Rules"]]
    return iam.changed({"data_access_policies": {"connectivity-test": [{**grant, "Rules": rules}]}})


async def test_credentials_that_cannot_be_had_are_the_identitys_failure(collection: LabCollection) -> None:
    """Nothing is sent, and the reason of the rung below is kept."""

    async def none() -> Frozen:
        raise DependencyError(Service.IDENTITY, Reason.STS_UNREACHABLE, evidence={"host": "sts"})

    made = store(credentials=none)
    error = await refusal(made.probe_access())
    assert (error.service, error.reason, error.rung) == (Service.IDENTITY, Reason.STS_UNREACHABLE, Rung.IDENTITY)
    await made.close()


# ── bad days ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("injection", "reason"),
    [
        ({"status": 401}, Reason.NETWORK_POLICY_DENIED),
        ({"status": 429}, Reason.THROTTLED),
        ({"status": 503}, Reason.SERVICE_UNAVAILABLE),
        ({"connection": "reset"}, Reason.CONNECTION_RESET),
        ({"connection": "lose-answer"}, Reason.CONNECTION_RESET),
        ({"delay_seconds": 3}, Reason.REQUEST_TIMEOUT),
    ],
)
async def test_a_write_that_fails_as_a_whole_raises(
    ready: LabCollection, injection: dict[str, Any], reason: Reason
) -> None:
    """And the next one goes through."""
    hasty = store(write_timeout=1.0)
    with control.injected(**injection, operations=["bulk"]):
        error = await refusal(hasty.write(ready.index, documents(1)))
    assert error.reason is reason
    assert not isinstance(error, ContentRefused)
    ids(await hasty.write(ready.index, documents(1)))
    await hasty.close()


async def test_a_connection_that_breaks_while_a_large_body_is_sent_is_told(ready: LabCollection) -> None:
    """OpenSSL calls that an end of file, and urllib3 hides it well."""
    sent = [replace(document(0), text="x" * 3_000_000)]
    with control.injected(connection="reset", operations=["bulk"]):
        assert (await refusal(ready.store.write(ready.index, sent))).reason is Reason.CONNECTION_RESET


@pytest.mark.parametrize(
    ("status", "reason"),
    [(402, Reason.THROTTLED), (429, Reason.THROTTLED), (503, Reason.SERVICE_UNAVAILABLE)],
)
async def test_documents_that_may_be_sent_again_are_told_apart(
    ready: LabCollection, status: int, reason: Reason
) -> None:
    """A bulk request is answered 200 however many of its items were refused."""
    with control.injected(status=status, items=1, operations=["bulk"]):
        first, second = await ready.store.write(ready.index, documents(2))
    assert isinstance(first, DependencyFailure)
    assert (first.reason, first.transient) == (reason, True)
    assert isinstance(second, str)


async def test_an_index_that_nobody_asks_for_any_more_is_forgotten(
    ready: LabCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resources with names of their own are made and deleted for months."""
    await ready.store.describe(ready.index)
    monkeypatch.setattr(index_module, "LOOK_LIFE", 0.0)
    ids(await ready.store.write(ready.index, documents(1)))
    assert ready.store._looks == {}


@pytest.mark.parametrize("timestamp", [-1, 1_700_000_000_000_000_000, -(2**63)])
async def test_any_timestamp_of_a_producer_is_a_date_or_is_blamed_on_the_document(
    ready: LabCollection, timestamp: int
) -> None:
    """Kafka keeps what producers write: none at all (-1), nanoseconds, anything. The index is not to blame."""
    bad = replace(document(0), timestamp=timestamp)
    written, answer = await ready.store.write(ready.index, [document(1), bad])
    print(timestamp, answer)
    assert isinstance(written, str)
    assert isinstance(answer, str) or (answer.reason, answer.transient) == (Reason.DOCUMENT_REJECTED, False)


async def test_a_closed_index_is_told(ready: LabCollection) -> None:
    """To the probe and to the pipeline."""
    admin.close_index(ready.index)
    assert (await refusal(ready.store.probe_write(ready.index))).reason is Reason.INDEX_CLOSED
    assert (await refusal(ready.store.write(ready.index, documents(1)))).reason is Reason.INDEX_CLOSED


@pytest.mark.parametrize("block", ["write", "read_only", "read_only_allow_delete"])
async def test_a_read_only_index_is_told_by_its_block(ready: LabCollection, block: str) -> None:
    """To the probe and to the pipeline; no document is condemned for it."""
    admin.block(ready.index, block, on=True)
    try:
        for call in (ready.store.probe_write(ready.index), ready.store.write(ready.index, documents(1))):
            error = await refusal(call)
            assert (error.reason, error.evidence["cause"]) == (Reason.INDEX_READ_ONLY, block)
    finally:
        admin.block(ready.index, block, on=False)


async def test_a_domain_that_creates_no_index_is_told_from_a_missing_permission(collection: LabCollection) -> None:
    """Both are 403."""
    admin.block_creation(on=True)
    try:
        error = await refusal(collection.store.create(collection.index, 4))
        assert (error.reason, error.evidence["cause"]) == (Reason.CREATE_INDEX_DENIED, "cluster")
    finally:
        admin.block_creation(on=False)


async def test_the_environment_decides_neither_trust_nor_way(
    collection: LabCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` would believe REQUESTS_CA_BUNDLE and use HTTPS_PROXY; only the settings count here."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trust.system_bundle()))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    await collection.store.probe_access()
    assert await collection.store.describe(collection.index) is None
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.authority_file()))
    made = store(ca_bundle=trust.bundle())
    assert (await refusal(made.probe_access())).reason is Reason.CERTIFICATE_UNTRUSTED
    await made.close()


async def test_a_proxy_that_is_given_is_used(collection: LabCollection) -> None:
    """Also for connections that are kept."""
    made = store(proxy="http://127.0.0.1:1")
    for call in (made.probe_access(), made.describe(collection.index)):
        error = await refusal(call)
        assert (error.reason, error.evidence["host"], error.evidence["port"]) == (
            Reason.PROXY_UNREACHABLE,
            "127.0.0.1",
            "1",
        )
    await made.close()
