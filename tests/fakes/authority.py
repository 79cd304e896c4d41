"""A certificate authority in memory, for servers in the test's own process."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """Signs server certificates; its own certificate lies in ``file``."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self.name = name
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.pem"
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        built = _builder(name, name, self._key.public_key(), -DAY, 365 * DAY).add_extension(constraints, critical=True)
        self.file.write_bytes(_pem(built.sign(self._key, hashes.SHA256())))

    def certificate(
        self, hosts: Sequence[str], *, begins: timedelta = -DAY, ends: timedelta = 90 * DAY
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """A server certificate; ``begins`` and ``ends`` are counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_alternative(host) for host in hosts])
        built = _builder("server", self.name, key.public_key(), begins, ends).add_extension(names, critical=False)
        return built.sign(self._key, hashes.SHA256()), key

    def server_context(
        self, hosts: Sequence[str], *, begins: timedelta = -DAY, ends: timedelta = 90 * DAY
    ) -> ssl.SSLContext:
        """A context for a server with such a certificate."""
        certificate, key = self.certificate(hosts, begins=begins, ends=ends)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._folder / "server.pem"
        chain.write_bytes(private + _pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


def _builder(
    subject: str, issuer: str, key: ec.EllipticCurvePublicKey, begins: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return x509.CertificateBuilder(
        _name(issuer), _name(subject), key, x509.random_serial_number(), now + begins, now + ends
    )


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
