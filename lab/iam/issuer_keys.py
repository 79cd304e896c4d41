"""The public keys of OIDC issuers, read as STS reads them: issuer -> discovery document -> JWKS, anonymously."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import jwt

LIMIT_SECONDS = 5.0
"""AWS gives an issuer 5 seconds (re:Post, "AssumeRoleWithWebIdentity … InvalidIdentityToken")."""

LIFETIME_SECONDS = 30.0
"""How long keys are kept. An unknown key id makes them be read again earlier."""


class IssuerUnreachableError(Exception):
    """The issuer did not answer: no connection, no trusted TLS, or too slow."""


class IssuerAnswerError(Exception):
    """The issuer answered, but not with a discovery document and a key set."""


@dataclass(frozen=True)
class _Cached:
    keys: jwt.PyJWKSet
    read_at: float


class IssuerKeys:
    """Keys by issuer, with a short-lived cache.

    ``ca_files`` are trusted; they are looked for at each request, because the cluster may make its own later
    than this process starts.
    """

    def __init__(self, ca_files: Sequence[Path]) -> None:
        self._ca_files = ca_files
        self._cache: dict[str, _Cached] = {}

    def forget(self) -> None:
        """Drop the cache."""
        self._cache.clear()

    async def read(self, issuer: str, key_id: str) -> jwt.PyJWKSet:
        """The issuer's keys, from the cache if it is fresh and holds ``key_id``.

        Raises `IssuerUnreachableError`, `IssuerAnswerError`.
        """
        cached = self._cache.get(issuer)
        if cached and time.monotonic() - cached.read_at < LIFETIME_SECONDS and _has(cached.keys, key_id):
            return cached.keys
        keys = await self._fetch(issuer)
        self._cache[issuer] = _Cached(keys, time.monotonic())
        return keys

    async def _fetch(self, issuer: str) -> jwt.PyJWKSet:
        connector = aiohttp.TCPConnector(ssl=self._trust())
        try:
            async with asyncio.timeout(LIMIT_SECONDS), aiohttp.ClientSession(connector=connector) as session:
                discovery = await _get_json(session, f"{issuer}/.well-known/openid-configuration")
                if discovery.get("issuer") != issuer:
                    raise IssuerAnswerError(f"{issuer} calls itself {discovery.get('issuer')!r}")
                return jwt.PyJWKSet.from_dict(await _get_json(session, str(discovery.get("jwks_uri"))))
        except (aiohttp.ClientConnectionError, TimeoutError) as error:
            raise IssuerUnreachableError(f"{issuer}: {error!r}") from error
        except (aiohttp.ClientError, jwt.PyJWTError, ValueError) as error:
            raise IssuerAnswerError(f"{issuer}: {error!r}") from error

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for file in self._ca_files:
            if file.exists():
                context.load_verify_locations(file)
        return context


def _has(keys: jwt.PyJWKSet, key_id: str) -> bool:
    return any(k.key_id == key_id for k in keys.keys)


async def _get_json(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as response:
        response.raise_for_status()
        document = json.loads(await response.text())  # Kubernetes says application/jwk-set+json
        if not isinstance(document, dict):
            raise IssuerAnswerError(f"{url} is not a JSON object")
        return document
