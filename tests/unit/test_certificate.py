"""Reading the facts of a certificate from its DER form."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectivity_operator.diagnosis.certificate import Certificate, read
from connectivity_operator.trust import system_bundle
from tests.fakes.authority import DAY, Authority


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def test_issuer_names_and_validity_are_read(tmp_path: Path) -> None:
    """The fields agree with what the certificate was made of."""
    made, _ = Authority(tmp_path, "Lab CA").certificate(["*.example", "192.0.2.1", "2001:db8::1"], ends=3 * DAY)
    facts = read(der(made))
    assert facts.issuer == "Lab CA"
    assert facts.names == ("*.example", "192.0.2.1", "2001:db8::1")
    assert (facts.not_before, facts.not_after) == (made.not_valid_before_utc, made.not_valid_after_utc)


def test_an_issuer_without_a_common_name_is_known_by_its_organization() -> None:
    """Several public authorities' roots have none; without alternative names there are none."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Prüfstelle")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    facts = read(der(built.sign(key, hashes.SHA256())))
    assert facts.issuer == "Prüfstelle"
    assert facts.names == ()


def test_years_before_2050_and_after_are_read() -> None:
    """From 2050 on, dates have four digits of the year (RFC 5280)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    begins, ends = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2051, 1, 2, tzinfo=UTC)
    facts = read(der(x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, hashes.SHA256())))
    assert (facts.not_before, facts.not_after) == (begins, ends)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_every_authority_of_this_system_can_be_read() -> None:
    """Certificates from the world, with all the encodings that it uses, agree with the reference implementation."""
    blocks = system_bundle().read_text(encoding="utf-8").split("-----END CERTIFICATE-----")[:-1]
    assert len(blocks) > 50
    for block in blocks:
        pem = block[block.index("-----BEGIN") :] + "-----END CERTIFICATE-----\n"
        reference = x509.load_pem_x509_certificate(pem.encode())
        facts = read(ssl.PEM_cert_to_DER_cert(pem))
        assert facts.not_after == reference.not_valid_after_utc
        names = reference.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert not names or facts.issuer == names[-1].value


@pytest.mark.parametrize("damage", [lambda raw: b"", lambda raw: raw[:40], lambda raw: b"\x02" + raw[1:]])
def test_what_is_no_certificate_is_a_value_error(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    """Whatever a server sends, the diagnosis must not stumble over it."""
    made, _ = Authority(tmp_path).certificate(["x"])
    with pytest.raises(ValueError):
        read(damage(der(made)))


def test_evidence_is_short_whatever_the_certificate_holds() -> None:
    """Certificates of content networks name hundreds of hosts."""
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    many = Certificate("A" * 500, tuple(f"h{n}.example" for n in range(100)), now, now)
    evidence = many.evidence()
    assert evidence["names"] == "h0.example, h1.example, h2.example, …"
    assert len(evidence["issuer"]) == 100
    assert evidence["expires"] == "2026-01-02T03:04:05Z"
