"""The embeddings API over the openai SDK: one client, one TLS context and one connection pool for the process.

The SDK's retries are off (there is one policy of retrying, the caller's), its parsing of the vectors is bypassed
(it makes a Python float of every number), and nothing of the environment decides where the key is sent: redirects
are not followed, and a proxy is used only if it is given here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence

import openai

from connectivity_operator import models
from connectivity_operator.adapters.connection_errors import network_reason, proxy_evidence
from connectivity_operator.adapters.embeddings import vectors
from connectivity_operator.adapters.embeddings.refusals import refusal
from connectivity_operator.adapters.http_answer import Answer
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Embeddings
from connectivity_operator.reasons import Reason, Service

CONNECT_TIMEOUT = 5.0
"""Seconds for TCP, TLS and the way through a proxy."""

_KEY_ACCEPTED = {
    Reason.INPUT_REJECTED,
    Reason.INVALID_RESPONSE,
    Reason.DIMENSION_MISMATCH,
    Reason.MODEL_NOT_FOUND,
    Reason.MODEL_ACCESS_DENIED,
    Reason.RATE_LIMITED,
    Reason.QUOTA_EXHAUSTED,
}
"""Answers that only a caller with a good key gets; what they are about is the business of later rungs."""


class OpenAIEmbedder:
    """Implements `ports.EmbeddingsProber`.

    ``api_key`` is asked before every request and raises when there is none to send. ``timeout`` is of a whole
    request, in seconds. ``proxy`` is the URL of the proxy for this ``base_url``, None for a direct connection.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Callable[[], str],
        context: ssl.SSLContext,
        timeout: float = 30.0,
        proxy: str | None = None,
    ) -> None:
        self._api_key = api_key
        self._context = context
        self._timeout = timeout
        self._proxy = proxy
        self._client = openai.AsyncOpenAI(
            api_key="replaced before every request",
            base_url=base_url,
            timeout=openai.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
            max_retries=0,
            http_client=self._http(),
        )

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None) -> Embeddings:
        """See `ports.Embedder`."""
        # text-embedding-ada-002 refuses the parameter even with its own length.
        sent = None if dimensions == models.NATIVE_DIMENSIONS.get(model) else dimensions
        content = await self._ask(self._client, list(texts), model, sent)
        return vectors.read(content, count=len(texts), model=model, dimensions=dimensions)

    def check_key(self) -> None:
        """See `ports.EmbeddingsProber`."""
        self._api_key()

    async def probe_key(self, model: str) -> None:
        """See `ports.EmbeddingsProber`.

        Asks for the embeddings of no texts, on a fresh connection: the key is looked at before the input is, and
        an empty input costs nothing. Not ``GET /models``, which a key restricted to embeddings may not call
        and which many compatible servers do not have.
        """
        async with self._http() as http:
            try:
                content = await self._ask(self._client.with_options(http_client=http), [], model, None)
                vectors.read(content, count=0, model=model, dimensions=None)
            except DependencyError as error:
                if error.reason not in _KEY_ACCEPTED:
                    raise

    async def close(self) -> None:
        await self._client.close()

    def _http(self) -> openai.DefaultAsyncHttpxClient:
        return openai.DefaultAsyncHttpxClient(
            verify=self._context, proxy=self._proxy, trust_env=False, follow_redirects=False
        )

    async def _ask(self, client: openai.AsyncOpenAI, texts: list[str], model: str, dimensions: int | None) -> bytes:
        client.api_key = self._api_key()
        try:
            async with asyncio.timeout(self._timeout):
                answer = await client.embeddings.with_raw_response.create(
                    input=texts,
                    model=model,
                    dimensions=openai.omit if dimensions is None else dimensions,
                    encoding_format="base64",
                )
        except openai.APIStatusError as error:
            answered = Answer.of(error.status_code, error.response.headers, error.response.content)
            raise refusal(answered, model=model, dimensions=dimensions, evidence=self._server()) from error
        except openai.APIConnectionError as error:
            raise self._unanswered(network_reason(error, proxied=self._proxy is not None), model) from error
        except TimeoutError as error:
            raise self._unanswered(Reason.REQUEST_TIMEOUT, model) from error
        return answer.content

    def _unanswered(self, reason: Reason, model: str) -> DependencyError:
        evidence = {**self._server(), "model": model, "limit": f"{self._timeout:g}"}
        return DependencyError(Service.OPENAI, reason, evidence={**evidence, **proxy_evidence(reason, self._proxy)})

    def _server(self) -> dict[str, str]:
        url = self._client.base_url
        return {"host": url.host, "port": str(url.port or (443 if url.scheme == "https" else 80))}
