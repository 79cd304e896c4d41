"""What all tests share: the running lab; side by side (`pytest -n 2`), one for each worker."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from lab import apart, installation, operating, operator_env, parts, paths, processes, runner
from lab.progress import Display, Lines, Silent

WORKER = os.environ.get("PYTEST_XDIST_WORKER")
"""The name of this process among several that share the tests; None: it has them all."""

STATES = pytest.StashKey[list[Path]]()
"""The state folder of each worker's lab."""

if WORKER:
    apart.loopback()


@pytest.fixture(scope="session")
def display() -> Display:
    """Shows what brings the lab up; workers would write over each other."""
    return Silent() if WORKER else Lines(sys.stderr)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest, display: Display) -> None:
    """The lab is up. It is brought up if it was not, and left up: the next run begins at once.

    LAB_PARTS (comma-separated) restricts it to some parts and what they need.
    """
    # The operator and the resources that a demo has left would mix with the tests' own.
    processes.end(operator_env.OPERATOR_PROCESS, grace=20)
    wanted = os.environ.get("LAB_PARTS")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        runner.up(parts.with_needs(wanted.split(",") if wanted else parts.BY_DEFAULT), display)
        if processes.find("kubernetes-apiserver"):
            installation.remove()
            operating.delete_resources()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the lab is marked so: `-m "not lab"` is what needs no server."""
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Each worker is started apart, with a lab of its own that ends with it. ``specs``: of execnet."""
    config.stash[STATES] = []
    for spec in specs:
        # pytest's own folder may be too long for PostgreSQL's unix socket.
        state = Path(tempfile.mkdtemp(prefix="lab-"))
        config.stash[STATES].append(state)
        spec.env["LAB_STATE"] = str(state)
        spec.python = shlex.join(apart.command([sys.executable]))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What the servers of the workers' labs said is kept if a test has failed; the rest of their state is not."""
    for number, state in enumerate(session.config.stash.get(STATES, [])):
        if session.testsfailed and (state / "logs").exists():
            shutil.copytree(state / "logs", paths.LOGS / f"worker-{number}", dirs_exist_ok=True)
        shutil.rmtree(state, ignore_errors=True)
