"""The cluster as a part of the lab."""

from __future__ import annotations

from lab import paths
from lab.kubernetes import access, control_plane, identities, programs
from lab.part import NotReady, PartError
from lab.waiting import until_ready

OBJECTS = programs.SOURCE / "objects.yaml"
OPERATOR_RIGHTS = programs.SOURCE / "operator-rights.yaml"
CRD = paths.ROOT / "crds" / "connectivitytests.yaml"
RESOURCES = "/apis/connectivity.hyperoptic.com/v1alpha1/connectivitytests"


class Kubernetes:
    """etcd, kube-apiserver and kube-controller-manager. Pods need the part `node`."""

    name = "kubernetes"
    needs: tuple[str, ...] = ()

    def prepare(self) -> None:
        programs.server()
        programs.kubectl()

    def start(self) -> None:
        control_plane.start()

    def ready(self) -> None:
        access.answer(control_plane.API_PORT, "/readyz")
        access.answer(control_plane.CONTROLLER_MANAGER_PORT, "/healthz")

    def seed(self) -> None:
        files = [f"--filename={file}" for file in (OBJECTS, OPERATOR_RIGHTS, CRD)]
        access.kubectl("apply", "--server-side", "--force-conflicts", *files)
        until_ready(_served, limit=30)
        for identity in identities.ALL.values():
            identities.issue(identity)

    def stop(self) -> None:
        control_plane.stop()


def _served() -> None:
    """The resource can be listed.

    `kubectl wait --for=condition=Established` would fail on a CRD that is so new that its conditions are null,
    and the first requests after that may still be answered with 429, "storage is (re)initializing".
    """
    try:
        access.kubectl("get", "--raw", RESOURCES)
    except PartError as refusal:
        raise NotReady(str(refusal)) from refusal
