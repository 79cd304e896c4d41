"""The real, small model: static word vectors of the package `wordllama` (256 dimensions), stretched to OpenAI's.

Near texts get near vectors, as they do at OpenAI; the vectors themselves are of course not OpenAI's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import wordllama
from numpy.typing import NDArray

from lab.openai.models import Model
from lab.openai.validation import Input

Vectors = NDArray[np.float32]


class Embedder:
    """Loaded once; safe to use from one thread at a time."""

    def __init__(self) -> None:
        # The default looks for the tokenizer in a folder that the wheel does not have, and then on the network.
        folder = Path(wordllama.__file__).parent
        loaded: Any = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
        self._words: Vectors = loaded.embedding
        self._tokenizer = loaded.tokenizer
        self._tokenizer.no_padding()
        self._projections: dict[str, Vectors] = {}

    def tokenize(self, inputs: Sequence[Input]) -> list[list[int]]:
        """Token ids of each input. The counts are near OpenAI's, not equal: its tokenizer is another."""
        texts = [one for one in inputs if isinstance(one, str)]
        encoded = iter(self._tokenizer.encode_batch(texts, add_special_tokens=False))
        return [next(encoded).ids if isinstance(one, str) else list(one) for one in inputs]

    def embed(self, tokens: Sequence[Sequence[int]], model: Model, dimensions: int) -> Vectors:
        """One unit vector of that many dimensions for each input."""
        vocabulary = len(self._words)
        means = np.stack([self._words[np.asarray(ids) % vocabulary].mean(axis=0) for ids in tokens])
        vectors = means @ self._projection(model)[:, :dimensions]
        return unit(vectors)

    def _projection(self, model: Model) -> Vectors:
        """A rotation into the model's space, its own for each model: vectors of two models are not comparable.

        It keeps lengths and angles, and every prefix of it nearly does: a shortened vector still means the same.
        """
        if model.name not in self._projections:
            seed = int.from_bytes(hashlib.sha256(model.name.encode()).digest()[:8])
            gaussian = np.random.default_rng(seed).standard_normal((model.dimensions, self._words.shape[1]))
            self._projections[model.name] = np.linalg.qr(gaussian)[0].T.astype(np.float32)
        return self._projections[model.name]


def unit(vectors: Vectors) -> Vectors:
    """Each row divided by its length; a row of zeros becomes the first axis, for every vector has a direction."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.where(lengths > 0, vectors, np.eye(1, vectors.shape[1], dtype=np.float32))
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
