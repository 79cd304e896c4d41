"""Starting kopf: its settings, its scope, its end."""

from __future__ import annotations

import asyncio
import os

import kopf

from connectivity_operator import addresses
from connectivity_operator.handlers.host import Host
from connectivity_operator.handlers.registry import CRDS, build_registry
from connectivity_operator.resource import CRD, FINALIZER, GROUP, PLURAL, VERSION
from connectivity_operator.settings import Settings


def run(settings: Settings, host: Host) -> None:
    """Run the operator until SIGTERM or SIGINT, or until it has to be started anew. Raises what went wrong."""
    asyncio.run(operate(settings, host))


async def operate(settings: Settings, host: Host, *, stop: asyncio.Event | None = None) -> None:
    """The same inside a loop; ``stop`` ends it as a signal does."""
    # kopf asks for its user's name and dies where the uid has no passwd entry, as in a container.
    os.environ["USER"] = os.environ.get("USER") or settings.operator_name
    stop = stop or asyncio.Event()
    try:
        await kopf.operator(
            registry=build_registry(host, watch_crd=not settings.watch_namespaces, end=stop.set),
            settings=operator_settings(settings),
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            standalone=True,  # a stray peering object would pause us; there is one replica
            liveness_endpoint=liveness_endpoint(settings.health_port),
            stop_flag=stop,
        )
    except Exception as error:
        # What kopf raises for a failed startup is "One or more handlers failed."
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None


def liveness_endpoint(port: int) -> str:
    """What kopf is to serve the probes at; no host would mean localhost to it."""
    address = addresses.everywhere(os.environ)
    return f"http://[{address}]:{port}/health" if ":" in address else f"http://{address}:{port}/health"


def operator_settings(settings: Settings) -> kopf.OperatorSettings:
    """kopf's settings. What is not set here is left alone on purpose."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = FINALIZER
    # Nothing is stored (there are no change handlers), but the names of kopf's dummy patches come from here.
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    chosen.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP, v1=False)
    # A supervisor needs up to this long to end. Within it kopf notices the end at once; later it sleeps out
    # the whole cancellation back-off and patches the object twice.
    chosen.background.instant_exit_timeout = 5.0
    chosen.networking.request_timeout = 30.0  # five minutes by default
    # Left to itself the API server ends a watch after half an hour to an hour. (One that has silently died is renewed
    # by kopf, which misses the bookmarks that come every minute.)
    chosen.watching.server_timeout = 300
    chosen.posting.enabled = False  # Events are the status writer's
    if settings.watch_namespaces:
        # No rights beyond the namespaces: listing CRDs or namespaces would be refused, each after a minute
        # of retries. A CRD that is installed later is noticed by the next start only.
        chosen.scanning.disabled = True
    chosen.watching.field_selectors[CRDS] = f"metadata.name={CRD}"  # of hundreds in a cluster, ours
    if settings.watch_label_selector:
        chosen.watching.label_selectors[GROUP, VERSION, PLURAL] = settings.watch_label_selector
    return chosen
