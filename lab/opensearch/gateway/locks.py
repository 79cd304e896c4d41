"""The two locks before a collection, both decided by lab-iam: signature with IAM policy, and data access policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp

from lab import world
from lab.opensearch.gateway import answers
from lab.opensearch.gateway.answers import RefusedError


class Locks:
    """A client of lab-iam's administration endpoint. Without it nothing is allowed."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._url = "http://{}:{}".format(*world.LAB_IAM_ADMIN)

    async def verify(self, method: str, raw_path: str, headers: Mapping[str, str], body_sha256: str) -> str:
        """The principal behind a signed request. Raises `RefusedError`, with the true reason for the log.

        ``headers`` have lower-case names; ``body_sha256`` is that of the body as it was sent.
        """
        request = {"method": method, "raw_path": raw_path, "headers": dict(headers), "body_sha256": body_sha256}
        answer = await self._ask("/verify", {"kind": "aoss", **request})
        if not (answer["allowed"] and answer["api_access"]):
            raise RefusedError(answers.forbidden(), answer["reason"])
        principal: str = answer["principal"]
        return principal

    async def open(self, principal: str, permission: str, indices: Iterable[str]) -> bool:
        """Whether the data access policies give the permission on every one of these indices."""
        answer = await self._ask(
            "/aoss/authorize",
            [
                {
                    "principal": principal,
                    "permission": permission,
                    "resource": f"index/{world.COLLECTION_NAME}/{index}",
                }
                for index in indices
            ],
        )
        return all(one["allowed"] for one in answer)

    async def _ask(self, path: str, question: Any) -> Any:
        try:
            async with self._session.post(self._url + path, json=question) as response:
                response.raise_for_status()
                return await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise RefusedError(answers.forbidden(), f"no answer from lab-iam: {error!r}") from error
