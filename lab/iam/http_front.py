"""AWS's endpoints as HTTP applications: STS answers XML, Secrets Manager JSON, both dated by AWS's clock."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from email.utils import formatdate
from xml.sax.saxutils import escape

from aiohttp import web

from lab.iam import secrets_manager
from lab.iam.decisions import Account
from lab.iam.errors import ServiceError
from lab.iam.pod_identity import PodIdentity
from lab.iam.refusals import Refusals
from lab.iam.sigv4 import Request
from lab.iam.store import Store
from lab.iam.sts import Result, Sts

_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def as_signed(request: web.Request, body: bytes) -> Request:
    """The request as its signature covers it; repeated headers are joined by a comma."""
    headers = {name.lower(): ",".join(request.headers.getall(name)) for name in request.headers}
    return Request(request.method, request.raw_path, headers, hashlib.sha256(body).hexdigest())


def sts_application(store: Store, sts: Sts, refusals: Refusals) -> web.Application:
    """STS."""

    async def handle(request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        try:
            body = await request.read()
            action, result = await sts.call(as_signed(request, body), body)
        except ServiceError as error:
            refusals.record("sts", error.reason, code=error.code)
            return _xml(store, error.status, _error_xml(error, request_id), request_id)
        return _xml(store, 200, _result_xml(action, result, request_id), request_id)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handle)
    return app


def secrets_manager_application(store: Store, refusals: Refusals) -> web.Application:
    """Secrets Manager."""

    async def handle(request: web.Request) -> web.Response:
        account = Account(store.state, store.credentials, store.now())
        try:
            body = await request.read()
            answer = secrets_manager.get_secret_value(account, as_signed(request, body), body)
        except ServiceError as error:
            refusals.record("secretsmanager", error.reason, code=error.code)
            content = {"__type": error.code, "Message": error.message}
            return _respond(store, error.status, json.dumps(content), "application/x-amz-json-1.1")
        return _respond(store, 200, json.dumps(answer), "application/x-amz-json-1.1")

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handle)
    return app


def pod_identity_application(agent: PodIdentity, refusals: Refusals) -> web.Application:
    """The agent of EKS Pod Identity."""

    async def handle(request: web.Request) -> web.Response:
        try:
            return web.json_response(await agent.credentials(request.headers.get("Authorization", "")))
        except ServiceError as error:
            refusals.record("pod-identity", error.reason, code=error.code)
            return web.Response(status=error.status, text=f"({error.code}): {error.message}, fault: client\n")

    app = web.Application()
    app.router.add_get("/v1/credentials", handle)
    return app


def _respond(store: Store, status: int, text: str, content_type: str, request_id: str = "") -> web.Response:
    headers = {
        "Content-Type": content_type,
        "Date": formatdate(store.now(), usegmt=True),  # clients measure their clock's skew by it
        "x-amzn-RequestId": request_id or str(uuid.uuid4()),
    }
    return web.Response(status=status, body=text.encode(), headers=headers)


def _xml(store: Store, status: int, text: str, request_id: str) -> web.Response:
    return _respond(store, status, text, "text/xml", request_id)


def _result_xml(action: str, result: Result, request_id: str) -> str:
    return (
        f'<{action}Response xmlns="{_STS_NAMESPACE}">\n'
        f"  <{action}Result>{_elements(result)}</{action}Result>\n"
        f"  <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>\n"
        f"</{action}Response>\n"
    )


def _error_xml(error: ServiceError, request_id: str) -> str:
    kind = "Sender" if error.status < 500 else "Receiver"
    fields = {"Type": kind, "Code": error.code, "Message": error.message}
    return (
        f'<ErrorResponse xmlns="{_STS_NAMESPACE}">\n  <Error>{_elements(fields)}</Error>\n'
        f"  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n"
    )


def _elements(result: Mapping[str, str | Result]) -> str:
    return "".join(
        f"<{name}>{escape(value) if isinstance(value, str) else _elements(value)}</{name}>"
        for name, value in result.items()
    )
