"""How kopf gets into the cluster: the same way as the status writer (`adapters.kubernetes_api`)."""

from __future__ import annotations

import os
from pathlib import Path

import kopf

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def connection(settings: kopf.OperatorSettings, logger: kopf.Logger) -> kopf.ConnectionInfo:
    """Called at the start and whenever the API server has refused the token: files are read anew."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if host and port and not os.environ.get("KUBECONFIG"):
        return _service_account(host, port)
    try:
        info = kopf.login_with_kubeconfig(settings=settings)
        if info and not (info.token or info.username or info.certificate_path or info.certificate_data):
            # A credential plugin (`aws eks get-token`): only the client library can run it.
            info = kopf.login_via_client(settings=settings, logger=logger)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise kopf.LoginError(f"the kubeconfig cannot be used ({type(error).__name__}); correct KUBECONFIG") from error
    if info is None:
        raise kopf.LoginError("no way into the Kubernetes API: run in a Pod with a service account, or set KUBECONFIG")
    return info


def _service_account(host: str, port: str) -> kopf.ConnectionInfo:
    """From the files in a Pod. By address: kopf's own login needs cluster DNS, which may be what is broken."""
    try:
        token = (SERVICE_ACCOUNT / "token").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise kopf.LoginError(
            f"{SERVICE_ACCOUNT / 'token'} cannot be read ({error.strerror}); set automountServiceAccountToken: true"
        ) from error
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return kopf.ConnectionInfo(server=server, ca_path=SERVICE_ACCOUNT / "ca.crt", token=token)
