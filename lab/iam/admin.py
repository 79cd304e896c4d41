"""The administration endpoint: plain HTTP on loopback, for the lab's own servers, its faults and its tests.

Kafka's brokers wait for `/verify` and `/authorize` while they handle a request: both only compute.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lab.iam import credentials, decisions
from lab.iam.decisions import Account, Answer, ConnectRate
from lab.iam.refusals import Refusals
from lab.iam.sigv4 import Request
from lab.iam.state import MalformedStateError
from lab.iam.store import Store

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(store: Store, refusals: Refusals) -> web.Application:
    """The routes of the endpoint; see `lab/iam/__init__.py` for what they take and answer."""
    admin = _Admin(store, refusals)
    app = web.Application(middlewares=[_malformed_is_400])
    app.add_routes(
        [
            web.post("/verify", admin.verify),
            web.post("/authorize", admin.authorize),
            web.post("/aoss/authorize", admin.authorize_aoss),
            web.get("/state", admin.get_state),
            web.put("/state", admin.put_state),
            web.patch("/state", admin.patch_state),
            web.post("/reset", admin.reset),
            web.get("/log", admin.log),
            web.get("/counters", admin.counters),
            web.post("/credentials", admin.issue),
            web.post("/credentials/expire", admin.expire),
        ]
    )
    return app


@web.middleware
async def _malformed_is_400(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (MalformedStateError, json.JSONDecodeError, KeyError, TypeError) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)


class _Admin:
    def __init__(self, store: Store, refusals: Refusals) -> None:
        self._store = store
        self._refusals = refusals
        self._rate = ConnectRate()

    async def verify(self, request: web.Request) -> web.Response:
        question = await request.json()
        kind = question["kind"]
        self._store.asked[kind] += 1
        account = Account(self._store.state, self._store.credentials, self._store.now())
        if kind == "msk":
            answer = decisions.verify_msk(account, self._rate, question["url"], question["cluster"])
        elif kind == "rds":
            answer = decisions.verify_rds(account, question["token"], question["user"])
        elif kind == "aoss":
            fields = ("method", "raw_path", "headers", "body_sha256")
            answer = decisions.verify_aoss(account, Request(**{name: question[name] for name in fields}))
        else:
            return web.json_response({"error": f"unknown kind {kind}"}, status=400)
        if not answer.allowed:
            self._refusals.record(kind, answer.reason, principal=answer.principal)
        return web.json_response(self._answer(answer))

    async def authorize(self, request: web.Request) -> web.Response:
        answers = []
        for q in await request.json():
            decision = decisions.authorize(self._store.state, q["principal"], q["action"], q["resource"])
            if not decision.allowed:
                self._refusals.record("iam", decision.reason, principal=q["principal"])
            answers.append({"allowed": decision.allowed})
        return web.json_response(answers)

    async def authorize_aoss(self, request: web.Request) -> web.Response:
        answers = []
        for q in await request.json():
            allowed = decisions.authorize_aoss(self._store.state, q["principal"], q["permission"], q["resource"])
            if not allowed:
                reason = f"no data access policy gives {q['permission']} on {q['resource']}"
                self._refusals.record("aoss", reason, principal=q["principal"])
            answers.append({"allowed": allowed})
        return web.json_response(answers)

    async def get_state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._store.document)

    async def put_state(self, request: web.Request) -> web.Response:
        self._store.replace(await request.json())
        return web.json_response(self._store.document)

    async def patch_state(self, request: web.Request) -> web.Response:
        self._store.patch(await request.json())
        return web.json_response(self._store.document)

    async def reset(self, _request: web.Request) -> web.Response:
        self._store.reset()
        return web.json_response(self._store.document)

    async def log(self, _request: web.Request) -> web.Response:
        return web.json_response(self._refusals.entries())

    async def counters(self, _request: web.Request) -> web.Response:
        return web.json_response(self._store.asked)

    async def issue(self, request: web.Request) -> web.Response:
        """Credentials without a web identity token, for tests of one server alone."""
        body = await request.json()
        if body["role"] not in self._store.state.roles:
            return web.json_response({"error": f"role {body['role']} does not exist"}, status=404)
        expires = self._store.now() + body.get("seconds", 3600)
        issued = credentials.assume_role(body["role"], body.get("session", "test"), expires=expires)
        self._store.remember(issued)
        return web.json_response(
            {
                "access_key_id": issued.access_key,
                "secret_access_key": issued.secret,
                "session_token": issued.session_token,
                "principal": issued.principal,
                "expires": issued.expires,
            }
        )

    async def expire(self, _request: web.Request) -> web.Response:
        return web.json_response({"expired": self._store.expire_issued()})

    def _answer(self, answer: Answer) -> dict[str, Any]:
        skew = self._store.state.faults.clock_skew_seconds
        return {
            "allowed": answer.allowed,
            "reason": answer.reason,
            "message": answer.message,
            "principal": answer.principal,
            "role_arn": decisions.role_arn(answer.principal),
            "expires": int((answer.expires - skew) * 1000),  # the asking server has this machine's clock
            "cause": answer.cause.value if answer.cause else None,
            "api_access": answer.api_access,
        }
