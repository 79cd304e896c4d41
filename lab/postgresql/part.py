"""PostgreSQL as a part of the lab."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

from lab import certificates, paths, processes, world
from lab.iam.part import SOCKET as IAM_SOCKET
from lab.part import NotReady, PartError
from lab.postgresql import configuration, control, layout

SOURCE = Path(__file__).with_name("pam_rds_iam.c")

# PAM reads its services from /etc/pam.d only. A mount that this one process sees keeps the machine's own folder
# untouched, and the kernel removes it with the process, however that ends.
_WITH_OWN_PAM_FOLDER = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/pam.d && exec "$@"']

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class PostgreSQL:
    """RDS for PostgreSQL."""

    name = "postgresql"
    needs: tuple[str, ...] = ("iam",)

    def prepare(self) -> None:
        """Build the PAM module, if its source changed."""
        layout.program("postgres")
        module = _module()
        if module.exists():
            return
        module.parent.mkdir(parents=True, exist_ok=True)
        temporary = module.with_suffix(f".{os.getpid()}")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
        try:
            subprocess.run(
                ["gcc", *flags, str(SOURCE), "-o", str(temporary), "-lpam"], check=True, capture_output=True, text=True
            )
        except FileNotFoundError as error:
            raise PartError("gcc is not installed: apt-get install gcc libpam0g-dev") from error
        except subprocess.CalledProcessError as error:
            raise PartError(
                f"the PAM module does not build (apt-get install libpam0g-dev?):\n{error.stderr}"
            ) from error
        temporary.replace(module)

    def start(self) -> None:
        """Make the data folder if there is none, and start the server as an unprivileged user."""
        if os.geteuid() != 0:
            raise PartError("the lab's PostgreSQL needs root, to give the server a folder of PAM services of its own")
        if processes.find(self.name):
            return
        _make_data_folder()
        _forget_dead_postmaster()
        _write_configuration()
        processes.spawn(
            self.name,
            [
                *_WITH_OWN_PAM_FOLDER, str(layout.PAM_FOLDER.resolve()),
                *processes.as_nobody(), str(layout.program("postgres")), "-D", str(layout.DATA.resolve()),
            ],
        )  # fmt: skip

    def ready(self) -> None:
        """The server answers a query, and a client of its name and authority completes a TLS handshake."""
        processes.check(self.name)
        try:
            control.psql("SELECT 1;", database="postgres")
            _shake_hands()
        except (control.SqlError, OSError) as error:
            raise NotReady(f"PostgreSQL does not answer yet: {error}") from error

    def seed(self) -> None:
        """Database, roles and grants."""
        control.seed()

    def stop(self) -> None:
        """Fast shutdown: SIGTERM alone would wait for every client to leave."""
        with suppress(PartError):
            processes.send(self.name, signal.SIGINT)
        processes.end(self.name)


def _module() -> Path:
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    return paths.CACHE.resolve() / "postgresql" / f"pam_rds_iam-{digest}.so"


def _make_data_folder() -> None:
    if (layout.DATA / "PG_VERSION").exists():
        return
    layout.FOLDER.mkdir(parents=True, exist_ok=True)
    os.chown(layout.FOLDER, processes.UNPRIVILEGED_UID, processes.UNPRIVILEGED_UID)
    layout.FOLDER.chmod(0o700)
    result = subprocess.run(
        [
            *processes.as_nobody(), layout.program("initdb"), f"--pgdata={layout.DATA.resolve()}",
            f"--username={world.DB_MASTER}", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=reject", "--no-sync",
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if result.returncode:
        raise PartError(f"initdb failed:\n{result.stderr}")


def _forget_dead_postmaster() -> None:
    """Remove the lock files of a server that was killed and that nobody has reaped yet.

    PostgreSQL asks the kernel whether the pid in them exists, and a zombie does.
    """
    for lock in (layout.DATA / "postmaster.pid", layout.SOCKET_FOLDER / ".s.PGSQL.5432.lock"):
        with suppress(FileNotFoundError):
            status = Path(f"/proc/{lock.read_text().splitlines()[0]}/status")
            if not status.exists() or "\nState:\tZ" in status.read_text():
                lock.unlink()


def _write_configuration() -> None:
    chain, key = certificates.issue("postgresql", ca="rds-ca", hosts=[world.POSTGRESQL[0]])
    (layout.DATA / "postgresql.conf").write_text(
        configuration.postgresql_conf(
            socket_folder=layout.socket_folder(), certificate=chain.resolve(), key=key.resolve()
        )
    )
    (layout.DATA / "pg_hba.conf").write_text(configuration.pg_hba_conf())
    layout.PAM_FOLDER.mkdir(exist_ok=True)
    # Relative, because a unix socket's path is short and the checkout's may not be.
    iam_socket = os.path.relpath(IAM_SOCKET.resolve(), layout.DATA.resolve())
    service = configuration.pam_service(module=_module(), socket=iam_socket)
    (layout.PAM_FOLDER / layout.PAM_SERVICE).write_text(service)


def _shake_hands() -> None:
    trust = ssl.create_default_context(cafile=certificates.authority_file("rds-ca"))
    with socket.create_connection((world.POSTGRESQL[1], 5432), timeout=2) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise NotReady("PostgreSQL does not offer TLS yet")
        trust.wrap_socket(plain, server_hostname=world.POSTGRESQL[0]).close()
