"""The row log: a small pool for inserts, and fresh connections for probes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from connectivity_operator.adapters.postgresql import failures
from connectivity_operator.adapters.postgresql.demo_log import DemoLog
from connectivity_operator.adapters.postgresql.failures import Situation, Stage
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import PostgreSQLProbe, Row
from connectivity_operator.reasons import Reason

CONNECT_LIMIT = 8.0
"""Seconds for a login, from the name's lookup on."""
STATEMENT_LIMIT = 10.0
"""Seconds for one statement; asyncpg then cancels it in the server too."""
RELEASE_LIMIT = 5.0
"""Seconds for giving a connection back; one that does not answer is dropped."""
POOL_SIZE = 4

_STALE = frozenset({Reason.READ_ONLY_DATABASE, Reason.DATABASE_STARTING})
"""After a failover open connections lead to the wrong server: all are renewed, by name."""


class PostgresRowLog:
    """Implements `ports.RowLog` and `ports.PostgreSQLProber`.

    ``password`` is asked at every login: for an IAM token (``iam``), or for a fixed password. ``context`` verifies
    chain and name; None speaks no TLS at all.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        database: str,
        user: str,
        password: Callable[[], Awaitable[str]],
        context: ssl.SSLContext | None,
        iam: bool = True,
        connect_limit: float = CONNECT_LIMIT,
        statement_limit: float = STATEMENT_LIMIT,
    ) -> None:
        self._facts = {"host": host, "port": str(port), "database": database, "user": user}
        self._iam = iam
        self._connect_limit, self._statement_limit = connect_limit, statement_limit
        self._login: dict[str, Any] = {
            "host": host,
            "port": port,
            "database": database,
            "user": user,
            "password": password,
            # Never left to asyncpg: its default falls back to plain text, and hides the real refusal behind it.
            "ssl": context or False,
            "timeout": connect_limit,
            "command_timeout": statement_limit,
            # A cached plan outlives the table that it was made for, and RDS Proxy pins sessions that have one.
            "statement_cache_size": 0,
            "server_settings": {"application_name": "connectivity-operator"},
        }
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def ensure_table(self) -> None:
        async with self._demo_log() as demo_log:
            await demo_log.ensure()

    async def insert(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        async with self._demo_log() as demo_log:
            await demo_log.insert(rows)

    async def probe(self) -> None:
        probe = await self.connect()
        try:
            await probe.check_table()
            await probe.insert()
        finally:
            await probe.close()

    async def connect(self) -> PostgreSQLProbe:
        """A fresh connection for one probe; the caller closes it."""
        try:
            connection = await asyncpg.connect(**self._login)
        except failures.TRANSLATED as error:
            raise self._explained(Stage.CONNECT, error) from error
        return _Probe(connection, DemoLog(connection, self._explained))

    async def close(self) -> None:
        """End all connections, the busy ones after a moment."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(RELEASE_LIMIT):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────
    @asynccontextmanager
    async def _demo_log(self) -> AsyncIterator[DemoLog]:
        """The table over a connection of the pool, for as long as the block lasts."""
        pool = await self._opened()
        try:
            # The limit holds for waiting for a free one as well: a database that hangs keeps all of them busy.
            connection = await pool.acquire(timeout=self._connect_limit + self._statement_limit)
        except failures.TRANSLATED as error:
            raise self._explained(Stage.CONNECT, error) from error
        try:
            yield DemoLog(connection, self._explained)
        except DependencyError as failure:
            if failure.reason in _STALE:
                await pool.expire_connections()
            raise
        finally:
            await _give_back(pool, connection)

    async def _opened(self) -> Any:
        async with self._opening:
            if self._pool is None:
                pool = asyncpg.create_pool(min_size=0, max_size=POOL_SIZE, reset=_nothing_to_reset, **self._login)
                self._pool = await pool
            return self._pool

    def _explained(self, stage: Stage, error: Exception) -> DependencyError:
        limit = self._connect_limit if stage is Stage.CONNECT else self._statement_limit
        return failures.explain(error, Situation(stage, self._iam, limit, self._facts))


async def _give_back(pool: Any, connection: Any) -> None:
    """Never fails what was done with the connection: the pool drops one that is broken before it raises."""
    with suppress(*failures.TRANSLATED):
        await pool.release(connection, timeout=RELEASE_LIMIT)


async def _nothing_to_reset(_: Any) -> None:
    """Spares a question to the server after each insert: we change nothing of a session."""


class _Probe:
    """Implements `ports.PostgreSQLProbe`."""

    def __init__(self, connection: Any, demo_log: DemoLog) -> None:
        self._connection = connection
        self._demo_log = demo_log

    async def check_table(self) -> None:
        # Never committed: a table that was absent has been proven to be creatable, and is absent again.
        await self._demo_log.begin()
        await self._demo_log.ensure()

    async def insert(self) -> None:
        await self._demo_log.insert_and_roll_back()

    async def close(self) -> None:
        try:
            await self._connection.close(timeout=RELEASE_LIMIT)
        except failures.TRANSLATED:
            self._connection.terminate()
