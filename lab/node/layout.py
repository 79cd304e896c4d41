"""Where the node keeps things."""

from __future__ import annotations

from lab import paths
from lab.part import PartError

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

HIDDEN = ("/run", "/var/log", "/var/lib")
"""Folders of the machine that the node does not share (`boot.sh`)."""

LONGEST_STATE = 60
"""Characters of the state folder's path that leave room for the kubelet's sockets: their paths end at 107 (unix(7))."""


def check() -> None:
    """`PartError` if the node cannot work where the lab's state is."""
    if any(paths.STATE.is_relative_to(folder) for folder in HIDDEN):
        raise PartError(f"the node does not see {paths.STATE}: set LAB_STATE to a folder that is not in /run or /var")
    if len(str(paths.STATE)) > LONGEST_STATE:
        raise PartError(f"{paths.STATE} is too long a path for the node's sockets: set LAB_STATE to a shorter one")
