"""The node as a part of the lab, with the scheduler, which has work only where there is one."""

from __future__ import annotations

import http.client
import os

from lab import certificates, paths, processes, world
from lab.kubernetes import access, control_plane, programs
from lab.node import cgroups, configuration, images, layout, runtime
from lab.part import NotReady, PartError
from lab.waiting import until_ready

NODE = "node"
SCHEDULER = "node-scheduler"
SCHEDULER_PORT = 10259

ADMISSION = runtime.SOURCE / "admission.yaml"
BOOT = runtime.SOURCE / "boot.sh"


class Node:
    """kubelet with containerd and runc: one process of the lab, as if it were a machine; ending it cuts the power.

    What the API server knows of its Pods is kept, so they run again after the next start.
    """

    name = NODE
    needs = ("kubernetes", "dns")

    def prepare(self) -> None:
        layout.check()
        programs.server()
        runtime.folder()
        images.pause()

    def start(self) -> None:
        access.write_component_kubeconfig(
            layout.KUBELET_ACCESS, f"system:node:{world.NODE}", groups=["system:nodes"]
        )  # fmt: skip
        access.write_component_kubeconfig(layout.SCHEDULER_ACCESS, "system:kube-scheduler")
        processes.spawn(SCHEDULER, [str(programs.server()), "kube-scheduler", *_scheduler()])
        if processes.find(NODE) is None:
            cgroups.clear()
            configuration.write()
            paths.LOGS.mkdir(parents=True, exist_ok=True)
            processes.spawn(NODE, _boot(), env={"PATH": f"{runtime.programs()}:{os.environ['PATH']}"})

    def ready(self) -> None:
        _healthy()
        access.answer(SCHEDULER_PORT, "/healthz")
        condition = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        try:
            status = access.kubectl("get", "node", world.NODE, "--output", condition)
        except PartError as refusal:
            raise NotReady(f"the node is not known yet: {refusal}") from refusal
        if status != "True":
            raise NotReady(f"the node's condition Ready is {status or 'absent'}")

    def seed(self) -> None:
        access.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={ADMISSION}")
        images.load(images.pause())
        until_ready(_admitting, limit=30)

    def stop(self) -> None:
        processes.end(NODE, force=True)
        processes.end(SCHEDULER, grace=5)
        cgroups.clear()


def _boot() -> list[str]:
    kernel = [str(path) for pair in configuration.kernel_files() for path in pair]
    places = [layout.VOLATILE, layout.CONTAINERD_CONFIG, layout.SOCKET]
    return [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "bash", str(BOOT), str(paths.LOGS), *map(str, places), *kernel, "--",
        str(programs.server()), "kubelet", f"--config={layout.KUBELET_CONFIG}",
        f"--kubeconfig={layout.KUBELET_ACCESS}", f"--root-dir={layout.KUBELET_ROOT}",
        # An address as the name is the address of the node too, and of its Pods; --node-ip refuses one of the loopback.
        f"--hostname-override={world.NODE}",
    ]  # fmt: skip


def _scheduler() -> list[str]:
    chain, key = certificates.issue("scheduler", ca="kubernetes-ca", hosts=[control_plane.ADDRESS])
    return [
        f"--kubeconfig={layout.SCHEDULER_ACCESS}", "--leader-elect=false",
        f"--bind-address={control_plane.ADDRESS}", f"--secure-port={SCHEDULER_PORT}",
        f"--tls-cert-file={chain}", f"--tls-private-key-file={key}",
    ]  # fmt: skip


def _healthy() -> None:
    connection = http.client.HTTPConnection(world.NODE, configuration.KUBELET_HEALTH_PORT, timeout=5)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except OSError as error:
        raise NotReady(f"the kubelet does not answer: {error}") from error
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise NotReady(f"the kubelet's /healthz answers {status}")


def _admitting() -> None:
    """The policies are in force, which takes up to a second; a Pod made before would wait for a network for ever."""
    trial = ["run", "trial", "--image=none", "--namespace=default", "--dry-run=server"]
    try:
        host_network = access.kubectl(*trial, "--output=jsonpath={.spec.hostNetwork}")
    except PartError as refusal:  # the namespace's ServiceAccount is made a moment after the namespace
        raise NotReady(str(refusal)) from refusal
    if host_network != "true":
        raise NotReady("the admission policies of the node are not in force yet")
