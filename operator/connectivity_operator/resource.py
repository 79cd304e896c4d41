"""A ConnectivityTest's spec and metadata as typed values. Pure; the schema lives in `crds/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connectivity_operator.ports import ObjectRef

GROUP = "connectivity.hyperoptic.com"
VERSION = "v1alpha1"
PLURAL = "connectivitytests"
KIND = "ConnectivityTest"
CRD = f"{PLURAL}.{GROUP}"
"""Name of the CustomResourceDefinition."""

FINALIZER = f"{GROUP}/finalizer"
"""On every resource while an operator looks after it; `kubectl delete` waits for the operator to remove it."""

CHECK_REQUESTED = f"{GROUP}/check-requested"
"""Annotation: any new text asks for a check now; `status.lastRequestHandled` echoes it."""


@dataclass(frozen=True, slots=True)
class ResourceSpec:
    """What a resource asks for. Defaults are the schema's; they are repeated for callers without an API server."""

    topics: frozenset[str]
    index: str
    model: str | None = None
    """None: the operator's `OPENAI_EMBEDDING_MODEL`."""
    dimensions: int | None = None
    start_from: Literal["Latest", "Earliest"] = "Latest"
    interval_seconds: int = 60
    timeout_seconds: int = 10
    suspend: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """One object as the API server has it: who it is, which generation, what it asks for."""

    ref: ObjectRef
    generation: int
    spec: ResourceSpec
    check_requested: str | None = None
    deleting: bool = False


def ref_of(body: Mapping[str, Any]) -> ObjectRef:
    """Namespace, name and uid of an object's body."""
    metadata = body["metadata"]
    return ObjectRef(metadata["namespace"], metadata["name"], metadata["uid"])


def parse(body: Mapping[str, Any]) -> Resource:
    """Read an object that the API server has accepted (so the schema holds)."""
    metadata = body["metadata"]
    return Resource(
        ref=ref_of(body),
        generation=int(metadata.get("generation", 0)),
        spec=parse_spec(body["spec"]),
        check_requested=(metadata.get("annotations") or {}).get(CHECK_REQUESTED),
        deleting="deletionTimestamp" in metadata,
    )


def parse_spec(spec: Mapping[str, Any]) -> ResourceSpec:
    """Read a spec; absent fields take the schema's defaults."""
    return ResourceSpec(
        topics=frozenset(spec["topics"]),
        index=spec["index"],
        model=spec.get("model"),
        dimensions=spec.get("dimensions"),
        start_from=spec.get("startFrom", "Latest"),
        interval_seconds=int(spec.get("intervalSeconds", 60)),
        timeout_seconds=int(spec.get("timeoutSeconds", 10)),
        suspend=bool(spec.get("suspend", False)),
    )


GROUPS = "connectivity-test.*"
"""Every consumer group that the operator and `check` make. A group's name ends in its resource's uid, which a new
resource of the same name has not, and `check` makes a new one every time: no policy that is narrower lasts."""


def consumer_group(ref: ObjectRef) -> str:
    """The resource's own group, derived and never chosen: a chosen one could steal another's partitions."""
    return f"connectivity-test.{ref.namespace}.{ref.name}.{ref.uid[:8]}"
