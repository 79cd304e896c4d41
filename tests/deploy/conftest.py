"""The operator as its users run it: installed by Helm, in a Pod of the lab's node."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator

import pytest

from lab import installation, processes, runner
from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.operating import Resource
from lab.progress import Display


@pytest.fixture(scope="module")
def image(lab: None, display: Display, request: pytest.FixtureRequest) -> Iterator[str]:
    """The node has this image; no release and no Pod is left when the module ends."""
    running = processes.find("node") is not None
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        image = installation.prepare(display)
    installation.remove()
    yield image
    installation.remove()
    if not running:
        runner.stop("node")


@pytest.fixture(scope="module")
def installed(image: str) -> str:
    """The chart of this checkout is installed."""
    installation.install(image)
    return image


@pytest.fixture(scope="module")
def resource(image: str) -> Iterator[Resource]:
    """A resource with a topic and an index of its own."""
    mark = secrets.token_hex(3)
    topic = f"connectivity-test-{mark}"
    asyncio.run(kafka.create_topic(topic, 2))
    resource = Resource(f"deploy-{mark}", [topic], topic, spec={"intervalSeconds": 10, "timeoutSeconds": 5})
    yield resource.apply()
    if resource.get() and not installation.state():  # nobody would take its finalizer off
        resource.patch({"metadata": {"finalizers": None}})
    resource.delete()
    asyncio.run(kafka.delete_topic(topic))
    opensearch.delete_index(topic)


def the_pod() -> tuple[str, int]:
    """Name of the operator's only Pod, and how often its container has been restarted."""
    [pod] = installation.pods()
    [container] = pod["status"]["containerStatuses"]
    return pod["metadata"]["name"], container["restartCount"]
