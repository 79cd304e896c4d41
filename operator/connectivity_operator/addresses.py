"""Where the process listens for the kubelet's probes and for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping


def everywhere(environ: Mapping[str, str]) -> str:
    """Every address of the family that Pods have: ``::`` in a cluster of IPv6 (EKS can be), else ``0.0.0.0``.

    A Pod is asked at its first address, which is of the same family as the Service of the API server. Not ``::`` in
    every cluster: where IPv6 is off it cannot be listened on, and asyncio takes it for IPv6 alone.
    """
    return "::" if ":" in environ.get("KUBERNETES_SERVICE_HOST", "") else "0.0.0.0"  # noqa: S104 (asked from outside)
