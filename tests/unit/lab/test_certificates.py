"""Certificates of the lab hold for a real TLS client, and are made anew only when they must be."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from lab import certificates, paths

NAME = "sts.eu-west-2.amazonaws.com"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CERTIFICATES", tmp_path)
    return tmp_path


def handshake(name: str, *, trusting: str, server: tuple[Path, Path]) -> None:
    """One TLS handshake over a socket pair; raises what the client raises."""
    ours, theirs = socket.socketpair()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(*server)

    def serve() -> None:
        try:
            server_side.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    client = ssl.create_default_context(cafile=str(certificates.authority_file(trusting)))
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("host", [NAME, "127.96.0.1"])
def test_a_client_that_trusts_the_authority_accepts_names_and_addresses(host: str) -> None:
    handshake(host, trusting="ca", server=certificates.issue("server", hosts=[host]))


def test_a_client_that_trusts_only_the_public_authority_refuses_rds() -> None:
    """As in reality: without AWS's bundle the certificate of an RDS instance is not trusted."""
    certificates.ensure()
    server = certificates.issue("server", ca="rds-ca", hosts=[NAME])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        handshake(NAME, trusting="ca", server=server)


def test_another_name_is_refused() -> None:
    server = certificates.issue("server", hosts=[NAME])
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake("sts.amazonaws.com", trusting="ca", server=server)


def test_a_good_certificate_is_kept() -> None:
    chain, _ = certificates.issue("server", hosts=[NAME])
    before = chain.read_bytes()
    certificates.issue("server", hosts=[NAME])
    assert chain.read_bytes() == before


def test_other_hosts_mean_another_certificate() -> None:
    chain, _ = certificates.issue("server", hosts=[NAME])
    before = chain.read_bytes()
    certificates.issue("server", hosts=[NAME, "127.77.0.20"])
    assert chain.read_bytes() != before


def test_a_certificate_that_ends_soon_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, _ = certificates.issue("server", hosts=[NAME])
    before = chain.read_bytes()
    monkeypatch.setattr(certificates, "RENEW_BEFORE", certificates.SERVER_LIFETIME + timedelta(days=1))
    certificates.issue("server", hosts=[NAME])
    assert chain.read_bytes() != before


def test_a_new_authority_means_new_certificates(folder: Path) -> None:
    """A leaf of the old authority would be refused by everybody who trusts the new one."""
    server = certificates.issue("server", hosts=[NAME])
    (folder / "ca.pem").unlink()
    assert certificates.issue("server", hosts=[NAME]) == server
    handshake(NAME, trusting="ca", server=server)


def test_keys_are_private() -> None:
    _, key = certificates.issue("server", hosts=[NAME])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert b"BEGIN PRIVATE KEY" in key.read_bytes()  # PKCS#8, the only form that Kafka reads


def test_a_client_certificate_names_user_and_groups_and_is_kept() -> None:
    """Kubernetes takes the user from the common name and the groups from the organisations."""
    made = certificates.issue_client(
        "kubelet-client", ca="kubernetes-ca", user="system:node:a", groups=["system:nodes"]
    )
    content = made[0].read_bytes()
    subject = x509.load_pem_x509_certificates(content)[0].subject
    assert subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"
    certificates.issue_client("kubelet-client", ca="kubernetes-ca", user="system:node:a", groups=["system:nodes"])
    assert made[0].read_bytes() == content
    certificates.issue_client("kubelet-client", ca="kubernetes-ca", user="system:node:b", groups=["system:nodes"])
    assert made[0].read_bytes() != content
