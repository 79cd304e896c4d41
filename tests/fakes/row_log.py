"""The table ``demo_log`` in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from connectivity_operator.errors import ContentRefused, DependencyError
from connectivity_operator.ports import Row
from connectivity_operator.reasons import Reason, Service
from tests.fakes.faults import Faults


class FakeRowLog:
    """Faults: ensure_table, insert, answer (inserted, but the answer is lost), probe."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.seconds = 0.0
        self.exists = False
        self.rows: list[Row] = []
        self.inserts: list[list[Row]] = []
        """Rows of every insert that came through."""
        self.inserted_at: list[float] = []
        """Loop time of each of them."""
        self.refuses: Callable[[Row], bool] = lambda row: False
        self.probes = 0

    async def ensure_table(self) -> None:
        self.faults.check("ensure_table")
        self.exists = True

    async def insert(self, rows: Sequence[Row]) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        self.faults.check("insert")
        if not self.exists:
            raise DependencyError(Service.POSTGRESQL, Reason.TABLE_MISMATCH)
        if any(self.refuses(row) for row in rows):
            raise ContentRefused(Service.POSTGRESQL, Reason.ROW_REJECTED)
        self.rows += rows
        self.inserts.append(list(rows))
        self.inserted_at.append(asyncio.get_running_loop().time())
        self.faults.check("answer")

    async def probe(self) -> None:
        self.probes += 1
        self.faults.check("probe")
