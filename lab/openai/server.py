"""The embedding server, the process: the API over TLS and its administration endpoint."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import signal
import time
import uuid
from argparse import ArgumentParser, Namespace
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from lab import resets, server_tls, world
from lab.openai import API_KEY, ORGANIZATION, PROJECT, errors, validation
from lab.openai.embedding import Embedder, Vectors
from lab.openai.errors import ApiError
from lab.openai.injection import Injection, Injections, UnknownInjectionError, read
from lab.openai.models import MODELS
from lab.openai.validation import EmbeddingRequest

_LARGEST_BODY = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class Api:
    """The API's endpoints."""

    def __init__(self, embedder: Embedder) -> None:
        self.keys = {API_KEY}
        self.models = set(MODELS)
        self.injections = Injections()
        self.counters: Counter[str] = Counter()
        self._embedder = embedder
        self._executor = ThreadPoolExecutor(1, "embed")  # the model is not thread-safe, the loop must not wait

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request; refusals become OpenAI's JSON."""
        try:
            response = await self._route(request)
        except ApiError as error:
            _log.info("%s %s refused: %s", request.method, request.path, error)
            response = web.json_response(error.body, status=error.status)
        self.counters["requests"] += 1
        self.counters[f"status_{response.status}"] += 1
        response.headers["x-request-id"] = f"req_{uuid.uuid4().hex}"
        response.headers["openai-version"] = "2020-10-01"
        return response

    async def _route(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/v1/embeddings" and request.method == "POST":
            return await self._embeddings(request)
        if request.path == "/v1/models" and request.method == "GET":
            self._authenticate(request)
            models = [
                {"id": name, "object": "model", "created": 1700000000, "owned_by": "system"}
                for name in sorted(self.models)
            ]
            return web.json_response({"object": "list", "data": models})
        raise errors.invalid_url(request.method, request.path)

    def _authenticate(self, request: web.Request) -> None:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or not key:
            raise errors.missing_key()
        if key not in self.keys:
            raise errors.invalid_key(key)
        if request.headers.get("OpenAI-Organization", ORGANIZATION) != ORGANIZATION:
            raise errors.mismatched("Organization")
        if request.headers.get("OpenAI-Project", PROJECT) != PROJECT:
            raise errors.mismatched("Project")

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        started = time.monotonic()
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise errors.not_json() from error
        injection = self.injections.of(_raw_inputs(body)) or Injection()
        await asyncio.sleep(injection.delay_seconds)
        if injection.reset:
            resets.reset(request)
            raise ConnectionResetError
        if injection.status:
            self.counters["injected"] += 1
            return web.Response(
                status=injection.status,
                body=injection.body.encode(),
                headers={**injection.headers, "Content-Type": injection.content_type},
            )
        self._authenticate(request)
        wanted = validation.read(body)
        if wanted.model.name not in self.models:
            raise errors.model_not_found(wanted.model.name)
        content, tokens = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._answer, wanted, injection
        )
        self.counters["inputs"] += len(wanted.inputs)
        self.counters["tokens"] += tokens
        headers = {
            "Content-Type": "application/json",
            "openai-model": wanted.model.name,
            "openai-processing-ms": str(int((time.monotonic() - started) * 1000)),
        }
        return web.Response(body=content, headers=headers)

    def _answer(self, wanted: EmbeddingRequest, injection: Injection) -> tuple[bytes, int]:
        tokens = self._embedder.tokenize(wanted.inputs)
        counts = [len(ids) for ids in tokens]
        validation.check_lengths(counts)
        vectors = self._embedder.embed(tokens, wanted.model, injection.dimensions or wanted.dimensions)
        data = [] if injection.empty else _data(vectors, base64_wanted=wanted.base64)
        usage = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        answer = {"object": "list", "data": data, "model": wanted.model.name, "usage": usage}
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), sum(counts)


def _data(vectors: Vectors, *, base64_wanted: bool) -> list[dict[str, Any]]:
    return [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode() if base64_wanted else vector,
        }
        for index, vector in enumerate(vectors)
    ]


def _raw_inputs(body: Any) -> list[object]:
    inputs = body.get("input") if isinstance(body, dict) else None
    return inputs if isinstance(inputs, list) else [inputs]


def api_application(api: Api) -> web.Application:
    """What clients see."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.router.add_route("*", "/{anything:.*}", api.handle)
    return app


def admin_application(api: Api) -> web.Application:
    """What tests and faults see; see `lab.openai.control`."""

    async def inject(request: web.Request) -> web.Response:
        try:
            api.injections.add(read(await request.json()))
        except (UnknownInjectionError, TypeError, json.JSONDecodeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})

    async def clear(request: web.Request) -> web.Response:
        api.injections.clear(request.query.get("name", ""))
        return web.json_response({})

    async def counters(_request: web.Request) -> web.Response:
        return web.json_response(dict(api.counters))

    async def set_keys(request: web.Request) -> web.Response:
        api.keys = set(await request.json())
        return web.json_response({})

    async def set_models(request: web.Request) -> web.Response:
        api.models = set(await request.json())
        return web.json_response({})

    async def reset(_request: web.Request) -> web.Response:
        api.injections.clear()
        api.counters.clear()
        api.keys = {API_KEY}
        api.models = set(MODELS)
        return web.json_response({})

    app = web.Application()
    app.add_routes(
        [
            web.post("/injections", inject),
            web.delete("/injections", clear),
            web.get("/counters", counters),
            web.put("/keys", set_keys),
            web.put("/models", set_models),
            web.post("/reset", reset),
        ]
    )
    return app


async def serve(args: Namespace) -> None:
    """Run until SIGTERM or SIGINT."""
    api = Api(Embedder())
    tls = server_tls.context(args.certificate, args.key)
    runners = []
    for app, (address, port), context in (
        (api_application(api), (world.OPENAI[1], 443), tls),
        (admin_application(api), world.OPENAI_ADMIN, None),
    ):
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, address, port, ssl_context=context, backlog=512).start()
        runners.append(runner)
    _log.info("the embedding server is up")
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    await stop.wait()
    for runner in runners:
        await runner.cleanup()


def main() -> None:
    """Entry of the process."""
    parser = ArgumentParser(prog="python -m lab.openai.server", description=__doc__)
    parser.add_argument("--certificate", type=Path, required=True, help="chain (PEM)")
    parser.add_argument("--key", type=Path, required=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
