"""A database's probe connections by hand, and a server that knows of PostgreSQL only how TLS begins."""

from __future__ import annotations

import asyncio
import ssl

from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import PostgreSQLProbe
from tests.fakes.peers import Behaviour


class FakeDatabase:
    """Implements `ports.PostgreSQLProber` and its probe. ``failures`` are raised by the step of that name."""

    def __init__(self) -> None:
        self.failures: dict[str, DependencyError] = {}
        self.steps: list[str] = []

    async def connect(self) -> PostgreSQLProbe:
        self._step("connect")
        return self

    async def check_table(self) -> None:
        self._step("check_table")

    async def insert(self) -> None:
        self._step("insert")

    async def close(self) -> None:
        self._step("close")

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if failure := self.failures.get(name):
            raise failure


def tls_server(context: ssl.SSLContext) -> Behaviour:
    """Agrees to TLS when asked, shakes hands, and waits for the client to go."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(8):
            writer.write(b"S")
            await writer.drain()
            await writer.start_tls(context)
            await reader.read(1)

    return behave
