"""The shared AWS identity: one credential chain, refreshed off the event loop, once for all who wait.

Everything that can block (STS, the Pod Identity agent, files, a client's construction) runs in threads of its own.
Credentials are renewed from 15 minutes before their end on; while the old ones are good for more than two minutes,
nobody waits for the renewal and its failure is only remembered.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from botocore.credentials import RefreshableCredentials

from connectivity_operator import trust
from connectivity_operator.adapters.aws import failures, tokens, web_identity
from connectivity_operator.adapters.aws.session import Session
from connectivity_operator.adapters.aws.tokens import Frozen
from connectivity_operator.errors import DependencyError
from connectivity_operator.ports import Caller
from connectivity_operator.reasons import Reason

RENEW_BEFORE = 15 * 60
"""Seconds before their end from which credentials are renewed (botocore's own advisory time)."""

MARGIN = 120
"""Seconds; credentials that end sooner and cannot be renewed are a failure."""

RETRY_AFTER = 5.0
"""Seconds between two attempts to renew credentials that have not expired."""

TOKEN_MARGIN = 60
"""Seconds before its end from which an MSK token is not handed out any more."""

METHODS = {
    "assume-role-with-web-identity": "WebIdentity",
    "container-role": "PodIdentity",
    "env": "Static",
    "shared-credentials-file": "Static",
    "config-file": "Static",
    "iam-role": "NodeRole",
}
"""botocore's names of its providers -> ours; the others keep theirs."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Held:
    """Credentials in use, and botocore's object that can renew them."""

    frozen: Frozen
    source: Any

    def ends_within(self, seconds: int) -> bool:
        """False for credentials without an end."""
        return isinstance(self.source, RefreshableCredentials) and bool(self.source.refresh_needed(seconds))


class AwsIdentity:
    """Implements `ports.Identity`. ``ca_files`` are trusted beside the system's (`trust`)."""

    def __init__(self, *, region: str | None, ca_files: tuple[Path | None, ...] = ()) -> None:
        self._trusted = partial(trust.bundle, *ca_files)
        self._unusable = partial(trust.unusable, trust.context(*ca_files))
        self._open_session = partial(Session, region, self._trusted())
        self._session = self._open_session()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="aws")
        self._held: _Held | None = None
        self._failure: DependencyError | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._attempted = float("-inf")
        self._sts: tuple[str, Any] = ("", None)
        """(access key, client that signs by it)."""
        self._msk = ("", "", 0)
        """(access key, token made with it, its end in milliseconds since the epoch)."""

    async def ensure_credentials(self) -> str:
        await self._renew_if_due(wait=True)
        if self._failure and (self._held is None or self._held.ends_within(MARGIN)):
            raise self._failure
        self._current()
        return self._method()

    def refresh_failure(self) -> DependencyError | None:
        return self._failure

    def endpoint(self) -> str:
        return self._session.endpoint

    async def credentials(self) -> Frozen:
        """Unexpired credentials, frozen. Waits for a renewal only when the present ones are about to end."""
        await self._renew_if_due(wait=self._held is None or self._held.ends_within(MARGIN))
        return self._current()

    async def caller(self) -> Caller:
        credentials = await self.credentials()
        try:
            answer = await self._in_thread(lambda: self._sts_client(credentials).get_caller_identity())
        except DependencyError as failure:
            if failure.reason is Reason.CREDENTIALS_EXPIRED:
                # They ended before their time; a new session asks for new ones at the next call.
                self._held, self._session = None, self._open_session()
            if failure.reason is Reason.CREDENTIALS_REJECTED and _lacks_token(credentials):
                raise failures.failed(failure.reason, {**failure.evidence, "cause": "session token"}) from failure
            raise
        return Caller(answer["Arn"], self._method(), self._session.skew or 0.0, self._session.endpoint)

    async def msk_token(self) -> tuple[str, int]:
        """(token, its end in milliseconds since the epoch). Shared until a minute before its end."""
        credentials, region = await self.credentials(), self._region()
        key, token, expires = self._msk
        if key != credentials.access_key or expires / 1000 - time.time() < TOKEN_MARGIN:
            token, expires = await self._in_thread(lambda: tokens.msk(credentials, region))
            self._msk = (credentials.access_key, token, expires)
        return token, expires

    async def rds_token(self, host: str, port: int, user: str) -> str:
        """A password for one login of ``user`` at exactly this host and port, good for 15 minutes."""
        return tokens.rds(await self.credentials(), self._region(), host=host, port=port, user=user)

    async def close(self) -> None:
        """Drop a renewal under way; threads that wait for the network end with it, nobody waits for them."""
        if self._renewing:
            self._renewing.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ── renewal ──────────────────────────────────────────────────────────────────────────────────────
    async def _renew_if_due(self, *, wait: bool) -> None:
        """Start a renewal if it is time (or join the one under way); ``wait`` for its end."""
        running = self._renewing is not None and not self._renewing.done()
        if not running:
            if not self._due():
                return
            self._attempted = time.monotonic()
            self._renewing = asyncio.create_task(self._renew(), name="renew AWS credentials")
        if wait and self._renewing:
            # One who gives up waiting must not end it for the others.
            await asyncio.shield(self._renewing)

    def _due(self) -> bool:
        if self._held is None or self._held.ends_within(0):
            return True
        return self._held.ends_within(RENEW_BEFORE) and time.monotonic() - self._attempted >= RETRY_AFTER

    async def _renew(self) -> None:
        """Never raises but on cancellation: the outcome is what is held, and the failure that is remembered."""
        try:
            self._held = await self._in_thread(self._load)
            self._failure = None
        except DependencyError as failure:
            self._failure = failure

    def _load(self) -> _Held:
        """In a thread: find the provider, and let it renew if it must."""
        source: Any = self._session.botocore.get_credentials()
        if source is None:
            variables = (web_identity.TOKEN_FILE_VARIABLE, web_identity.ROLE_VARIABLE)
            missing = next((name for name in variables if name not in os.environ), variables[0])
            raise failures.failed(Reason.NO_CREDENTIALS, {"variable": missing})
        if isinstance(source, RefreshableCredentials):
            # Otherwise botocore swallows failures, and their cause, until ten minutes before the end.
            renewable: Any = source
            renewable._mandatory_refresh_timeout = RENEW_BEFORE  # noqa: SLF001
        keys: Any = source.get_frozen_credentials()
        return _Held(Frozen(keys.access_key, keys.secret_key, keys.token), source)

    def _current(self) -> Frozen:
        if self._held is None or self._held.ends_within(0):
            raise self._failure or failures.failed(Reason.CREDENTIALS_EXPIRED)
        return self._held.frozen

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────
    def _method(self) -> str:
        name = str(self._held.source.method) if self._held else ""
        return METHODS.get(name, name)

    def _region(self) -> str:
        region = self._session.region
        if not region:
            raise failures.failed(Reason.NOT_CONFIGURED, {"variable": "AWS_REGION"})
        return region

    def _sts_client(self, credentials: Frozen) -> Any:
        """A client that signs by just these: with the session's own it would renew them inside a call."""
        if self._sts[0] != credentials.access_key:
            client: Any = self._session.botocore.create_client(
                "sts",
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                aws_session_token=credentials.token,
            )
            self._sts = (credentials.access_key, client)
        return self._sts[1]

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        """Run ``work`` off the loop; what it raises comes out as a `DependencyError` of the identity."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._explained, work)

    def _explained(self, work: Callable[[], _T]) -> _T:
        try:
            self._trusted()  # up to date: botocore reads the file at each of its connections
            return work()
        except failures.TRANSLATED as error:
            facts = web_identity.evidence(os.environ)
            if region := self._session.region:
                facts["region"] = region
            raise failures.explain(error, failures.Situation(facts, self._session.skew, self._unusable())) from error


def _lacks_token(credentials: Frozen) -> bool:
    """Temporary keys begin with ASIA (IAM's guide, "IAM identifiers") and are good only with their token."""
    return credentials.access_key.startswith("ASIA") and not credentials.token
