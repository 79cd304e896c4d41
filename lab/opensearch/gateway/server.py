"""The way of a request through the gateway, in the order of AWS's answers: IAM, then the API, then the data policy."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import uuid
import zlib
from collections.abc import Iterable

import aiohttp
from aiohttp import web
from yarl import URL

from lab import resets
from lab.opensearch.gateway import answers, bulk, mappings, operations
from lab.opensearch.gateway.answers import Answer, RefusedError
from lab.opensearch.gateway.injection import NOT_SERVED, Connection, Injection, Injections
from lab.opensearch.gateway.locks import Locks
from lab.opensearch.gateway.operations import Operation

LOG = logging.getLogger(__name__)

FORWARDED_HEADERS = ("content-type", "accept")


class Gateway:
    """The collection's endpoint. ``backend`` is the URL of the OpenSearch behind it."""

    def __init__(self, session: aiohttp.ClientSession, locks: Locks, backend: str, injections: Injections) -> None:
        self._session = session
        self._locks = locks
        self._backend = backend
        self._injections = injections

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        operation = operations.find(request.method, request.rel_url.raw_path)
        name = operation.name if operation else NOT_SERVED
        injection = self._injections.of(name)
        if injection.delay_seconds:
            await asyncio.sleep(injection.delay_seconds)
        if injection.connection == Connection.RESET:
            await request.read()
            answer = None
        else:
            answer = await self._answer(request, operation, injection)
        if answer is None or injection.connection == Connection.LOSE_ANSWER:
            self._injections.answered[name, 0] += 1
            LOG.info("%s %s: connection reset on purpose", request.method, request.raw_path)
            resets.reset(request)
            return web.Response()
        self._injections.answered[name, answer.status] += 1
        return answer

    async def _answer(
        self, request: web.Request, operation: Operation | None, injection: Injection
    ) -> web.StreamResponse:
        try:
            body = await _body(request)
            _check_injection(injection)
            principal = await self._locks.verify(
                request.method, request.raw_path, _headers(request), hashlib.sha256(body).hexdigest()
            )
            return await self._serve(request, operation, injection, principal, _decompressed(request, body))
        except RefusedError as refused:
            LOG.warning("%s %s: %d, %s", request.method, request.raw_path, refused.answer.status, refused)
            return _response(refused.answer)

    async def _serve(
        self, request: web.Request, operation: Operation | None, injection: Injection, principal: str, body: bytes
    ) -> web.StreamResponse:
        """Everything after the first lock."""
        if operation is None:
            raise RefusedError(answers.not_served(), "not an API of Serverless")
        if operation.name == "bulk":
            return await self._bulk(request, operation, injection, principal, body)
        await self._check_data_policy(operation, operation.indices, principal)
        _check_refresh(request)
        if operation.own_id:
            raise RefusedError(answers.own_id_refused(), "a document id of the client's own")
        return await self._forward(request, _served_definition(body) if operation.defines_index and body else body)

    async def _bulk(
        self, request: web.Request, operation: Operation, injection: Injection, principal: str, body: bytes
    ) -> web.StreamResponse:
        default_index = None if operation.indices == (operations.EVERY_INDEX,) else operation.indices[0]
        try:
            asked = bulk.parse(body, default_index)
        except bulk.MalformedBulkError as error:
            raise RefusedError(answers.error(400, "illegal_argument_exception", str(error)), str(error)) from error
        await self._check_data_policy(operation, asked.indices, principal)
        _check_refresh(request)
        refused = asked.own_ids()
        if injection.items is not None and injection.status is not None:
            for position, item in enumerate(asked.items[: injection.items]):
                refused[position] = item.refused(injection.status, injection.item_error())
        if not refused:
            return await self._forward(request, body)
        LOG.warning("%s: %d of %d items refused", request.raw_path, len(refused), len(asked.items))
        if len(refused) == len(asked.items):
            return _response(Answer(200, bulk.merged(bulk.NOTHING_LEFT, refused)))
        response = await self._forward(request, asked.without(refused))
        if response.status != 200 or not isinstance(response.body, bytes):
            return response
        return _response(Answer(200, bulk.merged(json.loads(response.body), refused)))

    async def _check_data_policy(self, operation: Operation, indices: Iterable[str], principal: str) -> None:
        indices = sorted(indices)
        if not await self._locks.open(principal, operation.permission, indices):
            reason = f"no data access policy gives {principal} {operation.permission} on {', '.join(indices)}"
            raise RefusedError(answers.forbidden_by_data_policy(), reason)
        if operation.writes_documents and not await self._locks.open(principal, operations.CREATE_INDEX, indices):
            for index in indices:
                if not await self._exists(index):
                    reason = f"{principal} may write to {index}, which does not exist, but not create it"
                    raise RefusedError(answers.forbidden_by_data_policy(), reason)

    async def _exists(self, index: str) -> bool:
        async with self._session.head(f"{self._backend}/{index}") as response:
            return response.status == 200

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        """Let the server behind answer."""
        headers = {name: request.headers[name] for name in FORWARDED_HEADERS if name in request.headers}
        url = URL(self._backend + request.raw_path, encoded=True)
        try:
            async with self._session.request(request.method, url, data=body or None, headers=headers) as response:
                content = await response.read()
                return web.Response(
                    status=response.status,
                    body=content,
                    headers={**_signs_of_serverless(), "content-type": response.headers.get("content-type", "")},
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RefusedError(answers.of_status(503), f"no answer from OpenSearch: {error!r}") from error


def application(gateway: Gateway) -> web.Application:
    """The collection's endpoint as an application."""
    app = web.Application(client_max_size=answers.REQUEST_LIMIT)
    app.router.add_route("*", "/{path:.*}", gateway.handle)
    return app


async def _body(request: web.Request) -> bytes:
    """The body as it was sent: a signature covers it before it is decompressed."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise RefusedError(answers.too_large(), "the body is too large") from error


def _check_injection(injection: Injection) -> None:
    answer = injection.answer()
    if answer is not None:
        raise RefusedError(answer, "injected")


def _decompressed(request: web.Request, body: bytes) -> bytes:
    if request.headers.get("content-encoding") != "gzip":
        return body
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(answers.of_status(400), f"the body is not gzip: {error}") from error


def _headers(request: web.Request) -> dict[str, str]:
    return {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}


def _check_refresh(request: web.Request) -> None:
    policy = request.query.get("refresh", "false") or "true"
    if policy != "false":
        raise RefusedError(answers.refresh_refused(policy), "a refresh policy")


def _served_definition(body: bytes) -> bytes:
    try:
        return json.dumps(mappings.served(json.loads(body))).encode()
    except mappings.UnsupportedMethodError as error:
        answer = answers.error(400, "mapper_parsing_exception", str(error))
        raise RefusedError(answer, str(error)) from error
    except (ValueError, TypeError, AttributeError):
        return body  # let the server say what is wrong with it


def _response(answer: Answer) -> web.Response:
    headers = {**_signs_of_serverless(), **answer.headers}
    return web.Response(status=answer.status, body=answer.content(), headers=headers, content_type=answer.content_type)


def _signs_of_serverless() -> dict[str, str]:
    return {"server": "aoss-amazon", "x-request-id": str(uuid.uuid4())}
