"""The endpoint, plain HTTP on loopback, by which tests and faults inject answers and read the counters.

==================  =================================================================================================
GET /state          ``{"injections": [...], "answered": {operation: {status: count}}}``
POST /inject        an `injection.Injection` as JSON: ``{"status": 429, "times": 3, "operations": ["bulk"]}``
DELETE /inject      forget all injections, or those of ``?name=``
POST /reset         forget all injections, and count from zero
==================  =================================================================================================
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from aiohttp import web

from lab.opensearch.gateway.injection import Injections, InvalidInjectionError, parse


def application(injections: Injections) -> web.Application:
    """The endpoint as an application."""

    async def get_state(_request: web.Request) -> web.Response:
        return web.json_response(_state(injections))

    async def inject(request: web.Request) -> web.Response:
        try:
            injections.add(parse(await request.json()))
        except (InvalidInjectionError, json.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(_state(injections))

    async def clear(request: web.Request) -> web.Response:
        injections.clear(request.query.get("name", ""))
        return web.json_response(_state(injections))

    async def reset(_request: web.Request) -> web.Response:
        injections.clear()
        injections.answered.clear()
        return web.json_response(_state(injections))

    app = web.Application()
    app.add_routes(
        [
            web.get("/state", get_state),
            web.post("/inject", inject),
            web.delete("/inject", clear),
            web.post("/reset", reset),
        ]
    )
    return app


def _state(injections: Injections) -> dict[str, Any]:
    answered: dict[str, dict[str, int]] = defaultdict(dict)
    for (operation, status), count in injections.answered.items():
        answered[operation][str(status)] = count
    return {"injections": [asdict(injection) for injection in injections.active], "answered": answered}
