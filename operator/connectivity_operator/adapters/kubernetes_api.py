"""The Kubernetes API as the status writer needs it, over the asyncio client of the package `kubernetes`.

kopf has a connection of its own for watching; this one writes statuses and events, because kopf sends a
daemon's ``patch`` only when the daemon ends. It needs ``patch`` on ``connectivitytests/status`` and ``create``
on ``events``, nothing else (what an uninstallation needs is said there).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self, TypeVar

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from connectivity_operator.errors import ConnectivityError
from connectivity_operator.ports import ObjectGone, ObjectRef
from connectivity_operator.pruning import lost
from connectivity_operator.resource import GROUP, KIND, PLURAL, VERSION

LIMIT = 10.0
"""Seconds for one request, waiting for a free connection included."""
CONNECTIONS = 50
"""Requests at a time: a restart with thousands of resources writes all their statuses at once."""
MESSAGE_LIMIT = 1024
"""Characters of an Event's message (`core/v1` validation)."""

JSON_PATCH = "application/json-patch+json"

T = TypeVar("T")


class ApiServerError(ConnectivityError):
    """The API server did not do what was asked; it may later. ``str()`` has its own words: no secrets in them."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """The HTTP status; None when there was no answer."""


class KubernetesApi:
    """`ports.ResourceApi`. Use as an asynchronous context manager, which connects and closes."""

    def __init__(self, *, component: str, instance: str | None = None) -> None:
        """``component`` is the source of Events; ``instance`` (default: the Pod's name) is the reporting one."""
        self._component = component
        self._instance = instance or os.environ.get("HOSTNAME") or component
        # aiohttp would send requests to the API server through HTTPS_PROXY, which is meant for other hosts;
        # a kubeconfig names its own proxy (`proxy-url`).
        self._configuration = client.Configuration(client_session_kwargs={"trust_env": False})
        self._configuration.connection_pool_maxsize = CONNECTIONS
        self._client: client.ApiClient | None = None
        self._login = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Raises `ApiServerError` when there is no way in (neither a kubeconfig nor a service account)."""
        await self._log_in()
        self._client = client.ApiClient(self._configuration)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    async def patch_status(self, ref: ObjectRef, status: Mapping[str, object]) -> frozenset[str]:
        """Replace the status of exactly this object; the fields that an older CRD has dropped.

        Raises `ObjectGone` or `ApiServerError`.

        A JSON patch, because it can test the uid: a merge patch of ``/status`` with another ``metadata.uid``
        is simply accepted (1.36; that subresource ignores all metadata), so the verdicts of a deleted object
        would be written into the one that was created under its name.
        """
        patch: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/uid", "value": ref.uid},
            {"op": "add", "path": "/status", "value": dict(status)},
        ]
        api = client.CustomObjectsApi(self._client)

        async def send() -> Any:
            return await api.patch_namespaced_custom_object_status(
                GROUP, VERSION, ref.namespace, PLURAL, ref.name, patch, _content_type=JSON_PATCH, _request_timeout=LIMIT
            )

        try:
            kept = await self._call("patch status", send)
        except _Refused as refused:
            if refused.means_gone(ref):
                raise ObjectGone(f"{ref.namespace}/{ref.name} ({ref.uid})") from None
            raise
        return lost(status, kept.get("status") or {}, "status")

    async def post_event(self, ref: ObjectRef, *, kind: str, reason: str, message: str, at: datetime) -> None:
        """Post one Event about the object; ``at`` tells it from the object's others. Raises `ApiServerError`."""
        body = event(ref, kind, reason, message, at, component=self._component, instance=self._instance)
        api = client.CoreV1Api(self._client)

        async def send() -> object:
            return await api.create_namespaced_event(ref.namespace, body, _request_timeout=LIMIT)

        try:
            await self._call("post event", send)
        except _Refused as refused:
            # 409: it is there since an earlier try, the answer to which was lost.
            if refused.status != 409:
                raise

    async def release_finalizers(
        self,
        finalizer: str,
        namespaces: Sequence[str] = (),
        *,
        label_selector: str | None = None,
        ours: Callable[[Mapping[str, Any]], bool] = lambda body: True,
    ) -> list[str]:
        """Take ``finalizer`` off every resource that is ``ours``; who was released.

        Looked at are those of ``namespaces`` (none: of the cluster) with these labels. For the uninstallation:
        with the operator gone nobody else would, and every `kubectl delete` would hang. Needs ``list`` and
        ``patch`` on ``connectivitytests``. Without the CRD there is nothing to release. Raises `ApiServerError`.
        """
        released = []
        for found in await self.resources(namespaces, label_selector):
            metadata = found["metadata"]
            if finalizer in (metadata.get("finalizers") or ()) and ours(found):
                await self._release(metadata, finalizer)
                released.append(f"{metadata['namespace']}/{metadata['name']}")
        return released

    async def resources(
        self, namespaces: Sequence[str] = (), label_selector: str | None = None
    ) -> list[Mapping[str, Any]]:
        """All resources of ``namespaces`` (none: of the cluster) with these labels; none where there is no CRD.

        Needs ``list`` on ``connectivitytests``. Raises `ApiServerError`.
        """
        return [
            found for namespace in namespaces or (None,) for found in await self._resources(namespace, label_selector)
        ]

    async def running_pods(self, namespace: str, label_selector: str) -> list[str]:
        """Names of the Pods that have not ended, those in deletion included. Needs ``list`` on ``pods``."""
        list_pods = partial(client.CoreV1Api(self._client).list_namespaced_pod, namespace, _request_timeout=LIMIT)
        answer: Any = await self._call("list pods", partial(list_pods, label_selector=label_selector))
        return [pod.metadata.name for pod in answer.items if pod.status.phase not in {"Succeeded", "Failed"}]

    async def _resources(self, namespace: str | None, label_selector: str | None) -> list[dict[str, Any]]:
        api = client.CustomObjectsApi(self._client)
        selected: dict[str, Any] = {
            "_request_timeout": LIMIT,
            **({"label_selector": label_selector} if label_selector else {}),
        }
        if namespace is None:
            send = partial(api.list_cluster_custom_object, GROUP, VERSION, PLURAL, **selected)
        else:
            send = partial(api.list_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, **selected)
        try:
            answer: Any = await self._call("list", send)
        except _Refused as refused:
            if refused.status == 404:
                return []
            raise
        return list(answer["items"])

    async def _release(self, metadata: Mapping[str, Any], finalizer: str) -> None:
        at = list(metadata["finalizers"]).index(finalizer)
        patch = [
            {"op": "test", "path": f"/metadata/finalizers/{at}", "value": finalizer},
            {"op": "remove", "path": f"/metadata/finalizers/{at}"},
        ]
        api = client.CustomObjectsApi(self._client)
        where = (GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"])
        send = partial(api.patch_namespaced_custom_object, *where, patch, _content_type=JSON_PATCH)
        try:
            await self._call("release finalizer", partial(send, _request_timeout=LIMIT))
        except _Refused as refused:
            if refused.status not in (404, 422):  # somebody else has released or deleted it meanwhile
                raise

    async def _call(self, what: str, send: Callable[[], Awaitable[T]]) -> T:
        """One request; once more with a fresh login if the token was refused (it is replaced hourly)."""
        try:
            return await _translated(what, send)
        except _Refused as refused:
            if refused.status != 401:
                raise
        await self._log_in()
        return await _translated(what, send)

    async def _log_in(self) -> None:
        """Read the credentials; KUBECONFIG wins, as it does for kopf's login in `handlers`."""
        async with self._login:
            try:
                kubeconfig = os.environ.get("KUBECONFIG")
                if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
                    # Reads the projected token again every minute.
                    config.load_incluster_config(self._configuration)  # type: ignore[no-untyped-call]
                else:
                    await config.load_kube_config(  # type: ignore[no-untyped-call]
                        kubeconfig, client_configuration=self._configuration, persist_config=False
                    )
            except (ConfigException, OSError, ValueError, yaml.YAMLError) as error:
                raise ApiServerError(
                    f"no way into the Kubernetes API ({type(error).__name__}): run in a Pod with a service account "
                    "token, or set KUBECONFIG to a readable file"
                ) from error


class _Refused(ApiServerError):
    """An answer that is an error, with the API server's `Status` object."""

    def __init__(self, what: str, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(
            f"{what}: {status} {body.get('message') or 'without explanation'}"[:MESSAGE_LIMIT], status=status
        )
        self.explained = bool(body)
        self.details: Mapping[str, Any] = body.get("details") or {}

    def means_gone(self, ref: ObjectRef) -> bool:
        """Whether exactly this object is not there any more.

        A 404 names what was not found: without details it is the whole API (the CRD is not served, or not
        yet), which is an outage. A 422 without details is the failed test of the uid, the only operation of
        the patch that can fail; one of the schema names the object and the fields.
        """
        if self.status == 404:
            return self.details.get("kind") == PLURAL and self.details.get("name") == ref.name
        return self.status == 422 and self.explained and not self.details


async def _translated(what: str, send: Callable[[], Awaitable[T]]) -> T:
    try:
        return await send()
    except client.ApiException as error:
        raise _Refused(what, int(error.status or 0), _status_object(error.body)) from None
    except TimeoutError:
        raise ApiServerError(f"{what}: no answer within {LIMIT:g} s") from None
    except (aiohttp.ClientError, OSError, ConfigException) as error:
        raise ApiServerError(f"{what}: {type(error).__name__}: {error}"[:MESSAGE_LIMIT]) from error


def _status_object(body: object) -> Mapping[str, Any]:
    """The API server's explanation; empty when something else answered (a proxy, the mux before it is ready)."""
    try:
        parsed = json.loads(body) if isinstance(body, (str, bytes)) else None
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}


def event(
    ref: ObjectRef, kind: str, reason: str, message: str, at: datetime, *, component: str, instance: str
) -> client.CoreV1Event:
    """A `core/v1` Event about one ConnectivityTest.

    It is named by the microsecond: `kubectl describe` sorts by whole seconds, and leaves those of the same second in
    the order of their names.
    """
    return client.CoreV1Event(
        metadata=client.V1ObjectMeta(name=f"{ref.name}.{round(at.timestamp() * 1e6):x}", namespace=ref.namespace),
        involved_object=client.V1ObjectReference(
            api_version=f"{GROUP}/{VERSION}", kind=KIND, namespace=ref.namespace, name=ref.name, uid=ref.uid
        ),
        type=kind,
        reason=reason,
        message=message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…",
        source=client.V1EventSource(component=component),
        reporting_component=component,
        reporting_instance=instance,
        first_timestamp=at,
        last_timestamp=at,
        count=1,
    )
