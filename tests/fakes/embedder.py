"""An embeddings API in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence

from connectivity_operator.errors import ContentRefused
from connectivity_operator.ports import Embeddings
from connectivity_operator.reasons import Reason, Service
from tests.fakes.faults import Faults


class FakeEmbedder:
    """Gives each text a vector of its own. Faults: embed."""

    def __init__(self, dimensions: int = 4) -> None:
        self.dimensions = dimensions
        self.faults = Faults()
        self.seconds = 0.0
        """How long a request takes."""
        self.refuses: Callable[[str], bool] = lambda text: False
        self.requests: list[list[str]] = []
        """Texts of every request, refused ones included."""
        self.accepted: list[str] = []
        """Every text that got a vector, in order."""
        self.most_in_flight = 0
        self._in_flight = 0

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None) -> Embeddings:
        self.requests.append(list(texts))
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
            self.faults.check("embed")
        finally:
            self._in_flight -= 1
        if any(self.refuses(text) for text in texts):
            raise ContentRefused(Service.OPENAI, Reason.INPUT_REJECTED, evidence={"model": model})
        self.accepted += texts
        return Embeddings([vector(text, self.dimensions) for text in texts], self.dimensions, sum(map(len, texts)))


def vector(text: str, dimensions: int) -> bytes:
    """Little-endian float32 bytes, different for different texts."""
    digest = hashlib.sha256(text.encode()).digest()
    return bytes(b & 0x3F for b in (digest * dimensions)[: 4 * dimensions])  # exponents that make finite numbers
