"""Makes what the brokers run from, in the lab's cache: jars, our own classes, formatted storage, a class archive."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cache, commands, java, maven
from lab.java import Java
from lab.kafka import broker
from lab.part import PartError

LOG = logging.getLogger(__name__)

POM = Path(__file__).parent / "pom.xml"
SOURCES = Path(__file__).parent / "java"
JAVA_VERSION = 17
"""What Kafka's brokers need, and what our classes are compiled for."""


@dataclass(frozen=True)
class Program:
    """What runs a broker: a JVM and its class path, in order."""

    java: Java
    jars: tuple[Path, ...]

    def command(self, main: str, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        return broker.command(self.java, self.jars, main, *arguments, options=options)


def program() -> Program:
    """Fetch Kafka and compile the callback handler and the authorizer, unless they are there."""
    jdk = java.find(JAVA_VERSION, compiler=True)
    if jdk is None:
        raise PartError(f"Kafka needs a JDK, {JAVA_VERSION} or newer (Debian: apt install openjdk-17-jdk-headless)")
    libraries = cache.made(f"kafka/jars-{cache.digest(POM)}", _fetch)
    ours = cache.made(
        f"kafka/msk-{cache.digest(SOURCES, libraries.name)}.jar", lambda target: _compile(jdk, libraries, target)
    )
    return Program(jdk, (*sorted(libraries.glob("*.jar")), ours))


def storage(kafka: Program) -> Path:
    """A folder with a formatted log directory for each node (named by its number), to be copied before a first start.

    Formatting costs a JVM each; its result holds no path or address but the controller's.
    """
    definition = Path(broker.__file__).read_text()
    return cache.made(f"kafka/storage-{cache.digest(definition)}", lambda target: _format(kafka, target))


def class_archive(kafka: Program, train: Callable[[Sequence[str]], None]) -> list[str]:
    """JVM options that map loaded classes from an archive instead of loading them: half the time and CPU of a start.

    To make it, ``train`` starts a broker with the options it is given, has it do what brokers do, and ends it
    in peace: the JVM writes the archive when it ends.
    """
    made_from = cache.digest(kafka.java.release, *map(str, kafka.jars))
    archive = cache.made(f"kafka/classes-{made_from}.jsa", lambda target: train([f"-XX:ArchiveClassesAtExit={target}"]))
    # A JVM for which the archive is not fit ignores it.
    return [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"]


def _fetch(target: Path) -> None:
    LOG.info("fetching Kafka (some 45 MB)")
    maven.copy_dependencies(POM, target)


def _compile(jdk: Java, libraries: Path, target: Path) -> None:
    LOG.info("compiling the brokers' IAM login and authorizer")
    sources = [str(source) for source in sorted(SOURCES.rglob("*.java"))]
    with tempfile.TemporaryDirectory() as classes:
        options = ["--release", str(JAVA_VERSION), "-d", classes, "-cp", f"{libraries}/*"]
        commands.run([str(jdk.javac), *options, *sources])
        commands.run([str(jdk.jar), "--create", "--file", str(target), "-C", classes, "."])


def _format(kafka: Program, target: Path) -> None:
    LOG.info("formatting the brokers' storage")
    for node in broker.NODES:
        folder = target / str(node)
        folder.mkdir(parents=True)
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
            unused = Path("unused")  # formatting opens no listener, so it reads no certificate
            configuration = broker.properties(
                node, broker.address(node), log_dir=folder, keystore=unused, truststore=unused
            )
            file.write(broker.properties_text(configuration))
            file.flush()
            commands.run(kafka.command("kafka.tools.StorageTool", *_format_arguments(node, file.name)))


def _format_arguments(node: int, properties_file: str) -> list[str]:
    arguments = ["format", "--cluster-id", broker.CLUSTER_ID, "--config", properties_file]
    if node != broker.CONTROLLER:
        return [*arguments, "--no-initial-controllers"]
    scram_user = f"SCRAM-SHA-512=[name={broker.SCRAM_USER},password={broker.SCRAM_PASSWORD}]"
    return [*arguments, "--standalone", "--add-scram", scram_user]
