"""Tasks that belong to a life: none ends unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence


async def noticed(work: Callable[[], Awaitable[None]]) -> None:
    """``work``; a cancellation that nobody asked for, as client libraries leak them, is a fault like any other.

    A task group takes one for an end in order, and would go on without that task.
    """
    try:
        await work()
    except asyncio.CancelledError as stray:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("cancelled from inside") from stray


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel ``tasks`` and wait for them."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
