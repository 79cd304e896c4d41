"""What is left to do when the operator is gone: resources must not wait for ever for it to let them be deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from connectivity_operator import status
from connectivity_operator.resource import FINALIZER
from connectivity_operator.settings import Settings

EVERY = 1.0
"""Seconds between two looks at the Pods, or at the resources."""
QUIET = 10.0


class Api(Protocol):
    """What it needs of the API server; raises `ConnectivityError`."""

    async def running_pods(self, namespace: str, label_selector: str) -> list[str]:
        """Names of the Pods that have not ended."""

    async def release_finalizers(
        self,
        finalizer: str,
        namespaces: Sequence[str] = (),
        *,
        label_selector: str | None = None,
        ours: Callable[[Mapping[str, Any]], bool] = ...,
    ) -> list[str]:
        """Take the finalizer off; who was released."""


async def pods_gone(api: Api, namespace: str, label_selector: str, limit: float) -> list[str]:
    """Wait until no such Pod runs any more; those that still do after ``limit`` seconds.

    `helm uninstall` starts its hooks when the Pods are told to end, not when they have ended, and an operator
    that still runs puts a finalizer that it misses back at once. A Pod on a node that is lost never ends.
    """
    deadline = time.monotonic() + limit
    while (left := await api.running_pods(namespace, label_selector)) and time.monotonic() < deadline:  # noqa: ASYNC110 (nothing tells)
        await asyncio.sleep(EVERY)
    return left


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the resources that carried the finalizer."""

    released: Sequence[str]
    """``namespace/name`` of each."""
    kept: Mapping[str, Sequence[str]]
    """Other operators (``namespace/name``) -> what they look after now."""


async def release(api: Api, settings: Settings) -> Outcome:
    """Release what this operator watched, unless another operator looks after it now."""
    return await _release(api, settings, lambda body: True)


async def release_deleted(api: Api, settings: Settings) -> None:
    """Release what is being deleted, until nothing more has come for `QUIET` seconds.

    A CRD that is deleted marks its resources a moment after itself, one by one.
    """
    until = time.monotonic() + QUIET
    while time.monotonic() < until:
        if (await _release(api, settings, lambda body: "deletionTimestamp" in body["metadata"])).released:
            until = time.monotonic() + QUIET
        await asyncio.sleep(EVERY)


async def _release(api: Api, settings: Settings, wanted: Callable[[Mapping[str, Any]], bool]) -> Outcome:
    kept: dict[str, list[str]] = {}

    def ours(body: Mapping[str, Any]) -> bool:
        if not wanted(body):
            return False
        other = status.other_operator(body, name_of(settings))
        if other:
            kept.setdefault(other, []).append(f"{body['metadata']['namespace']}/{body['metadata']['name']}")
        return other is None

    released = await api.release_finalizers(
        FINALIZER, settings.watch_namespaces, label_selector=settings.watch_label_selector, ours=ours
    )
    return Outcome(released, kept)


def name_of(settings: Settings) -> str:
    """How this operator signs a status."""
    return f"{settings.operator_namespace}/{settings.operator_name}"
