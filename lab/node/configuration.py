"""What the node's programs are told: containerd in TOML, the kubelet in JSON, and a network for nobody."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from lab import certificates, commands, dns, world
from lab.node import layout, runtime
from lab.part import PartError

KUBELET_PORT, KUBELET_HEALTH_PORT = 10250, 10248
PAUSE_IMAGE = "localhost/pause:1"

NO_NETWORK = {"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "none"}]}
"""Every Pod has the host's network, so this plugin, which does not exist, is never called; without any the node would
stay NotReady: "cni plugin not initialized"."""

KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet sets below /proc/sys when it starts, and dies if it may not (container_manager_linux.go,
setupKernelTunables). The node sees these values there, in files; the machine's own settings stay as they are."""


def write() -> None:
    """Write all of them."""
    layout.CNI.mkdir(parents=True, exist_ok=True)
    (layout.CNI / "10-none.conflist").write_text(json.dumps(NO_NETWORK))
    layout.CONTAINERD_CONFIG.write_text(_containerd())
    layout.KUBELET_CONFIG.write_text(json.dumps(_kubelet(), indent=1))
    for name, value in KERNEL_SETTINGS.items():
        file = layout.KERNEL / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")


def _containerd() -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{layout.CONTAINERD_ROOT}"
state = "{layout.CONTAINERD_STATE}"
# Only the kernel's administrator (CAP_SYS_RESOURCE) may ask for a smaller one.
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
]
[grpc]
  address = "{layout.SOCKET}"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_tcp_service = true
  netns_mounts_under_state_dir = true
  stream_server_address = "{world.NODE}"
[{cri}.containerd]
  snapshotter = "{snapshotter()}"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false
  BinaryName = "{runtime.runc()}"
[{cri}.cni]
  bin_dir = "{layout.CNI}"
  conf_dir = "{layout.CNI}"
"""


def _kubelet() -> dict[str, object]:
    authority = certificates.authority_file("kubernetes-ca")
    chain, key = certificates.issue("kubelet", ca="kubernetes-ca", hosts=[world.NODE])
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": world.NODE,
        "port": KUBELET_PORT,
        "readOnlyPort": 0,
        "healthzBindAddress": world.NODE,
        "healthzPort": KUBELET_HEALTH_PORT,
        "tlsCertFile": str(chain),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{layout.SOCKET}",
        "resolvConf": str(dns.RESOLV_CONF),
        # The kubelet joins file names to it and refuses the result if it is not the shortest: no slash at the end.
        "podLogsDir": str(layout.POD_LOGS),
        # The machine's resources are not the node's to divide: other programs run on it.
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "evictionHard": {
            "memory.available": "50Mi",
            **dict.fromkeys(("nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"), "0%"),
        },
        "imageGCHighThresholdPercent": 100,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "volumePluginDir": str(layout.KUBELET_ROOT / "volume-plugins"),
        "nodeStatusUpdateFrequency": "5s",
        # How soon a changed ConfigMap or Secret is in the Pods' files; it is a minute where nobody says otherwise.
        "syncFrequency": "2s",
    }


def kernel_files() -> list[tuple[Path, Path]]:
    """(file, what it stands in for) of every kernel setting that this machine has."""
    pairs = [(layout.KERNEL / name, Path("/proc/sys") / name) for name in KERNEL_SETTINGS]
    return [(file, original) for file, original in pairs if original.exists()]


@functools.cache
def snapshotter() -> str:
    """`overlayfs`, unless the state's file system cannot carry one (it may be an overlay itself): then copies."""
    trial = layout.FOLDER / "overlay-trial"
    for name in ("lower", "upper", "work", "merged"):
        (trial / name).mkdir(parents=True, exist_ok=True)
    options = ",".join(f"{name}dir={trial / name}" for name in ("lower", "upper", "work"))
    mount = ["mount", "-t", "overlay", "trial", "-o", options, str(trial / "merged")]
    try:
        commands.run(["unshare", "--mount", *mount], limit=10)
    except PartError:
        return "native"
    return "overlayfs"
