"""Faults of OpenAI: the key that the operator has, what the account allows, and bad days of the API."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab import openai, world
from lab.faults.fault import Fault
from lab.kubernetes import access
from lab.openai import control
from lab.openai.models import MODELS
from lab.operator_env import OPENAI_KEY_FILE, write_openai_key

SMALL = "text-embedding-3-small"


# ── the key in the Secret ────────────────────────────────────────────────────────────────────────────
def _write_key(text: str) -> None:
    OPENAI_KEY_FILE.unlink(missing_ok=True)
    access.write_private(OPENAI_KEY_FILE, text)


def _lose_key() -> None:
    """What a Secret's file is after its key was removed: a link to nothing."""
    OPENAI_KEY_FILE.unlink(missing_ok=True)
    OPENAI_KEY_FILE.symlink_to("..data/absent")


def _key(name: str, summary: str, text: str) -> Fault:
    return Fault(f"openai-key-{name}", summary, partial(_write_key, text), write_openai_key)


_KEYS = (
    Fault("openai-key-absent", "take the key out of the Secret: its mounted file is gone", _lose_key, write_openai_key),
    _key("empty", "empty the Secret's value", ""),
    _key("line-break", "make the Secret from a file that ends with a line break", f"{openai.API_KEY}\n"),
    _key("quoted", "put quotes around the Secret's value", f'"{openai.API_KEY}"'),
    _key(
        "unknown", "put a key into the Secret that OpenAI does not know", "sk-lab-of-another-account-00000000000000000"
    ),
)


# ── what the account allows ──────────────────────────────────────────────────────────────────────────
_ACCOUNT = (
    Fault(
        "openai-key-revoked",
        "revoke the key at OpenAI",
        partial(control.accept_keys, "sk-lab-the-next-key"),
        partial(control.accept_keys, openai.API_KEY),
    ),
    Fault(
        "openai-model-retired",
        f"let OpenAI no longer offer {SMALL}",
        partial(control.offer_models, *(name for name in MODELS if name != SMALL)),
        partial(control.offer_models, *MODELS),
    ),
)


# ── bad days ─────────────────────────────────────────────────────────────────────────────────────────
def _answer(name: str, summary: str, preset: str | None = None, **fields: Any) -> Fault:
    """OpenAI's documented answer to every request, instead of the real one."""
    name = f"openai-{name}"
    return Fault(
        name, summary, partial(control.inject, preset, **{**fields, "name": name}), partial(control.clear, name)
    )


_ANSWERS = (
    _answer("key-restricted", "answer 401: the key lacks a scope", "key_restricted"),
    _answer("ip-not-allowed", "answer 401 ip_not_authorized", "ip_not_authorized"),
    _answer("model-denied", "answer 403 model_not_found: not for this project", "model_access_denied"),
    _answer("region-unsupported", "answer 403 unsupported_country_region_territory", "region_not_supported"),
    _answer("quota-exhausted", "answer 429 insufficient_quota", "insufficient_quota"),
    _answer("rate-limited", "answer 429 rate_limit_exceeded", "rate_limit_exceeded"),
    _answer("input-rejected", "answer 400 to every input", "invalid_input"),
    _answer("server-error", "answer 500", "server_error"),
    _answer("overloaded", "answer 503, overloaded", "overloaded"),
    _answer("bad-gateway", "answer 502 by the page of the API's front", "bad_gateway"),
    _answer("slow", "answer after a minute", "slow", delay_seconds=60),
    _answer("connection-reset", "reset the connection instead of answering", "reset"),
    _answer("web-page", "answer with a portal's page (200)", "html"),
    _answer("web-filter", "answer with a web filter's page (403)", "blocked"),
    _answer("redirected", "redirect every request to a log-in page (302)", "moved"),
    _answer("other-api", "answer with another API's JSON (200)", "other_api"),
    _answer("no-embeddings", "answer with an empty list of embeddings", "empty"),
    _answer("not-a-number", "answer with vectors of NaN", "not_a_number"),
    _answer("cut-short", "answer with vectors that end in the midst of a number", "cut_short"),
    _answer("wrong-length", "answer with vectors of 8 dimensions, whatever was asked for", "wrong_dimensions"),
)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────
def _setting(name: str, summary: str, **environment: str | None) -> Fault:
    return Fault(f"openai-{name}", summary, environment=environment)


def _base_url(name: str, url: str) -> Fault:
    return _setting(f"base-url-{name}", f"set OPENAI_BASE_URL={url}", OPENAI_BASE_URL=url)


_SETTINGS = (
    _setting("not-configured", "unset OPENAI_API_KEY_FILE", OPENAI_API_KEY_FILE=None),
    _setting("model-unknown", "set OPENAI_EMBEDDING_MODEL=text-embedding-4", OPENAI_EMBEDDING_MODEL="text-embedding-4"),
    _setting("organization-wrong", "set OPENAI_ORG_ID to another organization", OPENAI_ORG_ID="org-another"),
    _setting("project-wrong", "set OPENAI_PROJECT_ID to another project", OPENAI_PROJECT_ID="proj_another"),
    _base_url("without-v1", "https://api.openai.com"),
    _base_url("http", "http://api.openai.com/v1"),
    _base_url("http-443", "http://api.openai.com:443/v1"),
    _base_url("of-opensearch", f"https://{world.OPENSEARCH[0]}/v1"),
    _base_url("of-sts", f"https://{world.STS[0]}/v1"),
)

FAULTS: tuple[Fault, ...] = (*_KEYS, *_ACCOUNT, *_ANSWERS, *_SETTINGS)
