"""Waits for what is being started: by asking it, never by sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.part import NotReady

PAUSE = 0.1


def until_ready(ask: Callable[[], None], *, limit: float) -> None:
    """Call ``ask`` until it no longer raises `NotReady`; raise the last one after ``limit`` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            ask()
        except NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return
