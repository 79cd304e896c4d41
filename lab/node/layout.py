"""Where the node keeps things."""

from __future__ import annotations

from lab import paths

FOLDER = paths.STATE / "node"
CONTAINERD_ROOT = FOLDER / "containerd"
"""Images and file systems of containers; kept while the node is down."""

VOLATILE = FOLDER / "run"
"""What a machine would have in /run: emptied at each start."""

CONTAINERD_STATE = VOLATILE / "containerd"
SOCKET = VOLATILE / "containerd.sock"

CONTAINERD_CONFIG = FOLDER / "containerd.toml"
KUBELET_CONFIG = FOLDER / "kubelet.json"
KUBELET_ROOT = FOLDER / "kubelet"
KUBELET_ACCESS = FOLDER / "kubelet.kubeconfig"
SCHEDULER_ACCESS = FOLDER / "scheduler.kubeconfig"
POD_LOGS = FOLDER / "pod-logs"
CNI = FOLDER / "cni"
KERNEL = FOLDER / "kernel"
LOADED = FOLDER / "loaded"
"""One file a set of image names: the digest of the archive that they were loaded from."""
