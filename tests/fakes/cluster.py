"""A cluster as the uninstallation sees it: resources with finalizers, and Pods that end after some looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Cluster:
    """Implements `uninstall.Api`."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    looks_until_gone: int = 0
    """How often the Pod is still found."""
    looks: int = 0

    async def running_pods(self, namespace: str, label_selector: str) -> list[str]:
        self.looks += 1
        return ["operator-1"] if self.looks <= self.looks_until_gone else []

    async def release_finalizers(
        self,
        finalizer: str,
        namespaces: Sequence[str] = (),
        *,
        label_selector: str | None = None,
        ours: Callable[[Mapping[str, Any]], bool],
    ) -> list[str]:
        released = []
        for found in self.resources:
            metadata = found["metadata"]
            watched = not namespaces or metadata["namespace"] in namespaces
            if watched and finalizer in metadata["finalizers"] and ours(found):
                metadata["finalizers"].remove(finalizer)
                released.append(f"{metadata['namespace']}/{metadata['name']}")
        return released
