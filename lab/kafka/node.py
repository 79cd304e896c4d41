"""One node: its folder with configuration, certificate and data, and whether it serves."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

from lab import certificates, processes
from lab.kafka.broker import INTERNAL_PORT, PORTS, Address, properties, properties_text
from lab.kafka.probe import answers
from lab.part import NotReady


def lay_out(node: int, at: Address, folder: Path, *, formatted: Path, certificate: str) -> Path:
    """Write the node's configuration and make its data folder unless it has one. Returns the configuration file.

    ``formatted`` is the log directory to begin with, ``certificate`` the name under which its certificate is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not data.exists():
        unfinished = folder / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(formatted, unfinished)
        unfinished.rename(data)
    configuration = properties(
        node, at, log_dir=data, keystore=_keystore(at, folder, certificate), truststore=certificates.authority_file()
    )
    file = folder / "server.properties"
    file.write_text(properties_text(configuration))
    return file


def answering(process: str, at: Address) -> None:
    """Ask the listener that tests use and the one that the operator uses; `NotReady` unless both speak Kafka."""
    processes.check(process)
    trust = ssl.create_default_context(cafile=str(certificates.authority_file()))
    try:
        answers(at.internal, INTERNAL_PORT)
        answers(at.public, PORTS["IAM"], tls=(trust, at.name))
    except OSError as error:
        raise NotReady(f"{process} does not answer yet: {error}") from error


def _keystore(at: Address, folder: Path, certificate: str) -> Path:
    """Kafka wants the private key and the chain in one PEM file. MSK's brokers share a wildcard certificate."""
    wildcard = "*." + at.name.partition(".")[2]
    chain, key = certificates.issue(certificate, hosts=[wildcard])
    keystore = folder / "keystore.pem"
    keystore.touch(mode=0o600)
    keystore.write_bytes(key.read_bytes() + chain.read_bytes())
    return keystore
