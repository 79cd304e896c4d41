"""An embeddings API in memory whose key can be judged."""

from __future__ import annotations

from tests.fakes.embedder import FakeEmbedder


class FakeEmbeddingsProber(FakeEmbedder):
    """Implements `ports.EmbeddingsProber`. Faults: embed, check_key, probe_key."""

    def __init__(self, dimensions: int = 4) -> None:
        super().__init__(dimensions)
        self.probed: list[str] = []
        """Models that were named when the key was probed."""

    def check_key(self) -> None:
        self.faults.check("check_key")

    async def probe_key(self, model: str) -> None:
        self.probed.append(model)
        self.faults.check("probe_key")
