"""What is done with the table ``demo_log`` over one open connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

import asyncpg

from connectivity_operator.adapters.postgresql import failures, table
from connectivity_operator.adapters.postgresql.failures import Stage
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Row
from connectivity_operator.reasons import Reason, Service

_RACES = (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError)
"""What the slower of two creators gets, depending on how far both had come."""


class DemoLog:
    """The table as one connection sees it. ``explained`` turns asyncpg's failures into ours."""

    def __init__(self, connection: Any, explained: Callable[[Stage, Exception], DependencyError]) -> None:
        self._connection = connection
        self._explained = explained

    async def begin(self) -> None:
        """Start a transaction for a probe: whatever it makes is gone when the connection is closed."""
        try:
            await self._connection.transaction().start()
        except failures.TRANSLATED as error:
            raise self._failure(Stage.LOOK, error) from error

    async def ensure(self) -> None:
        """Look for the table, create it only if it is absent, and check that it can take our rows."""
        if not (columns := await self._columns()):
            await self._create()
            columns = await self._columns()
        wrong = table.mismatch(columns) if columns else table.Mismatch("", "it was dropped again at once")
        if wrong:
            evidence = {"column": wrong.column, "detail": wrong.detail}
            raise DependencyError(Service.POSTGRESQL, Reason.TABLE_MISMATCH, evidence=evidence)

    async def insert(self, rows: Sequence[Row]) -> None:
        """All rows in one statement, which is its own transaction."""
        values = [list(column) for column in zip(*map(astuple, rows), strict=True)]
        try:
            try:
                await self._connection.execute(table.INSERT, *values)
            except asyncpg.UndefinedTableError:
                # Dropped under our hands: it is made anew, as at the beginning.
                await self.ensure()
                await self._connection.execute(table.INSERT, *values)
        except failures.TRANSLATED as error:
            raise self._failure(Stage.INSERT, error) from error

    async def insert_and_roll_back(self) -> None:
        """One row that never becomes visible. It uses up one id: sequences are not rolled back."""
        try:
            transaction = self._connection.transaction()
            await transaction.start()
            await self._connection.execute(table.PROBE)
            await transaction.rollback()
        except failures.TRANSLATED as error:
            # The connection is closed by its owner, and with it the transaction is rolled back.
            raise self._failure(Stage.INSERT, error) from error

    def _failure(self, stage: Stage, error: Exception) -> DependencyError:
        failure = self._explained(stage, error)
        if failure.reason is Reason.READ_ONLY_DATABASE:
            # The server reports it to every client at the login and whenever it changes (PostgreSQL 14 and newer).
            standby = getattr(self._connection.get_settings(), "in_hot_standby", None)
            failure.evidence |= {"cause": "replica" if standby == "on" else "setting"} if standby else {}
        return failure

    async def _columns(self) -> list[table.Column]:
        """Empty when there is no such table."""
        try:
            return [table.Column(*record) for record in await self._connection.fetch(table.LOOK)]
        except failures.TRANSLATED as error:
            raise self._failure(Stage.LOOK, error) from error

    async def _create(self) -> None:
        try:
            # Within a probe's transaction this is a savepoint: losing the race must not end that transaction.
            async with self._connection.transaction():
                await self._connection.execute(table.CREATE)
        except _RACES:
            pass
        except failures.TRANSLATED as error:
            raise self._failure(Stage.CREATE, error) from error
