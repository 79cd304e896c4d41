"""The server's configuration files and the PAM service, as text."""

from __future__ import annotations

from pathlib import Path

from lab import world
from lab.postgresql.layout import PAM_SERVICE

SETTINGS = {
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "ssl": "on",
    "ssl_min_protocol_version": "TLSv1.2",
    "password_encryption": "scram-sha-256",
    # What was committed survives a killed server (it was written), not a crash of the machine (it was not synced).
    "fsync": "off",
    "full_page_writes": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
}


def postgresql_conf(*, socket_folder: Path, certificate: Path, key: Path) -> str:
    """`postgresql.conf`: in a file, not on the command line, so that ALTER SYSTEM can override it for a fault."""
    settings = {
        **SETTINGS,
        "listen_addresses": world.POSTGRESQL[1],
        "unix_socket_directories": str(socket_folder),
        "ssl_cert_file": str(certificate),
        "ssl_key_file": str(key),
    }
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def pg_hba_conf() -> str:
    """`pg_hba.conf`. As on RDS a member of `rds_iam` logs in by token only, whatever its password.

    A role without the grant falls to the password line. There is no `host` line: without TLS nobody gets in.
    """
    return (
        f"local   all {world.DB_MASTER} trust\n"
        f"hostssl all +rds_iam 0.0.0.0/0 pam pamservice={PAM_SERVICE}\n"
        "hostssl all all 0.0.0.0/0 scram-sha-256\n"
    )


def pam_service(*, module: Path, socket: str) -> str:
    """The PAM service; ``socket`` may be relative to the data folder, where PostgreSQL's backends live."""
    return f"auth required {module} socket={socket}\naccount required {module}\n"
