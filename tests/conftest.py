"""What all tests share: the running lab."""

from __future__ import annotations

import os
import sys

import pytest

from lab import installation, operator_env, parts, processes, runner
from lab.progress import Lines


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> None:
    """The lab is up. It is brought up if it was not, and left up: the next run begins at once.

    LAB_PARTS (comma-separated) restricts it to some parts and what they need.
    """
    # The operator that a demo has left running would look after the tests' resources, too.
    processes.end(operator_env.OPERATOR_PROCESS, grace=20)
    wanted = os.environ.get("LAB_PARTS")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        runner.up(parts.with_needs(wanted.split(",") if wanted else parts.BY_DEFAULT), Lines(sys.stderr))
        if processes.find("kubernetes-apiserver"):
            installation.remove()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the lab is marked so: `-m "not lab"` is what needs no server."""
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)
