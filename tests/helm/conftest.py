"""The charts rendered, by two Helms, with two base charts, for every environment. No cluster."""

from __future__ import annotations

import itertools

import pytest

from tests.helm.charts import BASES, ENVIRONMENTS, HELMS, Rendered, Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("charts"))


@pytest.fixture(params=list(HELMS))
def version(request: pytest.FixtureRequest) -> str:
    """Which Helm."""
    return str(request.param)


@pytest.fixture(params=list(itertools.product(BASES, HELMS, ENVIRONMENTS)), ids=", ".join)
def release(request: pytest.FixtureRequest, workshop: Workshop) -> Rendered:
    """The contract holds for every combination: each test that takes this runs for all of them."""
    return workshop.rendered(*request.param)
