"""The operator under test, and resources with topics and indices of their own."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.kafka import admin as kafka
from lab.opensearch import admin as opensearch
from lab.operating import NAMESPACE, Operator, Resource

MakeResource = Callable[..., Resource]


@pytest.fixture(scope="module")
def operator(lab: None) -> Iterator[Operator]:
    """A running operator; a test may kill and start it as it likes, it runs again for the next module."""
    operator = Operator()
    operator.stop()
    operator.start()
    yield operator
    operator.stop()


@pytest.fixture
def make_resource(operator: Operator) -> Iterator[MakeResource]:
    """Makes a resource with fresh topics (``partitions`` each) and a fresh index; everything goes afterwards."""
    made: list[Resource] = []

    def make(
        *, topics: int = 1, partitions: int = 2, apply: bool = True, namespace: str = NAMESPACE, **spec: Any
    ) -> Resource:
        mark = secrets.token_hex(3)
        names = [f"connectivity-test-{mark}-{n}" for n in range(topics)]
        for name in names:
            asyncio.run(kafka.create_topic(name, partitions))
        settings = {"intervalSeconds": 10, "timeoutSeconds": 5, **spec}
        resource = Resource(f"e2e-{mark}", names, f"connectivity-test-{mark}", namespace, settings)
        made.append(resource)
        return resource.apply() if apply else resource

    yield make
    if not operator.running:
        operator.start()
    for resource in made:
        resource.delete()
        for topic in resource.topics:
            asyncio.run(kafka.delete_topic(topic))
        opensearch.delete_index(resource.index)
