"""The lab's certificate authorities and the servers' certificates, in `<state>/certificates/`.

Authorities, each ``<name>.pem`` and ``<name>.key``:

``ca``
    stands for the public authorities that sign the certificates of MSK, STS, OpenSearch Serverless and OpenAI;
``rds-ca``
    RDS signs with a private authority of its own, which clients know only from AWS's bundle file;
``kubernetes-ca``
    the cluster's own, as in `/var/run/secrets/kubernetes.io/serviceaccount/ca.crt`;
``unknown-ca``
    nobody trusts it: for faults.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab import paths

AUTHORITIES = {
    "ca": "Lab public CA",
    "rds-ca": "Lab RDS CA",
    "kubernetes-ca": "Lab Kubernetes CA",
    "unknown-ca": "Somebody else's CA",
    "proxy-ca": "Proxy CA",
}
"""File name -> common name of each authority."""

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)
"""What ends sooner than this is made anew, so that a long-lived lab never meets its own expiry by accident."""


@dataclass(frozen=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure() -> None:
    """Make the authorities that are missing or about to expire; fast when there is nothing to do."""
    with _locked():
        for name in AUTHORITIES:
            _authority(name)


def issue(name: str, *, ca: str = "ca", hosts: Sequence[str]) -> tuple[Path, Path]:
    """A server certificate for ``hosts`` (DNS names or addresses), signed by the authority ``ca``.

    Returns the paths of the chain (PEM, leaf first) and of the private key (PEM, PKCS#8, EC P-256, mode 0600).
    What is there is kept if it is signed by the present authority, names the same hosts and does not end soon.
    """
    chain, key_file = paths.CERTIFICATES / f"{name}.pem", paths.CERTIFICATES / f"{name}.key"
    with _locked():
        authority = _authority(ca)
        if not _usable(chain, key_file, authority, hosts):
            key = ec.generate_private_key(ec.SECP256R1())
            # A common name has room for 64 characters, less than an AWS host name may have; clients look at the SAN.
            leaf = _sign(_name(hosts[0][:64]), key, authority, ExtendedKeyUsageOID.SERVER_AUTH, hosts)
            _write(key_file, _private_pem(key), mode=0o600)
            _write(chain, _pem(leaf) + _pem(authority.certificate), mode=0o644)
    return chain, key_file


def forge(
    name: str,
    *,
    ca: str,
    hosts: Sequence[str],
    begins: timedelta = timedelta(hours=-1),
    ends: timedelta = SERVER_LIFETIME,
    curve: ec.EllipticCurve | None = None,
) -> tuple[Path, Path]:
    """A server certificate as `issue` makes it, in place of the one that is there, with whatever is to be wrong.

    ``begins`` and ``ends`` count from now; ``curve`` is the key's (P-256). `issue` puts it right again.
    """
    chain, key_file = paths.CERTIFICATES / f"{name}.pem", paths.CERTIFICATES / f"{name}.key"
    with _locked():
        authority = _authority(ca)
        key = ec.generate_private_key(curve or ec.SECP256R1())
        validity = (begins, ends)
        leaf = _sign(_name(hosts[0][:64]), key, authority, ExtendedKeyUsageOID.SERVER_AUTH, hosts, validity)
        _write(key_file, _private_pem(key), mode=0o600)
        _write(chain, _pem(leaf) + _pem(authority.certificate), mode=0o644)
    return chain, key_file


def forget(name: str) -> None:
    """Remove a certificate: `issue` makes another one."""
    for suffix in (".pem", ".key"):
        (paths.CERTIFICATES / f"{name}{suffix}").unlink(missing_ok=True)


def issue_client(name: str, *, ca: str, user: str, groups: Sequence[str] = ()) -> tuple[Path, Path]:
    """A certificate that logs in to Kubernetes: its common name is the user, its organisations are the groups.

    Returns the paths of the certificate and of the private key, as `issue` does, and keeps what is there likewise.
    """
    chain, key_file = paths.CERTIFICATES / f"{name}.pem", paths.CERTIFICATES / f"{name}.key"
    subject = x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
            x509.NameAttribute(NameOID.COMMON_NAME, user),
        ]
    )
    with _locked():
        authority = _authority(ca)
        if not _client_usable(chain, key_file, authority, subject):
            key = ec.generate_private_key(ec.SECP256R1())
            leaf = _sign(subject, key, authority, ExtendedKeyUsageOID.CLIENT_AUTH)
            _write(key_file, _private_pem(key), mode=0o600)
            _write(chain, _pem(leaf) + _pem(authority.certificate), mode=0o644)
    return chain, key_file


def authority_file(ca: str = "ca") -> Path:
    """Where the certificate of an authority lies (what clients must trust)."""
    return paths.CERTIFICATES / f"{ca}.pem"


@contextmanager
def _locked() -> Iterator[None]:
    """Parts start side by side, and tests may ask at the same time from another process."""
    paths.CERTIFICATES.mkdir(parents=True, exist_ok=True)
    with (paths.CERTIFICATES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _authority(name: str) -> _Authority:
    certificate_file, key_file = authority_file(name), paths.CERTIFICATES / f"{name}.key"
    if certificate_file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and _lasts(certificate):
            return _Authority(certificate, key)
    new_key = ec.generate_private_key(ec.SECP256R1())
    authority = _Authority(_self_sign(AUTHORITIES[name], new_key), new_key)
    _write(key_file, _private_pem(new_key), mode=0o600)
    _write(certificate_file, _pem(authority.certificate), mode=0o644)
    return authority


def _usable(chain: Path, key_file: Path, authority: _Authority, hosts: Sequence[str]) -> bool:
    leaf = _kept(chain, key_file, authority)
    if leaf is None:
        return False
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(names) == _alternative_names(hosts)


def _client_usable(chain: Path, key_file: Path, authority: _Authority, subject: x509.Name) -> bool:
    leaf = _kept(chain, key_file, authority)
    return leaf is not None and leaf.subject == subject


def _kept(chain: Path, key_file: Path, authority: _Authority) -> x509.Certificate | None:
    """The certificate that is there, if it is signed by the present authority and does not end soon."""
    if not (chain.exists() and key_file.exists()):
        return None
    leaf, *issuers = x509.load_pem_x509_certificates(chain.read_bytes())
    return leaf if issuers == [authority.certificate] and _lasts(leaf) else None


def _lasts(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - RENEW_BEFORE > datetime.now(UTC)


def _self_sign(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name(common_name)
    return (
        _builder(key, subject=name, issuer=name, validity=(timedelta(hours=-1), AUTHORITY_LIFETIME))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    authority: _Authority,
    usage: x509.ObjectIdentifier,
    hosts: Sequence[str] = (),
    validity: tuple[timedelta, timedelta] = (timedelta(hours=-1), SERVER_LIFETIME),
) -> x509.Certificate:
    builder = _builder(key, subject=subject, issuer=authority.certificate.subject, validity=validity)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternative_names(hosts)), critical=False)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        # Python 3.13 verifies strictly by default and refuses a leaf without it.
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )


def _builder(
    key: ec.EllipticCurvePrivateKey, *, subject: x509.Name, issuer: x509.Name, validity: tuple[timedelta, timedelta]
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + validity[0])
        .not_valid_after(now + validity[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(host) for host in hosts]


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step: a server that starts meanwhile reads the old one or the new one."""
    temporary = file.with_suffix(file.suffix + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as output:
        output.write(content)
    temporary.replace(file)
