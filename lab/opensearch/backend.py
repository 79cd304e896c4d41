"""The real OpenSearch behind the gateway: its configuration and its command line. It has no lock of its own."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab import processes, world
from lab.java import Java

LOGGING = Path(__file__).parent / "log4j2.properties"
TRANSPORT_PORT = 9300

HEAP = "768m"


@dataclass(frozen=True)
class Folders:
    """What the server writes, all in the lab's state."""

    root: Path

    @property
    def configuration(self) -> Path:
        return self.root / "config"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def all(self) -> list[Path]:
        return [self.root, self.configuration, self.data, self.logs, self.temporary]


def lay_out(folders: Folders) -> None:
    """Make the folders and write the configuration. They belong to the unprivileged user that the server runs as."""
    for folder in folders.all():
        folder.mkdir(parents=True, exist_ok=True)
    (folders.configuration / "opensearch.yml").write_text(settings_text(folders))
    shutil.copyfile(LOGGING, folders.configuration / "log4j2.properties")
    if os.geteuid() == 0:
        for path in [*folders.all(), *folders.configuration.iterdir()]:
            os.chown(path, processes.UNPRIVILEGED_UID, processes.UNPRIVILEGED_UID)


def settings_text(folders: Folders) -> str:
    """`opensearch.yml`. (JSON is YAML.)"""
    host, port = world.OPENSEARCH_BACKEND
    settings = {
        "cluster.name": "lab",
        "node.name": "lab",
        "discovery.type": "single-node",
        "network.host": host,
        "http.port": port,
        "transport.port": TRANSPORT_PORT,
        "path.data": str(folders.data),
        "path.logs": str(folders.logs),
        # The breaker would count garbage that has not been collected yet, and answer 429 to everything.
        "indices.breaker.total.use_real_memory": False,
        # A full disk must not turn indices read-only in a lab.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    return json.dumps(settings, indent=2) + "\n"


def command(java: Java, home: Path, folders: Folders) -> list[str]:
    """What the project's own start script would run, without its Java agent and its separate keystore tool."""
    return [
        str(java.java),
        f"-Xms{HEAP}",
        f"-Xmx{HEAP}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",  # half the CPU time of a start, and no slower before some 4000 documents
        "-XX:-UsePerfData",
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={folders.temporary}",
        "-Dfile.encoding=UTF-8",
        "-Djna.nosys=true",
        "-Dio.netty.noUnsafe=true",
        "-Dio.netty.noKeySetOptimization=true",
        "-Dio.netty.allocator.numDirectArenas=0",
        "-Dlog4j.shutdownHookEnabled=false",
        "-Dlog4j2.disable.jmx=true",
        "-Dlog4j2.formatMsgNoLookups=true",
        "--enable-native-access=ALL-UNNAMED",
        *(["--sun-misc-unsafe-memory-access=allow"] if java.version >= 23 else []),
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={folders.configuration}",
        "-Dopensearch.distribution.type=tar",
        "-cp",
        f"{home / 'lib'}/*",
        "org.opensearch.bootstrap.OpenSearch",
    ]
