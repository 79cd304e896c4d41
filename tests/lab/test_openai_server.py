"""The lab's OpenAI, asked with OpenAI's own SDK: real vectors, real limits, and refusals word for word."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest

from lab import certificates, world
from lab.openai import API_KEY, control

pytestmark = pytest.mark.lab

SMALL = "text-embedding-3-small"


@pytest.fixture(autouse=True)
def healthy(lab: object) -> Iterator[None]:
    """The server as `lab up` made it, before and after."""
    control.reset()
    yield
    control.reset()


@pytest.fixture
def sdk() -> Iterator[openai.OpenAI]:
    with client() as made:
        yield made


def client(key: str = API_KEY, *, path: str = "/v1", **more: Any) -> openai.OpenAI:
    trust = ssl.create_default_context(cafile=certificates.authority_file())
    http_client = openai.DefaultHttpxClient(verify=trust, trust_env=False)
    settings = {"max_retries": 0, "timeout": 10.0, **more}
    base_url = f"https://{world.OPENAI[0]}{path}"
    return openai.OpenAI(api_key=key, base_url=base_url, http_client=http_client, **settings)


def embed(sdk: openai.OpenAI, *texts: str, model: str = SMALL, **more: Any) -> np.ndarray[Any, Any]:
    answer = sdk.embeddings.create(model=model, input=list(texts), **more)
    return np.array([one.embedding for one in answer.data])


def refusal(sdk: openai.OpenAI, **request: Any) -> openai.APIStatusError:
    """The refusal that the request must meet."""
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.embeddings.create(**{"model": SMALL, "input": "hello", **request})
    return refused.value


# ── vectors ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("model", "dimensions"),
    [(SMALL, 1536), ("text-embedding-3-large", 3072), ("text-embedding-ada-002", 1536)],
)
def test_vectors_have_the_models_length_and_are_unit_vectors(sdk: openai.OpenAI, model: str, dimensions: int) -> None:
    """In every model, for every text."""
    vectors = embed(sdk, "hello", " ", "日本語 🙂", "x", model=model)
    assert vectors.shape == (4, dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("dimensions", [None, 256])
def test_near_texts_have_near_vectors(sdk: openai.OpenAI, dimensions: int | None) -> None:
    """The model is a real one: the sense of a text decides, also in shortened vectors."""
    more = {"dimensions": dimensions} if dimensions else {}
    cats, kittens, database = embed(
        sdk,
        "The cat sleeps on the sofa.",
        "A kitten is napping on the couch.",
        "The database server refused the connection.",
        **more,
    )
    assert cats @ kittens > cats @ database + 0.1
    assert cats @ kittens > kittens @ database + 0.1


def test_the_same_text_has_the_same_vector_and_models_differ(sdk: openai.OpenAI) -> None:
    """Alone, in a batch, and again; another model's vector of the same text is another one."""
    alone, (other, again) = embed(sdk, "order 17 shipped")[0], embed(sdk, "something else", "order 17 shipped")
    np.testing.assert_allclose(alone, again, atol=1e-6)
    assert abs(alone @ other) < 0.99
    assert abs(alone @ embed(sdk, "order 17 shipped", model="text-embedding-ada-002")[0]) < 0.5


def test_dimensions_shorten_and_normalise_again(sdk: openai.OpenAI) -> None:
    """A shortened vector is the beginning of the long one, of length 1."""
    long, short = embed(sdk, "hello")[0], embed(sdk, "hello", dimensions=512)[0]
    assert short.shape == (512,)
    np.testing.assert_allclose(short, long[:512] / np.linalg.norm(long[:512]), atol=1e-6)


def test_both_encodings_carry_the_same_vector(sdk: openai.OpenAI) -> None:
    """Little-endian float32 in base64, or JSON numbers."""
    request = {"model": SMALL, "input": "hello"}
    plain = sdk.post("/embeddings", body={**request, "encoding_format": "float"}, cast_to=object)
    packed = sdk.post("/embeddings", body={**request, "encoding_format": "base64"}, cast_to=object)
    text = packed["data"][0]["embedding"]  # type: ignore[index]
    numbers = plain["data"][0]["embedding"]  # type: ignore[index]
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(text), "<f4"), numbers, atol=1e-7)


def test_usage_counts_tokens(sdk: openai.OpenAI) -> None:
    """More text, more tokens; the counters add up."""
    one = sdk.embeddings.create(model=SMALL, input="hello").usage.prompt_tokens
    two = sdk.embeddings.create(model=SMALL, input=["hello", "hello"]).usage
    assert (two.prompt_tokens, two.total_tokens) == (2 * one, 2 * one)
    counted = control.counters()
    assert (counted["requests"], counted["inputs"], counted["tokens"]) == (2, 3, 3 * one)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_wrong_key_is_refused_and_shown_masked() -> None:
    """401 invalid_api_key."""
    error = refusal(client("sk-wrong-key-0123456789-abcd"))
    assert (error.status_code, error.code) == (401, "invalid_api_key")
    assert "Incorrect API key provided: sk-wrong****************abcd." in str(error)


def test_a_missing_key_has_its_own_text(sdk: openai.OpenAI) -> None:
    """401 without a code."""
    with pytest.raises(openai.AuthenticationError) as refused:
        sdk.embeddings.create(model=SMALL, input="x", extra_headers={"Authorization": ""})
    assert refused.value.code is None
    assert "You didn't provide an API key." in str(refused.value)


def test_keys_can_be_rotated(sdk: openai.OpenAI) -> None:
    """The old key is refused as soon as the new one is the only one."""
    control.accept_keys("sk-lab-new-key")
    assert refusal(sdk).code == "invalid_api_key"
    assert len(embed(client("sk-lab-new-key"), "hello")) == 1


def test_an_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    """404 model_not_found."""
    error = refusal(sdk, model="text-embedding-4")
    assert (error.status_code, error.code) == (404, "model_not_found")
    assert "The model `text-embedding-4` does not exist or you do not have access to it." in str(error)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({"input": ""}, "'$.input' is invalid."),
        ({"input": ["a", ""]}, "'$.input' is invalid."),
        ({"input": []}, "'$.input' is invalid."),
        ({"input": ["a"] * 2049}, "maximum length 2048, but got an array with length 2049"),
        ({"dimensions": 1537}, "Invalid value for 'dimensions' = 1537. Must be less than or equal to 1536."),
        ({"dimensions": 0}, "less than the minimum of 1"),
        ({"model": "text-embedding-ada-002", "dimensions": 256}, "This model does not support specifying dimensions."),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_invalid_requests_are_refused(sdk: openai.OpenAI, request_: dict[str, Any], text: str) -> None:
    """400, with OpenAI's words."""
    error = refusal(sdk, **request_)
    assert error.status_code == 400
    assert text in str(error)


def test_token_limits_are_real(sdk: openai.OpenAI) -> None:
    """8192 an input, 300 000 a request; one below the limit passes."""
    per_word = sdk.embeddings.create(model=SMALL, input="word " * 100).usage.prompt_tokens / 100
    longest = int(8000 / per_word)
    assert sdk.embeddings.create(model=SMALL, input="word " * longest).usage.prompt_tokens > 7900
    error = refusal(sdk, input="word " * int(9000 / per_word))
    assert error.status_code == 400
    assert "This model's maximum context length is 8192 tokens, however you requested" in str(error)
    error = refusal(sdk, input=["word " * longest] * 40)
    assert (error.status_code, error.code) == (400, "max_tokens_per_request")
    assert "max 300000 tokens per request" in str(error)


def test_a_base_url_without_v1_is_an_invalid_url() -> None:
    """404 without a code, which is not a missing model."""
    error = refusal(client(path=""))
    assert (error.status_code, error.code) == (404, None)
    assert "Invalid URL (POST /embeddings)" in str(error)


# ── injected answers ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("preset", "status", "code"),
    [
        ("insufficient_quota", 429, "insufficient_quota"),
        ("rate_limit_exceeded", 429, "rate_limit_exceeded"),
        ("model_access_denied", 403, "model_not_found"),
        ("region_not_supported", 403, "unsupported_country_region_territory"),
        ("server_error", 500, None),
        ("overloaded", 503, None),
        ("bad_gateway", 502, None),
    ],
)
def test_presets(sdk: openai.OpenAI, preset: str, status: int, code: str | None) -> None:
    """Each preset is the answer that OpenAI would give, for as long as it is in force."""
    with control.injected(preset):
        error = refusal(sdk)
        assert (error.status_code, error.code) == (status, code)
    assert len(embed(sdk, "hello")) == 1


def test_an_injection_can_be_counted_out(sdk: openai.OpenAI) -> None:
    """The next two requests fail, the third is answered; the SDK's own retries see it so."""
    control.inject("server_error", times=2)
    assert refusal(sdk).status_code == 500
    assert refusal(sdk).status_code == 500
    assert len(embed(sdk, "hello")) == 1
    control.inject("rate_limit_exceeded", times=1, headers={"Retry-After": "0.1"})
    assert len(embed(client(max_retries=2), "hello")) == 1
    assert control.counters()["injected"] == 3


def test_headers_of_an_injection_reach_the_client(sdk: openai.OpenAI) -> None:
    """Retry-After and x-should-retry steer clients."""
    control.inject("rate_limit_exceeded", headers={"Retry-After": "7", "x-should-retry": "false"})
    error = refusal(client(max_retries=5))
    assert error.response.headers["retry-after"] == "7"
    assert control.counters()["requests"] == 1


def test_an_injection_can_be_for_one_text_only(sdk: openai.OpenAI) -> None:
    """A poisonous message among good ones."""
    control.inject("invalid_input", contains="poison")
    assert len(embed(sdk, "good", "also good")) == 2
    assert refusal(sdk, input=["good", "poison pill"]).status_code == 400


def test_vectors_can_be_wrong_or_missing(sdk: openai.OpenAI) -> None:
    """What a proxy or another server behind the base URL answers."""
    with control.injected("wrong_dimensions"):
        assert embed(sdk, "hello").shape == (1, 8)
    with control.injected("empty"), pytest.raises(ValueError, match="No embedding data received"):
        embed(sdk, "hello")
    with control.injected("html"), pytest.raises(AttributeError):
        embed(sdk, "hello")


def test_connections_can_be_reset_and_answers_late(sdk: openai.OpenAI) -> None:
    """RST, and a timeout on the client's side."""
    with control.injected("reset"), pytest.raises(openai.APIConnectionError) as broken:
        embed(sdk, "hello")
    assert not isinstance(broken.value, openai.APITimeoutError)
    with control.injected("slow", delay_seconds=2), pytest.raises(openai.APITimeoutError):
        embed(client(timeout=0.3), "hello")


def test_a_batch_is_fast_enough() -> None:
    """256 messages of 500 bytes in well under the operator's patience."""
    texts = [f"order {n} " + "payment received for item " * 19 for n in range(256)]
    with client() as sdk:
        embed(sdk, "warm")
        before = time.monotonic()
        assert embed(sdk, *texts).shape == (256, 1536)
        assert time.monotonic() - before < 5
