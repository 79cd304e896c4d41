"""The embedding server as a part of the lab."""

from __future__ import annotations

import sys

from lab import certificates, operator_env, paths, processes, world
from lab.openai import API_KEY
from lab.part import NotReady
from lab.waiting import status_over_tls


class OpenAI:
    """`/v1/embeddings`."""

    name = "openai"
    needs: tuple[str, ...] = ()

    def prepare(self) -> None:
        """The model comes with a Python package; there is nothing to fetch or build."""

    def start(self) -> None:
        """Start the process."""
        chain, key = certificates.issue("openai", hosts=[world.OPENAI[0]])
        processes.spawn(
            self.name,
            [sys.executable, "-m", "lab.openai.server", f"--certificate={chain.resolve()}", f"--key={key.resolve()}"],
            cwd=paths.ROOT,
        )

    def ready(self) -> None:
        """The API answers over TLS, as its own or with a refusal of the key; the model is loaded before it listens."""
        processes.check(self.name)
        try:
            status = status_over_tls(
                world.OPENAI[1], "/v1/models", headers={"Authorization": f"Bearer {API_KEY}"}, limit=5.0
            )
        except OSError as error:
            raise NotReady(f"the embedding server does not answer yet: {error}") from error
        if status not in (200, 401):
            raise NotReady(f"the embedding server answers {status}")

    def seed(self) -> None:
        """The operator's copy of the key."""
        operator_env.write_openai_key()

    def stop(self) -> None:
        """Terminating the process is enough."""
