"""The handlers themselves, as closures over a `Host`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from connectivity_operator.handlers import login
from connectivity_operator.handlers.host import Host
from connectivity_operator.handlers.supervision import Crowd, Kind, Supervision
from connectivity_operator.resource import CRD, GROUP, PLURAL, VERSION

CANCELLATION_BACKOFF = 10.0
"""Seconds that a supervisor has to put down its work once it is asked to stop; then it is cancelled."""
CANCELLATION_TIMEOUT = 5.0
"""Seconds after which a cancelled one is abandoned, so that a deletion never blocks for ever.

It has to be set for another reason, too: without it kopf closes what is shared (cleanup) before the daemons end.
"""


CRDS = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")


def build_registry(host: Host, *, watch_crd: bool, end: Callable[[], None]) -> kopf.OperatorRegistry:
    """Everything that kopf calls. All of it is async: kopf runs sync handlers in threads.

    ``watch_crd``: whether there is the right to, and kopf watches it, too. ``end`` ends the operator, in peace.
    """
    registry = kopf.OperatorRegistry()
    supervision, crowd = Supervision(host), Crowd()
    at_once = kopf.ErrorsMode.PERMANENT  # by default a failure is tried again every minute, for ever

    @kopf.on.login(registry=registry, errors=at_once, id="login")
    async def connection(settings: kopf.OperatorSettings, logger: kopf.Logger, **_: Any) -> kopf.ConnectionInfo:
        return login.connection(settings, logger)

    @kopf.on.startup(registry=registry, errors=at_once, id="startup")
    async def startup(**_: Any) -> None:
        await host.startup()

    @kopf.on.cleanup(registry=registry, errors=at_once, id="cleanup")
    async def cleanup(**_: Any) -> None:
        await host.cleanup()

    @kopf.on.probe(registry=registry, errors=at_once, id="health")
    async def health(**_: Any) -> dict[str, str]:
        return dict(host.healthy())

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry, id="resource")
    async def resource(event: Any, **_: Any) -> None:
        supervision.seen(event["type"], event["object"])

    if watch_crd:
        kind = Kind(supervision, end)

        @kopf.on.event(*CRDS, registry=registry, id="crd")
        async def crd(event: Any, **_: Any) -> None:
            if event["object"]["metadata"]["name"] == CRD and event["type"] != "DELETED":
                await kind.seen(event["object"])

    @kopf.daemon(
        GROUP, VERSION, PLURAL, registry=registry, id="supervisor", initial_delay=lambda **_: crowd.delay(),
        cancellation_backoff=CANCELLATION_BACKOFF, cancellation_timeout=CANCELLATION_TIMEOUT,
    )  # fmt: skip
    async def supervisor(body: Any, stopped: Any, **_: Any) -> None:
        await supervision.live(body, stopped)

    return registry
