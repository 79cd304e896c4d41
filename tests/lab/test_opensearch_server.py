"""The lab's OpenSearch Serverless, asked with the clients that people use: it serves and refuses as AWS does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import opensearchpy
import pytest
import requests
from botocore.credentials import Credentials
from opensearchpy import OpenSearch, RequestsAWSV4SignerAuth, RequestsHttpConnection
from opensearchpy.exceptions import AuthorizationException, NotFoundError, RequestError, TransportError
from requests_aws4auth import AWS4Auth

from lab import certificates, processes, world
from lab.iam import control as iam
from lab.iam.control import Issued
from lab.opensearch import admin, control

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("healthy")]

INDEX = "connectivity-test-gateway"
ENDPOINT = f"https://{world.OPENSEARCH[0]}"
DIMENSION = 4

MAPPING = {
    "settings": {"index": {"knn": True}},
    "mappings": {
        "dynamic": False,
        "properties": {
            "vector": {
                "type": "knn_vector",
                "dimension": DIMENSION,
                "method": {"name": "hnsw", "engine": "faiss", "space_type": "innerproduct"},
            },
            "text": {"type": "text"},
            "message_id": {"type": "keyword"},
        },
    },
}


EVERYTHING = ["CreateIndex", "DescribeIndex", "UpdateIndex", "WriteDocument", "ReadDocument"]
"""What a data access policy can give on an index, but for its deletion."""


@pytest.fixture
def healthy(account: None) -> Iterator[None]:
    """No injected answer and no index, before and after; the operator's role may also read, and update mappings."""
    control.reset()
    admin.delete_index(INDEX)
    (grant,) = iam.get_state()["data_access_policies"]["connectivity-test"]
    rules = [{**rule, "Permission": [f"aoss:{name}" for name in EVERYTHING]} for rule in grant["Rules"]]
    iam.patch_state({"data_access_policies": {"connectivity-test": [{**grant, "Rules": rules}]}})
    yield
    control.reset()
    admin.delete_index(INDEX)


def authentication(who: Issued, *, service: str = "aoss", region: str = world.REGION) -> AWS4Auth:
    return AWS4Auth(who.access_key_id, who.secret_access_key, region, service, session_token=who.session_token)


def client_with(http_auth: Any) -> OpenSearch:
    return OpenSearch(
        [{"host": world.OPENSEARCH[0], "port": 443}],
        http_auth=http_auth,
        use_ssl=True,
        verify_certs=True,
        ca_certs=str(certificates.authority_file()),
        connection_class=RequestsHttpConnection,
        timeout=30,
        max_retries=0,
    )


def client(who: Issued | None = None, **signing: str) -> OpenSearch:
    return client_with(authentication(who or iam.issue(), **signing))


def raw(method: str, path: str, who: Issued | None = None, **more: Any) -> requests.Response:
    """A signed request whose answer is looked at as it is."""
    auth = authentication(who or iam.issue())
    return requests.request(
        method, ENDPOINT + path, auth=auth, verify=str(certificates.authority_file()), timeout=30, **more
    )


def info(error: TransportError) -> dict[str, Any]:
    """The parsed body of a refusal."""
    assert isinstance(error.info, dict)
    return error.info


def document(text: str, *vector: float) -> dict[str, Any]:
    return {"text": text, "vector": list(vector)}


def lines(*items: tuple[dict[str, Any], dict[str, Any] | None]) -> bytes:
    rows = [row for item in items for row in item if row is not None]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def reasons(answer: dict[str, Any]) -> list[tuple[int, str | None]]:
    """(Status, reason of the error) of each item of a bulk answer."""
    results = [next(iter(item.values())) for item in answer["items"]]
    return [(result["status"], result.get("error", {}).get("reason")) for result in results]


# ── what is served ───────────────────────────────────────────────────────────────────────────────────
def test_the_operators_role_can_do_all_that_the_operator_does() -> None:
    """Look at an absent index, create it, write in bulk, find the nearest neighbour, delete a document."""
    search = client()
    assert not search.indices.exists(index=INDEX)
    assert search.indices.create(index=INDEX, body=MAPPING)["acknowledged"]
    answer = search.bulk(
        index=INDEX,
        body=lines(
            ({"index": {}}, document("north", 0, 1, 0, 0)),
            ({"index": {}}, document("east", 1, 0, 0, 0)),
            ({"index": {}}, document("nearly east", 0.9, 0.1, 0, 0)),
        ),
    )
    assert not answer["errors"]
    (found,) = admin.nearest(INDEX, "vector", [0.95, 0.05, 0, 0])
    assert found["text"] == "east"
    hits = search.search(index=INDEX, body={"query": {"knn": {"vector": {"vector": [0, 2, 0, 0], "k": 1}}}})
    assert hits["hits"]["hits"][0]["_source"]["text"] == "north"
    assert search.delete(index=INDEX, id=found["_id"])["result"] == "deleted"
    assert admin.count(INDEX) == 2


def test_deleting_a_document_that_does_not_exist_needs_and_proves_write_permission() -> None:
    """404 not_found with the permission, 403 without: a way to ask without leaving anything behind."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    with pytest.raises(NotFoundError) as missing:
        search.delete(index=INDEX, id="connectivity-test")
    assert info(missing.value)["result"] == "not_found"
    with without_data_permission("aoss:WriteDocument"), pytest.raises(AuthorizationException) as refused:
        search.delete(index=INDEX, id="connectivity-test")
    assert_refused_by_data_policy(refused.value)


def test_a_mapping_is_served_as_it_was_given() -> None:
    """faiss HNSW is kept word for word, though the lab answers queries without its native library."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    vector = search.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["properties"]["vector"]
    assert vector["dimension"] == DIMENSION
    assert vector["method"]["engine"] == "faiss"
    assert vector["method"]["space_type"] == "innerproduct"


def test_a_mapping_that_wants_the_native_library_does_not_end_the_server() -> None:
    """On-disk vectors exist on AWS; the lab keeps them in memory."""
    search = client()
    on_disk = {"type": "knn_vector", "dimension": 8, "mode": "on_disk", "compression_level": "32x"}
    body = {
        "settings": {"index.knn": True, "index.knn.advanced.approximate_threshold": 0},
        "mappings": {"properties": {"vector": on_disk}},
    }
    search.indices.create(index=INDEX, body=body)
    search.index(index=INDEX, body={"vector": [1.0] * 8})
    assert len(admin.nearest(INDEX, "vector", [1.0] * 8)) == 1
    assert processes.find("opensearch") is not None


def test_compressed_bodies_are_signed_compressed() -> None:
    """`http_compress=True` of the client, and the SDKs, sign what they send."""
    client().indices.create(index=INDEX, body=MAPPING)
    body = gzip.compress(lines(({"index": {}}, document("packed", 1, 0, 0, 0))))
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = raw("POST", f"/{INDEX}/_bulk", data=body, headers=headers)
    assert answer.status_code == 200
    assert admin.documents(INDEX)[0]["text"] == "packed"


def test_documents_become_visible_after_the_refresh_interval() -> None:
    """A write is acknowledged at once and found later: on Serverless up to a minute later."""
    search = client()
    admin.put_template("-1")  # not for the indices that others use meanwhile
    try:
        search.indices.create(index=INDEX, body=MAPPING)
        search.index(index=INDEX, body=document("late", 1, 0, 0, 0))
        assert search.count(index=INDEX)["count"] == 0
        admin.refresh(INDEX)
        assert search.count(index=INDEX)["count"] == 1
    finally:
        admin.put_template()


# ── what Serverless does not have ────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", f"/{INDEX}/_refresh"), ("GET", "/_cluster/health"), ("GET", "/_plugins/_knn/stats")],
)
def test_an_api_that_serverless_lacks_is_not_found_with_an_empty_body(method: str, path: str) -> None:
    """Even if the index exists; the header tells whose 404 it is."""
    client().indices.create(index=INDEX, body=MAPPING)
    answer = raw(method, path)
    assert (answer.status_code, answer.content, answer.headers["server"]) == (404, b"", "aoss-amazon")


def test_ping_says_false_whatever_the_cause() -> None:
    """So it is no probe: here the collection is in perfect health."""
    assert client().ping() is False


@pytest.mark.parametrize(
    "write",
    [
        lambda search: search.index(index=INDEX, id="1", body={"text": "x"}),
        lambda search: search.create(index=INDEX, id="1", body={"text": "x"}),
        lambda search: search.update(index=INDEX, id="1", body={"doc": {"text": "x"}}),
    ],
)
def test_own_document_ids_are_refused(write: Callable[[OpenSearch], Any]) -> None:
    """Vector search collections make the ids."""
    with pytest.raises(RequestError) as refused:
        write(client())
    assert refused.value.error == "illegal_argument_exception"
    assert "Document ID is not supported in create/index operation request" in str(refused.value.info)


def test_bulk_refuses_items_with_own_ids_one_by_one() -> None:
    """HTTP 200; those items fail in their places, the others are indexed."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    answer = search.bulk(
        index=INDEX,
        body=lines(
            ({"index": {}}, document("first", 1, 0, 0, 0)),
            ({"index": {"_id": "mine"}}, document("second", 1, 0, 0, 0)),
            ({"create": {}}, document("third", 1, 0, 0, 0)),
        ),
    )
    text = "Document ID is not supported in create/index operation request"
    assert reasons(answer) == [(201, None), (400, text), (201, None)]
    assert answer["errors"]
    assert sorted(one["text"] for one in admin.documents(INDEX)) == ["first", "third"]
    only_own = search.bulk(index=INDEX, body=lines(({"index": {"_id": "a"}}, document("x", 1, 0, 0, 0))))
    assert reasons(only_own) == [(400, text)]


@pytest.mark.parametrize("policy", ["true", "wait_for"])
def test_a_refresh_policy_is_refused(policy: str) -> None:
    """On single documents and on bulk requests."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    text = f"{policy} refresh policy is not supported."
    writes: list[Callable[[], Any]] = [
        lambda: search.index(index=INDEX, body=document("x", 1, 0, 0, 0), refresh=policy),
        lambda: search.bulk(index=INDEX, body=lines(({"index": {}}, {"text": "x"})), refresh=policy),
    ]
    for write in writes:
        with pytest.raises(RequestError) as refused:
            write()
        assert text in str(refused.value.info)
    assert admin.count(INDEX) == 0


@pytest.mark.parametrize("method", [{"engine": "lucene", "name": "hnsw"}, {"engine": "faiss", "name": "ivf"}])
def test_only_faiss_hnsw_is_a_method(method: dict[str, str]) -> None:
    """Other engines and methods of k-NN are refused when the index is created."""
    field = {"type": "knn_vector", "dimension": 4, "method": method}
    with pytest.raises(RequestError) as refused:
        client().indices.create(index=INDEX, body={"mappings": {"properties": {"vector": field}}})
    assert refused.value.error == "mapper_parsing_exception"
    assert admin.mapping(INDEX) is None


def test_a_body_of_more_than_ten_mebibytes_is_refused() -> None:
    """413; a little less is served."""
    client().indices.create(index=INDEX, body=MAPPING)
    headers = {"content-type": "application/x-ndjson"}
    row = lines(({"index": {}}, {"ignored": "x" * (1024 * 1024 - 40)}))
    assert raw("POST", f"/{INDEX}/_bulk", data=row * 9, headers=headers).status_code == 200
    assert raw("POST", f"/{INDEX}/_bulk", data=row * 11, headers=headers).status_code == 413


# ── the first lock: signature and IAM policy ─────────────────────────────────────────────────────────
def broken_secret() -> OpenSearch:
    return client(Issued(**{**iam.issue().__dict__, "secret_access_key": "x" * 40}))


def signer_that_signs_content_length() -> OpenSearch:
    who = iam.issue()
    keys = Credentials(who.access_key_id, who.secret_access_key, who.session_token)
    return client_with(RequestsAWSV4SignerAuth(keys, world.REGION, "aoss"))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(broken_secret, id="wrong secret"),
        pytest.param(lambda: client(iam.issue(seconds=-1)), id="expired session"),
        pytest.param(lambda: client(service="es"), id="signed for another service"),
        pytest.param(lambda: client(region="us-east-1"), id="signed for another region"),
        pytest.param(lambda: client_with(None), id="unsigned"),
        pytest.param(signer_that_signs_content_length, id="content-length signed"),
    ],
)
def test_a_signature_that_proves_nothing_is_forbidden(broken: Callable[[], OpenSearch]) -> None:
    """One and the same answer for every cause; the truth is in the lab's log."""
    with pytest.raises(AuthorizationException) as refused:
        broken().count(index=INDEX)
    assert (refused.value.error, info(refused.value)["error"]["reason"]) == ("Forbidden", "403 Forbidden")


def test_without_api_access_the_same_answer_comes_with_a_hint() -> None:
    """The body does not tell a missing aoss:APIAccessAll from a bad signature, nor does the header."""
    with iam.without("aoss:APIAccessAll"):
        answer = raw("GET", f"/{INDEX}/_count")
    assert answer.status_code == 403
    assert answer.json() == {"status": 403, "error": {"reason": "403 Forbidden", "type": "Forbidden"}}
    assert answer.headers["x-aoss-response-hint"] == "X01:gw-helper-deny"
    assert answer.headers["server"] == "aoss-amazon"
    assert "aoss:APIAccessAll" in iam.log()[-1]["reason"]


def test_a_body_changed_on_its_way_is_forbidden() -> None:
    """The signature covers the body."""
    auth = authentication(iam.issue())
    signed = requests.Request("POST", f"{ENDPOINT}/{INDEX}/_doc", data=b'{"text": "a"}', auth=auth).prepare()
    signed.body = b'{"text": "b"}'
    with requests.Session() as session:
        answer = session.send(signed, verify=str(certificates.authority_file()), timeout=30)
    assert answer.status_code == 403


def test_iam_is_asked_before_the_data_policy() -> None:
    """With both locks shut the answer is IAM's."""
    with iam.without("aoss:APIAccessAll"), without_data_permission("aoss:ReadDocument"):
        assert raw("GET", f"/{INDEX}/_count").json()["error"]["type"] == "Forbidden"


# ── the second lock: data access policy ──────────────────────────────────────────────────────────────
def without_data_permission(permission: str) -> Any:
    """The data access policy without one permission, for the duration of a ``with`` block."""
    policies = iam.get_state()["data_access_policies"]
    (grant,) = policies["connectivity-test"]
    rules = [
        {**rule, "Permission": [kept for kept in rule["Permission"] if kept != permission]} for rule in grant["Rules"]
    ]
    return iam.changed({"data_access_policies": {"connectivity-test": [{**grant, "Rules": rules}]}})


def assert_refused_by_data_policy(error: AuthorizationException) -> None:
    assert error.error == "authorization_exception"
    assert "User does not have permissions for the requested resource" in str(error.info)


@pytest.mark.parametrize(
    ("permission", "call"),
    [
        ("aoss:CreateIndex", lambda search: search.indices.create(index=INDEX, body=MAPPING)),
        ("aoss:DescribeIndex", lambda search: search.indices.get_mapping(index=INDEX)),
        ("aoss:UpdateIndex", lambda search: search.indices.put_mapping(index=INDEX, body={"properties": {}})),
        ("aoss:WriteDocument", lambda search: search.index(index=INDEX, body={"text": "x"})),
        ("aoss:WriteDocument", lambda search: search.bulk(body=lines(({"index": {"_index": INDEX}}, {"text": "x"})))),
        ("aoss:ReadDocument", lambda search: search.count(index=INDEX)),
    ],
)
def test_each_permission_of_the_data_policy_is_enforced(permission: str, call: Callable[[OpenSearch], Any]) -> None:
    """Without it the call is refused, and nothing happens; with all the others it is not missed elsewhere."""
    search = client()
    with without_data_permission(permission), pytest.raises(AuthorizationException) as refused:
        call(search)
    assert_refused_by_data_policy(refused.value)
    assert admin.mapping(INDEX) is None


def test_the_data_policy_names_indices() -> None:
    """The role's policy covers connectivity-test*; other indices of the collection are shut."""
    with pytest.raises(AuthorizationException) as refused:
        client().count(index="somebody-elses")
    assert_refused_by_data_policy(refused.value)


def test_a_refused_head_request_has_no_body() -> None:
    """`exists()` cannot tell the two locks apart."""
    search = client()
    with without_data_permission("aoss:DescribeIndex"), pytest.raises(AuthorizationException) as by_data_policy:
        search.indices.exists(index=INDEX)
    with iam.without("aoss:APIAccessAll"), pytest.raises(AuthorizationException) as by_iam:
        search.indices.exists(index=INDEX)
    assert by_data_policy.value.args == by_iam.value.args == (403, "", None)


def test_writing_does_not_bring_an_index_into_being_without_create_index() -> None:
    """With aoss:CreateIndex a write to a missing index makes one, by guesswork and without a vector field."""
    search = client()
    with without_data_permission("aoss:CreateIndex"), pytest.raises(AuthorizationException):
        search.index(index=INDEX, body=document("x", 1, 0, 0, 0))
    assert admin.mapping(INDEX) is None
    search.index(index=INDEX, body=document("x", 1, 0, 0, 0))
    guessed = admin.mapping(INDEX)
    assert guessed is not None
    assert guessed["properties"]["vector"]["type"] != "knn_vector"


# ── errors of the real server ────────────────────────────────────────────────────────────────────────
def test_errors_of_the_server_come_through() -> None:
    """Wrong dimension, index twice, index missing, index closed: OpenSearch's own words."""
    search = client()
    with pytest.raises(NotFoundError) as missing:
        search.count(index=INDEX)
    assert missing.value.error == "index_not_found_exception"
    search.indices.create(index=INDEX, body=MAPPING)
    with pytest.raises(RequestError) as twice:
        search.indices.create(index=INDEX, body=MAPPING)
    assert twice.value.error == "resource_already_exists_exception"
    with pytest.raises(RequestError) as mismatch:
        search.index(index=INDEX, body=document("x", 1, 0, 0))
    assert "Vector dimension mismatch. Expected: 4, Given: 3" in str(mismatch.value.info)
    in_bulk = search.bulk(index=INDEX, body=lines(({"index": {}}, document("x", 1, 0, 0))))
    assert in_bulk["errors"]
    admin.close_index(INDEX)
    with pytest.raises(RequestError) as closed:
        search.count(index=INDEX)
    assert closed.value.error == "index_closed_exception"


# ── injected answers ─────────────────────────────────────────────────────────────────────────────────
def test_injected_answers_come_as_often_as_asked_and_are_counted() -> None:
    """Three times 429 on counts, then health again; other operations are not touched."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    control.inject(status=429, times=3, operations=["search"])
    for _ in range(3):
        with pytest.raises(TransportError) as throttled:
            search.count(index=INDEX)
        assert throttled.value.status_code == 429
        assert search.indices.exists(index=INDEX)
    assert search.count(index=INDEX)["count"] == 0
    assert control.answered()["search"] == {"429": 3, "200": 1}


def test_an_injection_lasts_until_it_is_cleared() -> None:
    """503 for everything."""
    search = client()
    with control.injected(status=503):
        for _ in range(5):
            with pytest.raises(TransportError) as unavailable:
                search.count(index=INDEX)
            assert unavailable.value.status_code == 503
    assert not search.indices.exists(index=INDEX)


def test_a_collection_at_its_capacity_refuses_single_items() -> None:
    """402 maximum OCU capacity reached, item by item, the rest is indexed: to be tried again, not to be given up."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    body = lines(*[({"index": {}}, document(str(number), 1, 0, 0, 0)) for number in range(3)])
    with control.injected(status=402, items=2):
        answer = search.bulk(index=INDEX, body=body)
    assert reasons(answer) == [(402, "maximum OCU capacity reached")] * 2 + [(201, None)]
    assert [one["text"] for one in admin.documents(INDEX)] == ["2"]


@pytest.mark.parametrize(("connection", "written"), [("reset", 0), ("lose-answer", 1)])
def test_a_reset_connection_may_or_may_not_have_written(connection: str, written: int) -> None:
    """The client sees the same error; only the collection knows."""
    search = client()
    search.indices.create(index=INDEX, body=MAPPING)
    with (
        control.injected(connection=connection, operations=["bulk"]),
        pytest.raises(opensearchpy.ConnectionError) as broken,
    ):
        search.bulk(index=INDEX, body=lines(({"index": {}}, document("x", 1, 0, 0, 0))))
    assert "Connection aborted" in str(broken.value)
    assert admin.count(INDEX) == written


def test_an_answer_can_be_slow() -> None:
    """Slower than the client's patience is a timeout of the client."""
    with control.injected(delay_seconds=2), pytest.raises(opensearchpy.ConnectionTimeout):
        client().count(index=INDEX, request_timeout=0.3)


def test_an_unknown_injection_is_refused() -> None:
    """A misspelt operation would otherwise inject nothing, silently."""
    with pytest.raises(Exception, match="unknown operations"):
        control.inject(status=429, operations=["bulks"])
