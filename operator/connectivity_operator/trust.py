"""Whose certificates are believed: the system's authorities plus the files that the settings name, for every client.

One rule for all TLS of the program, diagnosis and clients alike: Python's own contexts obey ``SSL_CERT_FILE``
and ``SSL_CERT_DIR``, requests ``REQUESTS_CA_BUNDLE`` and ``CURL_CA_BUNDLE``, botocore ``AWS_CA_BUNDLE``, and each
silently replaces what is trusted. None of them is looked at here; ``EXTRA_CA_FILE`` is the one way to add trust.

The files are followed: they may come, change and go while we run, as a ConfigMap's do in a Pod. Each handshake looks
whether one is another than before (a `stat`); only then is anything read. A file that cannot be used adds nothing,
and is no error here: the tls rung tells it (`unusable`).
"""

from __future__ import annotations

import atexit
import os
import shutil
import ssl
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import certifi

SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Alpine, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Amazon Linux, Red Hat, Fedora
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/cert.pem"),  # Alpine, macOS
)
"""Where distributions keep all their authorities in one file. One file serves contexts and libraries alike."""


class FollowingContext(ssl.SSLContext):
    """A client context that verifies chain and host name by what its files hold at the moment of each handshake.

    A context cannot forget an authority, so a changed file means another one. Clients keep theirs for their whole
    life; this one hands each handshake on to the present one. It holds no authority itself.
    """

    def __new__(cls, _files: tuple[Path, ...]) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._trusted = _trusted(files)

    def now(self) -> ssl.SSLContext:
        """The present one."""
        return self._trusted.now().context

    def unusable(self) -> dict[str, str]:
        """See `unusable`."""
        return self._trusted.now().unusable

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:
        return self.now().wrap_bio(*args, **more)

    def wrap_socket(self, *args: Any, **more: Any) -> ssl.SSLSocket:
        return self.now().wrap_socket(*args, **more)

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        """httpx asks for it before each of its connections."""
        self.now().set_alpn_protocols(alpn_protocols)


@lru_cache
def _context(files: tuple[Path, ...]) -> FollowingContext:
    return FollowingContext(files)


def context(*ca_files: Path | None) -> FollowingContext:
    """A client context that follows these files; the same object for the same files.

    Shared because the authorities of one cost 30 ms and 0.7 MB.
    """
    return _context(_given(ca_files))


def bundle(*ca_files: Path | None) -> Path:
    """All of it as one PEM file, for libraries that take a path and read it at each connection.

    The same path for as long as the process lives; what it holds is renewed by each call, and by each handshake of
    the context of the same files.
    """
    return _trusted(_given(ca_files)).bundle()


def unusable(context: ssl.SSLContext | None) -> dict[str, str]:
    """What is wrong with the files of a context, as evidence (``variable``, ``detail``); empty: nothing."""
    return context.unusable() if isinstance(context, FollowingContext) else {}


def system_bundle() -> Path:
    """The system's authorities; Mozilla's (certifi) on a system that has none, such as a bare image."""
    return next((file for file in SYSTEM_BUNDLES if file.is_file() and file.stat().st_size), Path(certifi.where()))


@dataclass(frozen=True, slots=True)
class _Made:
    """What the files amount to."""

    context: ssl.SSLContext
    usable: tuple[Path, ...]
    unusable: dict[str, str]


class _Trusted:
    """Some files, followed. Used from several threads."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._seen: tuple[tuple[int, ...], ...] | None = None
        self._made: _Made | None = None
        self._bundle: Path | None = None

    def now(self) -> _Made:
        with self._lock:
            return self._now()

    def bundle(self) -> Path:
        with self._lock:
            made = self._now()
            if self._bundle is None:
                folder = Path(tempfile.mkdtemp(prefix="connectivity-operator-"))
                atexit.register(shutil.rmtree, folder, ignore_errors=True)
                self._bundle = folder / "trusted.pem"
                _write(self._bundle, made.usable)
            return self._bundle

    def _now(self) -> _Made:
        seen = tuple(map(_version, self._files))
        if self._made is None or seen != self._seen:
            self._made, self._seen = _make(self._files), seen
            if self._bundle:
                _write(self._bundle, self._made.usable)
        return self._made


@lru_cache
def _trusted(files: tuple[Path, ...]) -> _Trusted:
    return _Trusted(files)


def _given(ca_files: tuple[Path | None, ...]) -> tuple[Path, ...]:
    return tuple(sorted({file for file in ca_files if file is not None}))


def _version(file: Path) -> tuple[int, ...]:
    """Differs when the file does. A ConfigMap's changes by a swapped link: by its inode, whatever its time says."""
    try:
        now = os.stat(file)  # noqa: PTH116 (follows the link, once)
    except OSError as error:
        return (error.errno or 0,)
    return (now.st_ino, now.st_mtime_ns, now.st_ctime_ns, now.st_size)


def _make(files: tuple[Path, ...]) -> _Made:
    # Not ssl.create_default_context: from 3.13 on it verifies more strictly (VERIFY_X509_STRICT) than the client
    # libraries do, and would refuse private authorities that these accept.
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cafile=system_bundle())
    problems = {file: problem for file in files if (problem := _problem(made, file))}
    named = sorted((_variable(file), problem) for file, problem in problems.items())
    told = {"variable": " and ".join(name for name, _ in named), "detail": "; ".join(text for _, text in named)}
    return _Made(made, tuple(file for file in files if file not in problems), told if named else {})


def _problem(made: ssl.SSLContext, file: Path) -> str | None:
    """Let ``made`` trust what the file holds; why that is not possible."""
    try:
        made.load_verify_locations(cafile=file)
    except ssl.SSLError:
        return f"{file} holds no certificate in PEM form"
    except FileNotFoundError:
        return f"{file} does not exist"
    except OSError as error:
        return f"{file} cannot be read ({error.strerror})"
    return None


def _write(bundle: Path, files: tuple[Path, ...]) -> None:
    """Replaced as a whole: a library may be reading it."""
    parts = [system_bundle().read_bytes()]
    for file in files:
        try:
            parts.append(file.read_bytes())
        except OSError:  # gone since it was looked at; the next look will tell
            continue
    new = bundle.with_suffix(".new")
    new.write_bytes(b"\n".join(parts))
    new.replace(bundle)


def _variable(file: Path) -> str:
    """The environment variable that names this file; the file itself if none does."""
    return next((name for name, value in os.environ.items() if value.strip() == str(file)), str(file))
