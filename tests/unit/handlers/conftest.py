"""Daemons run in virtual time: back-offs of minutes take milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from tests.fakes.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """For the tests of this folder only."""
    return {"virtual-time": VirtualTimeLoop}
