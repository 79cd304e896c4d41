"""Whose certificates are believed: the system's authorities plus the files that the settings name, for every client.

One rule for all TLS of the program, diagnosis and clients alike: Python's own contexts obey ``SSL_CERT_FILE``
and ``SSL_CERT_DIR``, requests ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, botocore ``AWS_CA_BUNDLE``, and each
silently replaces what is trusted. None of them is looked at here; ``EXTRA_CA_FILE`` is the one way to add trust.
"""

from __future__ import annotations

import atexit
import os
import shutil
import ssl
import tempfile
from functools import lru_cache
from pathlib import Path

import certifi

from connectivity_operator.errors import SettingsError

SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Alpine, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Amazon Linux, Red Hat, Fedora
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/cert.pem"),  # Alpine, macOS
)
"""Where distributions keep all their authorities in one file. One file serves contexts and libraries alike."""


def context(*ca_files: Path | None) -> ssl.SSLContext:
    """A client context that verifies chain and host name; the same object for the same files.

    Shared because one costs 30 ms and 0.7 MB. Raises `SettingsError` for a file that cannot be used.
    """
    return _context(_given(ca_files))


def bundle(*ca_files: Path | None) -> Path:
    """All of it as one PEM file, for libraries that take a path; lives as long as the process.

    Raises `SettingsError` for a file that cannot be used.
    """
    return _bundle(_given(ca_files))


def system_bundle() -> Path:
    """The system's authorities; Mozilla's (certifi) on a system that has none, such as a bare image."""
    return next((file for file in SYSTEM_BUNDLES if file.is_file() and file.stat().st_size), Path(certifi.where()))


def _given(ca_files: tuple[Path | None, ...]) -> tuple[Path, ...]:
    return tuple(sorted({file for file in ca_files if file is not None}))


@lru_cache
def _context(ca_files: tuple[Path, ...]) -> ssl.SSLContext:
    # Not ssl.create_default_context: from 3.13 on it verifies more strictly (VERIFY_X509_STRICT) than the client
    # libraries do, and would refuse private authorities that these accept.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cafile=system_bundle())
    for file in ca_files:
        _trust(made, file)
    return made


@lru_cache
def _bundle(ca_files: tuple[Path, ...]) -> Path:
    _context(ca_files)  # proves that every file can be used
    folder = Path(tempfile.mkdtemp(prefix="connectivity-operator-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "trusted.pem"
    file.write_bytes(b"\n".join(part.read_bytes() for part in (system_bundle(), *ca_files)))
    return file


def _trust(made: ssl.SSLContext, file: Path) -> None:
    try:
        made.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise SettingsError([(_variable(file), f"{file} holds no PEM certificate")]) from error
    except OSError as error:
        raise SettingsError([(_variable(file), f"{file} cannot be read ({error.strerror})")]) from error


def _variable(file: Path) -> str:
    """The environment variable that names this file; the file itself if none does."""
    return next((name for name, value in os.environ.items() if value.strip() == str(file)), str(file))
