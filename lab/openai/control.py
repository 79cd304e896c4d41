"""Give the lab's OpenAI bad days, count what it was asked, change the keys it takes (blocking, loopback HTTP)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab import administration, world


def request(method: str, path: str, body: Any = None) -> Any:
    """One call of the administration endpoint. Raises `administration.RefusedError`."""
    return administration.call(world.OPENAI_ADMIN, method, path, body)


def inject(preset: str | None = None, **fields: Any) -> None:
    """Answer so from now on; presets and fields are those of `lab.openai.injection`, e.g. ``times=2``."""
    request("POST", "/injections", {**({"preset": preset} if preset else {}), **fields})


def clear(name: str = "") -> None:
    """End the injections of a name, or all."""
    request("DELETE", f"/injections?name={name}")


@contextmanager
def injected(preset: str | None = None, **fields: Any) -> Iterator[None]:
    """Like `inject`, for the duration of a ``with`` block; ends every injection."""
    inject(preset, **fields)
    try:
        yield
    finally:
        clear()


def counters() -> dict[str, int]:
    """Since the start or `reset`: requests, inputs and tokens answered, injected, status_<code>; absent is 0."""
    counted: dict[str, int] = request("GET", "/counters")
    return counted


def accept_keys(*keys: str) -> None:
    """Take these API keys and no others."""
    request("PUT", "/keys", list(keys))


def offer_models(*names: str) -> None:
    """Have these models and no others."""
    request("PUT", "/models", list(names))


def reset() -> None:
    """No injections, counters at zero, the lab's own key, every model."""
    request("POST", "/reset")
