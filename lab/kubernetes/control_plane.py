"""Command lines and credentials of etcd, the API server and the controller manager.

The API server listens on the ClusterIP of the Service `kubernetes` itself (all of 127.0.0.0/8 is the loopback),
so that the in-cluster configuration of a Pod in the host's network works without kube-proxy.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import certificates, processes, world
from lab.kubernetes import access, programs

ADDRESS, API_PORT = world.KUBERNETES_API
ETCD_PORT, ETCD_PEER_PORT = 2379, 2380
CONTROLLER_MANAGER_PORT = 10257
SERVICE_NETWORK = "127.96.0.0/24"

ETCD = "kubernetes-etcd"
API_SERVER = "kubernetes-apiserver"
CONTROLLER_MANAGER = "kubernetes-controller-manager"

ETCD_DATA = access.FOLDER / "etcd"
SIGNING_KEY = access.FOLDER / "service-accounts.key"
PUBLIC_KEY = access.FOLDER / "service-accounts.pub"
TOKENS = access.FOLDER / "tokens.csv"
CONTROLLER_MANAGER_CONFIG = access.FOLDER / "controller-manager.kubeconfig"


def start() -> None:
    """Start what is not running; the components wait for each other."""
    certificates.ensure()
    _ensure_signing_key()
    _ensure_users()
    hosts = [ADDRESS, "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    chain, key = certificates.issue("kubernetes", ca="kubernetes-ca", hosts=hosts)
    server = str(programs.server())
    serving = [f"--tls-cert-file={chain}", f"--tls-private-key-file={key}"]
    client, client_key = certificates.issue_client(
        "kubernetes-kubelet-client", ca="kubernetes-ca", user="kube-apiserver", groups=["system:masters"]
    )
    # The way to the kubelet, for `kubectl logs`, `exec` and `port-forward`, if the lab has a node.
    to_kubelet = [f"--kubelet-client-certificate={client}", f"--kubelet-client-key={client_key}"]
    await_api = ["-await", f"https://{ADDRESS}:{API_PORT}/readyz"]
    processes.spawn(ETCD, [server, "etcd", *_etcd()])
    processes.spawn(API_SERVER, [server, "kube-apiserver", *serving, *to_kubelet, *_api_server()])
    processes.spawn(
        CONTROLLER_MANAGER, [server, *await_api, "kube-controller-manager", *serving, *_controller_manager()]
    )


def stop() -> None:
    """Clients before servers: each would otherwise spend its grace period on a peer that is gone."""
    for name in (CONTROLLER_MANAGER, API_SERVER, ETCD):
        processes.end(name, grace=5)


def _etcd() -> list[str]:
    clients, peers = f"http://{ADDRESS}:{ETCD_PORT}", f"http://{ADDRESS}:{ETCD_PEER_PORT}"
    return [
        "--name=lab", f"--data-dir={ETCD_DATA}", "--log-level=warn",
        # Survives a killed process; only a crash of the whole machine can damage the data of this lab.
        "--unsafe-no-fsync",
        f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=lab={peers}",
    ]  # fmt: skip


def _api_server() -> list[str]:
    return [
        f"--etcd-servers=http://{ADDRESS}:{ETCD_PORT}",
        f"--bind-address={ADDRESS}", f"--secure-port={API_PORT}", f"--service-cluster-ip-range={SERVICE_NETWORK}",
        # An address of the loopback is refused here; a documentation address (RFC 5737), of which nothing is made.
        "--advertise-address=192.0.2.1", "--endpoint-reconciler-type=none",
        f"--client-ca-file={certificates.authority_file('kubernetes-ca')}", f"--token-auth-file={TOKENS}",
        f"--service-account-issuer={world.KUBERNETES_ISSUER}",
        f"--service-account-jwks-uri={world.KUBERNETES_ISSUER}/openid/v1/jwks",
        f"--service-account-key-file={PUBLIC_KEY}", f"--service-account-signing-key-file={SIGNING_KEY}",
        f"--kubelet-certificate-authority={certificates.authority_file('kubernetes-ca')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--api-audiences={world.KUBERNETES_ISSUER},https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
    ]  # fmt: skip


def _controller_manager() -> list[str]:
    authority = certificates.authority_file("kubernetes-ca")
    return [
        f"--kubeconfig={CONTROLLER_MANAGER_CONFIG}", "--leader-elect=false",
        f"--bind-address={ADDRESS}", f"--secure-port={CONTROLLER_MANAGER_PORT}",
        # With the default 20 and 30 a namespace gets its default ServiceAccount after 5 s instead of 1 s.
        "--kube-api-qps=300", "--kube-api-burst=600", "--use-service-account-credentials",
        f"--service-account-private-key-file={SIGNING_KEY}", f"--root-ca-file={authority}",
        f"--cluster-signing-cert-file={authority}", f"--cluster-signing-key-file={authority.with_suffix('.key')}",
    ]  # fmt: skip


def _ensure_signing_key() -> None:
    """RSA, because the tokens of EKS are signed with RS256."""
    if PUBLIC_KEY.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    access.write_private(SIGNING_KEY, private.decode())
    access.write_private(PUBLIC_KEY, public.decode())


def _ensure_users() -> None:
    """The static users of the API server (token, name, uid, groups) and their kubeconfigs."""
    if TOKENS.exists():
        return
    users: list[tuple[Path, str, str]] = [
        (access.ADMIN, "admin", "system:masters"),
        (CONTROLLER_MANAGER_CONFIG, "system:kube-controller-manager", ""),
    ]
    lines = []
    for kubeconfig, user, groups in users:
        token = secrets.token_hex(16)
        access.write_kubeconfig(kubeconfig, user, token)
        lines.append(f'{token},{user},{user},"{groups}"\n')
    access.write_private(TOKENS, "".join(lines))
