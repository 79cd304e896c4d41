"""OpenSearch (Serverless) over opensearch-py, in threads of its own.

The credentials are fetched on the event loop before each call, and may be fresh ones every time; the threads never
wait for AWS's identity services. Nothing is retried inside: there is one policy of retrying, the caller's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import opensearchpy
import requests

from connectivity_operator import opensearch_endpoint
from connectivity_operator.adapters.connection_errors import network_reason, proxy_evidence
from connectivity_operator.adapters.opensearch.connection import (
    CONNECT_TIMEOUT,
    Connection,
    FrozenCredentials,
    Refused,
    Route,
    Signature,
    get,
)
from connectivity_operator.adapters.opensearch.documents import (
    FLOAT_BYTES,
    GUARD,
    Bulk,
    bulks,
    index_body,
    index_state,
    tells_version,
)
from connectivity_operator.adapters.opensearch.refusals import Asked, item_failure, refusal
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import DependencyFailure, Document, IndexState
from connectivity_operator.reasons import Reason, Rung, Service

T = TypeVar("T")

LOOK_LIFE = 2.0
"""Seconds for which an index that was looked at before a write is taken to be the same."""


@dataclass(frozen=True, slots=True)
class _Look:
    state: IndexState
    at: float
    """Monotonic time before which the answer cannot be."""


class OpenSearchIndex:
    """Implements `ports.VectorIndex`.

    ``service`` is what requests are signed for: ``aoss`` or ``es``. ``credentials`` gives unexpired ones without
    blocking (`AwsIdentity.credentials`), or raises; None: requests are not signed.
    ``timeout`` and ``write_timeout`` are seconds of a whole call (a write is sent in up to a few requests).
    ``proxy`` is the URL of the proxy for this endpoint, None for a direct connection.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        service: str,
        region: str | None,
        credentials: Callable[[], Awaitable[FrozenCredentials]] | None,
        ca_bundle: Path,
        threads: int = 4,
        timeout: float = 10.0,
        write_timeout: float = 30.0,
        proxy: str | None = None,
    ) -> None:
        url = urlsplit(endpoint)
        self._endpoint = endpoint
        self._service = service
        self._timeout = timeout
        self._write_timeout = write_timeout
        self._evidence = {
            **_known(url.hostname or "", url.port or 443, region),
            "signing_service": service if credentials else "none",
        }
        self._credentials = credentials
        self._signature = Signature(region=region or "", service=service) if credentials else None
        self._route = Route(ca_bundle, self._signature, proxy)
        self._looks: dict[str, _Look] = {}
        self._guarded = True
        """Whether the server knows `GUARD`."""
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="opensearch")
        self._client = opensearchpy.OpenSearch(
            [{"host": url.hostname, "port": url.port or 443, "use_ssl": url.scheme == "https"}],
            connection_class=Connection,
            route=self._route,
            pool_maxsize=threads,
            timeout=self._patience(timeout),
            max_retries=0,
            http_compress=False,  # costs more of our CPU than everything else of a write together
        )

    async def describe(self, index: str) -> IndexState | None:
        """See `ports.VectorIndex`."""
        return await self._run(lambda: self._describe(index), self._timeout, index)

    async def create(self, index: str, dimensions: int) -> None:
        """See `ports.VectorIndex`."""
        await self._run(lambda: self._create(index, dimensions), self._write_timeout, index)

    async def write(self, index: str, documents: Sequence[Document]) -> Sequence[str | DependencyFailure]:
        """See `ports.VectorIndex`. Raises `IndexNotFound` for an absent index instead of letting it be made anew."""
        return await self._run(lambda: self._write(index, documents), self._write_timeout, index)

    async def remove(self, index: str, document_id: str) -> None:
        """See `ports.VectorIndex`."""
        await self._run(lambda: self._delete(index, document_id), self._timeout, index)

    async def probe_write(self, index: str) -> None:
        """See `ports.VectorIndex`."""
        absent = f"connectivity-test-{uuid.uuid4()}"
        await self._run(lambda: self._delete(index, absent), self._timeout, index)

    async def probe_access(self) -> None:
        """See `ports.VectorIndex`. Asks for ``/`` on a connection of its own.

        Serverless has no ``/``: whom it lets in gets a 404 without a body. A domain tells its version; whatever
        else answers 200 is another API.
        """
        await self._run(self._probe_access, self._timeout, None)

    async def close(self) -> None:
        """Close idle connections; calls under way end by their own limits."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    # ── in the threads ───────────────────────────────────────────────────────────────────────────────
    def _describe(self, index: str) -> IndexState | None:
        self._looks.pop(index, None)
        began = time.monotonic()
        try:
            answer = self._ask(Asked.DESCRIBE, index, lambda: self._client.indices.get_mapping(index=index))
        except DependencyError as error:
            if error.reason is Reason.INDEX_NOT_FOUND:
                return None
            raise
        state = index_state(answer)
        if state is None:
            raise self._error(Reason.UNEXPECTED_ANSWER, index, status="200")
        self._looks[index] = _Look(state, began)
        self._forget_old_looks()
        return state

    def _forget_old_looks(self) -> None:
        """Those that are of no more use: indices come and go with the resources that name them."""
        for name, look in list(self._looks.items()):
            if time.monotonic() - look.at > LOOK_LIFE:
                self._looks.pop(name, None)

    def _create(self, index: str, dimensions: int) -> None:
        def send() -> None:
            try:
                self._client.indices.create(
                    index=index, body=index_body(dimensions), request_timeout=self._patience(self._write_timeout)
                )
            except Refused as refused:
                if b'"resource_already_exists_exception"' not in refused.answer.content:
                    raise

        self._ask(Asked.CREATE, index, send)

    def _write(self, index: str, documents: Sequence[Document]) -> list[str | DependencyFailure]:
        written: list[str | DependencyFailure] = []
        dimensions = len(documents[0].vector) // FLOAT_BYTES if documents else 0
        for bulk in bulks(documents, with_ids=self._service == "es"):
            try:
                self._check_before_write(index, dimensions)
                written += self._write_bulk(index, bulk)
            except DependencyError as error:
                self._looks.pop(index, None)
                if not written:
                    raise
                # What is written must not be sent again: only the rest is refused, and may be tried later.
                rest = DependencyFailure(error.reason, transient=True, evidence=error.evidence)
                return written + [rest] * (len(documents) - len(written))
        return written

    def _check_before_write(self, index: str, dimensions: int) -> None:
        """An index that is not for these vectors would take them in silence, or refuse every document."""
        looked = self._looks.get(index)
        if looked is None or not self._guarded or time.monotonic() - looked.at > LOOK_LIFE:
            state = self._describe(index)
        else:
            state = looked.state
        if state is None:
            raise self._error(Reason.INDEX_NOT_FOUND, index)
        if state.dimensions is None:
            raise self._error(Reason.MAPPING_MISMATCH, index)
        if state.dimensions != dimensions:
            facts = {"dimensions": str(dimensions), "expected_dimensions": str(state.dimensions)}
            raise self._error(Reason.DIMENSION_MISMATCH, index, **facts)

    def _write_bulk(self, index: str, bulk: Bulk) -> list[str | DependencyFailure]:
        patience = self._patience(self._write_timeout)

        def send() -> Any:
            if self._guarded:
                try:
                    return self._client.bulk(body=bulk.body + GUARD, index=index, request_timeout=patience)
                except Refused as refused:
                    if (
                        refused.answer.status != HTTPStatus.BAD_REQUEST
                        or b"require_alias" not in refused.answer.content
                    ):
                        raise
                    # A server that does not know the guard. From now on a look before every write must do, which
                    # leaves the milliseconds between the two: only a role without CreateIndex closes those.
                    self._guarded = False
            return self._client.bulk(body=bulk.body, index=index, request_timeout=patience)

        answer = self._ask(Asked.WRITE, index, send)
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or len(items) < bulk.count:
            raise self._error(Reason.UNEXPECTED_ANSWER, index, detail="the answer does not match the bulk request")
        return [self._result(next(iter(item.values())), index) for item in items[: bulk.count]]

    def _result(self, item: dict[str, Any], index: str) -> str | DependencyFailure:
        if 200 <= int(item.get("status", 0)) < 300:
            return str(item["_id"])
        return item_failure(item, evidence=self._facts(index))

    def _delete(self, index: str, document_id: str) -> None:
        def send() -> None:
            try:
                self._client.delete(index=index, id=document_id)
            except Refused as refused:
                if refused.answer.status != HTTPStatus.NOT_FOUND or b'"not_found"' not in refused.answer.content:
                    raise

        self._ask(Asked.DELETE, index, send)

    def _probe_access(self) -> None:
        def send() -> None:
            response = get(self._route, f"{self._endpoint}/", timeout=self._patience(self._timeout))
            absent = response.status_code == HTTPStatus.NOT_FOUND and not response.content
            if not absent and not (response.status_code == HTTPStatus.OK and tells_version(response.content)):
                raise Refused(response)

        try:
            self._ask(Asked.ACCESS, None, send)
        except DependencyError as error:
            if error.reason is not Reason.DATA_ACCESS_DENIED:  # the second lock answers, so the first one is open
                raise

    def _ask(self, asked: Asked, index: str | None, send: Callable[[], T]) -> T:
        """Run ``send``, with everything that it may raise as an error of ours."""
        evidence = self._facts(index)
        try:
            return send()
        except Refused as refused:
            raise refusal(
                refused.answer, asked, service=self._service, evidence=evidence, signature=refused.problem
            ) from refused
        except opensearchpy.SerializationError as error:
            raise self._error(Reason.UNEXPECTED_ANSWER, index, status="200") from error
        except requests.RequestException as error:
            reason = network_reason(error, proxied=self._route.proxy is not None)
            raise self._error(reason, index, **proxy_evidence(reason, self._route.proxy)) from error

    # ── on the event loop ────────────────────────────────────────────────────────────────────────────
    async def _run(self, call: Callable[[], T], limit: float, index: str | None) -> T:
        try:
            async with asyncio.timeout(limit):
                await self._renew_signature()
                return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except TimeoutError as error:
            raise self._error(Reason.REQUEST_TIMEOUT, index, limit=f"{limit:g}") from error

    async def _renew_signature(self) -> None:
        if self._credentials is None or self._signature is None:
            return
        try:
            self._signature.keys = await self._credentials()
        except DependencyError as error:  # not OpenSearch's doing: it belongs to the rung below
            raise DependencyError(error.service, error.reason, evidence=error.evidence, rung=Rung.IDENTITY) from error

    # ── facts ────────────────────────────────────────────────────────────────────────────────────────
    def _patience(self, read: float) -> tuple[float, float]:
        """Seconds for connecting, and for each part of the answer."""
        return min(CONNECT_TIMEOUT, read), read

    def _facts(self, index: str | None) -> dict[str, str]:
        return {**self._evidence, "index": index} if index else dict(self._evidence)

    def _error(self, reason: Reason, index: str | None, **evidence: str) -> DependencyError:
        facts = {"limit": f"{self._timeout:g}", **self._facts(index), **evidence}
        return DependencyError(Service.OPENSEARCH, reason, evidence=facts)


def _known(host: str, port: int, region: str | None) -> dict[str, str]:
    name = opensearch_endpoint.parse(host)
    facts = {"host": host, "port": str(port), "region": region or "", "signing_region": region or ""}
    return {**facts, "endpoint_region": name.region} if name else facts
