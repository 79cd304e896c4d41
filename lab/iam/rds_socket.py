"""The unix socket that PostgreSQL's PAM module asks: user and token, each ended by NUL; the answer is `ok` or `no`.

NUL cannot occur in either, because both were C strings; a line protocol would let a password with a line break
in it pretend to be another user's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from lab.iam.decisions import Account, verify_rds
from lab.iam.refusals import Refusals
from lab.iam.store import Store

MAX_QUESTION_BYTES = 128 * 1024
LIMIT_SECONDS = 5.0

_log = logging.getLogger(__name__)


class RdsSocket:
    """One question a connection."""

    def __init__(self, store: Store, refusals: Refusals) -> None:
        self._store = store
        self._refusals = refusals

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection of the PAM module."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                question = await reader.read(MAX_QUESTION_BYTES) if not reader.at_eof() else b""
                while question.count(b"\0") < 2 and len(question) < MAX_QUESTION_BYTES and not reader.at_eof():
                    question += await reader.read(MAX_QUESTION_BYTES)
                writer.write(b"ok" if self._allowed(question) else b"no")
                await writer.drain()
        except (TimeoutError, ConnectionError) as error:
            _log.warning("the PAM module went away: %r", error)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _allowed(self, question: bytes) -> bool:
        user, _, rest = question.partition(b"\0")
        token, end, _ = rest.partition(b"\0")
        if not end:
            self._refusals.record("rds", "incomplete question of the PAM module")
            return False
        account = Account(self._store.state, self._store.credentials, self._store.now())
        name = user.decode(errors="replace")
        self._store.asked["rds"] += 1
        answer = verify_rds(account, token.decode(errors="replace"), name)
        if not answer.allowed:
            self._refusals.record("rds", answer.reason, user=name, principal=answer.principal)
        return answer.allowed
