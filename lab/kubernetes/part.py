"""The cluster as a part of the lab."""

from __future__ import annotations

from lab import paths
from lab.kubernetes import access, control_plane, identities, programs

OBJECTS = programs.SOURCE / "objects.yaml"
OPERATOR_RIGHTS = programs.SOURCE / "operator-rights.yaml"
CRD = paths.ROOT / "crds" / "connectivitytests.yaml"


class Kubernetes:
    """etcd, kube-apiserver and kube-controller-manager. There is no node: nothing runs Pods."""

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
        files = [OBJECTS, OPERATOR_RIGHTS, *([CRD] if CRD.exists() else [])]
        access.kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={file}" for file in files))
        if CRD.exists():
            access.kubectl("wait", "--for=condition=Established", f"--filename={CRD}", "--timeout=30s")
        for identity in identities.ALL.values():
            identities.issue(identity)

    def stop(self) -> None:
        control_plane.stop()
