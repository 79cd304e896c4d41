"""Pipelines run in virtual time: outages of minutes take milliseconds."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping

import pytest
import structlog

from connectivity_operator import logs
from tests.fakes.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For the tests of this folder only."""
    return {"virtual-time": VirtualTimeLoop}


@pytest.fixture(autouse=True)
def lines() -> Iterator[io.StringIO]:
    """The log, as the program would write it."""
    stream = io.StringIO()
    logs.configure(stream=stream)
    yield stream
    structlog.reset_defaults()
