"""The embeddings adapter against the lab's OpenAI: real vectors, real limits, and its bad days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectivity_operator import trust
from connectivity_operator.adapters.embeddings import ApiKey, OpenAIEmbedder
from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.reasons import Reason
from lab import certificates, world
from lab.openai import API_KEY, control

SMALL = "text-embedding-3-small"
ADA = "text-embedding-ada-002"


def embedder(**options: Any) -> OpenAIEmbedder:
    """As the operator in the lab has it."""
    usual: dict[str, Any] = {
        "base_url": f"https://{world.OPENAI[0]}/v1",
        "api_key": ApiKey(value=API_KEY),
        "context": trust.context(certificates.authority_file()),
    }
    return OpenAIEmbedder(**{**usual, **options})


@pytest.fixture
async def api(lab: object) -> AsyncIterator[OpenAIEmbedder]:
    control.reset()
    made = embedder()
    yield made
    control.reset()
    await made.close()


async def refusal(call: Any) -> DependencyError:
    with pytest.raises(DependencyError) as caught:
        await call
    return caught.value


async def embedding(api: OpenAIEmbedder, *texts: str, model: str = SMALL, dimensions: int | None = None) -> Any:
    return await api.embed(texts, model=model, dimensions=dimensions)


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("model", "asked", "given"),
    [(SMALL, None, 1536), (SMALL, 256, 256), (SMALL, 1536, 1536), (ADA, None, 1536), (ADA, 1536, 1536)],
)
async def test_vectors_have_the_length_that_was_asked_for(
    api: OpenAIEmbedder, model: str, asked: int | None, given: int
) -> None:
    """text-embedding-ada-002 has one length, and does not even take the parameter for that one."""
    made = await embedding(api, "north", "south", model=model, dimensions=asked)
    assert made.dimensions == given
    assert [len(vector) for vector in made.vectors] == [4 * given] * 2
    assert made.tokens > 0


async def test_each_text_gets_its_own_vector(api: OpenAIEmbedder) -> None:
    """In the order of the texts: what is near in meaning is near as a vector."""
    made = await embedding(api, "the cat sleeps", "interest rates rise", "a kitten is asleep")
    cat, rates, kitten = (np.frombuffer(vector, "<f4") for vector in made.vectors)
    assert cat @ kitten > cat @ rates
    assert np.linalg.norm(cat) == pytest.approx(1, abs=1e-4)


async def test_a_batch_is_one_request(api: OpenAIEmbedder) -> None:
    """Nothing is retried or divided inside."""
    await embedding(api, *(f"text {number}" for number in range(256)))
    assert (control.counters()["requests"], control.counters()["inputs"]) == (1, 256)


# ── the key ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_good_key_is_proven_free_of_charge(api: OpenAIEmbedder) -> None:
    """No text is embedded for it; which model is named does not matter."""
    await api.probe_key(SMALL)
    await api.probe_key("no-such-model")
    assert control.counters().get("tokens", 0) == 0


async def test_a_wrong_key_is_refused(lab: object) -> None:
    """And nothing of it stands in the evidence."""
    made = embedder(api_key=ApiKey(value="sk-wrong-0123456789"))
    for call in (made.probe_key(SMALL), embedding(made, "hello")):
        error = await refusal(call)
        assert error.reason is Reason.API_KEY_INVALID
        assert "sk-" not in str(error.evidence)
    await made.close()


async def test_a_malformed_key_is_never_sent(api: OpenAIEmbedder) -> None:
    """The HTTP library would put it into the text of its exception."""
    made = embedder(api_key=ApiKey(value=f"{API_KEY}\n"))
    for call in (made.probe_key(SMALL), embedding(made, "hello")):
        assert (await refusal(call)).reason is Reason.API_KEY_MALFORMED
    assert control.counters().get("requests", 0) == 0
    await made.close()


async def test_a_key_that_was_replaced_is_used_at_once(api: OpenAIEmbedder, tmp_path: Path) -> None:
    """Without a new client: a mounted Secret changes under a running operator."""
    file = tmp_path / "key"
    file.write_text("sk-revoked")
    made = embedder(api_key=ApiKey(path=file))
    assert (await refusal(embedding(made, "hello"))).reason is Reason.API_KEY_INVALID
    file.write_text(API_KEY)
    await embedding(made, "hello")
    await made.close()


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("texts", "told"),
    [([""], "an empty text"), (["hello " * 9000], "too long"), (["x"] * 2049, "too many")],
)
async def test_a_refused_text_is_the_contents_fault(api: OpenAIEmbedder, texts: Sequence[str], told: str) -> None:
    """What no retry can heal."""
    error = await refusal(embedding(api, *texts))
    assert isinstance(error, ContentRefused), told
    assert error.reason is Reason.INPUT_REJECTED


@pytest.mark.parametrize(
    ("model", "dimensions", "reason"),
    [
        ("no-such-model", None, Reason.MODEL_NOT_FOUND),
        (ADA, 8, Reason.DIMENSION_MISMATCH),
        (SMALL, 9999, Reason.DIMENSION_MISMATCH),
    ],
)
async def test_a_refused_parameter_condemns_no_text(
    api: OpenAIEmbedder, model: str, dimensions: int | None, reason: Reason
) -> None:
    """It would be refused with every text."""
    error = await refusal(embedding(api, "hello", model=model, dimensions=dimensions))
    assert error.reason is reason
    assert not isinstance(error, ContentRefused)


@pytest.mark.parametrize("path", ["", "/v2"])
async def test_a_wrong_base_url_is_told(lab: object, path: str) -> None:
    """The usual mistake is to leave out /v1."""
    made = embedder(base_url=f"https://{world.OPENAI[0]}{path}")
    for call in (made.probe_key(SMALL), embedding(made, "hello")):
        assert (await refusal(call)).reason is Reason.WRONG_BASE_URL
    await made.close()


# ── bad days ─────────────────────────────────────────────────────────────────────────────────────────
SCOPES = "You have insufficient permissions for this operation. Missing scopes: model.request."


def injected_error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


@pytest.mark.parametrize(
    ("injection", "reason"),
    [
        ({"preset": "insufficient_quota"}, Reason.QUOTA_EXHAUSTED),
        ({"preset": "rate_limit_exceeded"}, Reason.RATE_LIMITED),
        ({"preset": "server_error"}, Reason.SERVICE_UNAVAILABLE),
        ({"preset": "overloaded"}, Reason.SERVICE_UNAVAILABLE),
        ({"preset": "bad_gateway"}, Reason.SERVICE_UNAVAILABLE),
        ({"preset": "model_access_denied"}, Reason.MODEL_ACCESS_DENIED),
        ({"preset": "region_not_supported"}, Reason.REGION_NOT_SUPPORTED),
        ({"preset": "html"}, Reason.WRONG_BASE_URL),
        ({"preset": "empty"}, Reason.INVALID_RESPONSE),
        ({"preset": "reset"}, Reason.CONNECTION_RESET),
        ({"preset": "slow"}, Reason.REQUEST_TIMEOUT),
        ({"status": 401, "body": injected_error(SCOPES)}, Reason.API_KEY_RESTRICTED),
        ({"status": 401, "body": injected_error("…", "ip_not_authorized")}, Reason.IP_NOT_ALLOWED),
        ({"status": 403, "body": "<html>blocked</html>", "content_type": "text/html"}, Reason.UNEXPECTED_ANSWER),
        ({"status": 308, "headers": {"Location": "https://elsewhere.example/"}}, Reason.WRONG_BASE_URL),
    ],
)
async def test_each_bad_day_has_its_reason(api: OpenAIEmbedder, injection: dict[str, Any], reason: Reason) -> None:
    """One request each, and the next one is answered."""
    hasty = embedder(timeout=1.0)
    with control.injected(**injection):
        error = await refusal(embedding(hasty, "hello"))
    assert error.reason is reason
    assert not isinstance(error, ContentRefused)
    assert control.counters().get("requests", 0) <= 1
    await embedding(hasty, "hello")
    await hasty.close()


async def test_vectors_of_another_length_than_asked_for_are_refused(api: OpenAIEmbedder) -> None:
    """The index was made for the length that was asked for."""
    with control.injected("wrong_dimensions"):
        error = await refusal(embedding(api, "hello", dimensions=256))
    assert error.reason is Reason.DIMENSION_MISMATCH
    assert (error.evidence["dimensions"], error.evidence["expected_dimensions"]) == ("8", "256")


async def test_the_wait_that_the_api_asks_for_is_kept(api: OpenAIEmbedder) -> None:
    """For the one who retries."""
    with control.injected("rate_limit_exceeded"):
        assert (await refusal(embedding(api, "hello"))).retry_after == 1.0


async def test_a_limit_ends_a_request_however_slowly_it_goes(api: OpenAIEmbedder) -> None:
    """And whoever is cancelled is not held."""
    with control.injected("slow"):
        task = asyncio.create_task(embedding(api, "hello"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# ── trust and way ────────────────────────────────────────────────────────────────────────────────────
async def test_only_the_given_context_decides_whom_to_believe(lab: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's bundles are for other programs."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority_file()))
    made = embedder(context=trust.context())
    assert (await refusal(embedding(made, "hello"))).reason is Reason.CERTIFICATE_UNTRUSTED
    await made.close()


async def test_only_a_proxy_that_is_given_is_used(api: OpenAIEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY and NO_PROXY are read once, by the settings."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    direct = embedder()
    await embedding(direct, "hello")
    await direct.close()
    made = embedder(proxy="http://127.0.0.1:1")
    error = await refusal(embedding(made, "hello"))
    assert (error.reason, error.evidence["host"], error.evidence["port"]) == (
        Reason.PROXY_UNREACHABLE,
        "127.0.0.1",
        "1",
    )
    await made.close()
