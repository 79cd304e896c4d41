"""Inject answers into the running gateway and read its counters, from tests and faults (blocking)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lab import world
from lab.administration import call


def inject(**injection: Any) -> None:
    """What happens to the next requests; see `lab.opensearch.gateway.injection.Injection` for the arguments.

    ``inject(status=429, times=3, operations=["bulk"])``, ``inject(connection="lose-answer", times=1)``.
    """
    call(world.OPENSEARCH_ADMIN, "POST", "/inject", injection)


def clear(name: str = "") -> None:
    """Forget the injections of a name, or all."""
    call(world.OPENSEARCH_ADMIN, "DELETE", f"/inject?name={name}")


def reset() -> None:
    """Forget all injections, and count from zero."""
    call(world.OPENSEARCH_ADMIN, "POST", "/reset")


def answered() -> dict[str, dict[str, int]]:
    """Operation -> status -> answers so far; status "0" is a connection that was reset on purpose."""
    counters: dict[str, dict[str, int]] = call(world.OPENSEARCH_ADMIN, "GET", "/state")["answered"]
    return counters


@contextmanager
def injected(**injection: Any) -> Iterator[None]:
    """An injection for the duration of a ``with`` block."""
    inject(**injection)
    try:
        yield
    finally:
        clear()
