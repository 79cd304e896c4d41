"""What an API server did not keep of what it was sent: it silently drops the fields that its CRD does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard


def lost(sent: object, kept: object, path: str) -> frozenset[str]:
    """Paths of the fields that are in ``sent`` and not in ``kept``, the outermost ones; lists count as one."""
    if isinstance(sent, Mapping) and isinstance(kept, Mapping):
        missing = {f"{path}.{key}" for key, value in sent.items() if value is not None and key not in kept}
        return frozenset(missing).union(*(lost(sent[key], kept[key], f"{path}.{key}") for key in sent if key in kept))
    if _is_list(sent) and _is_list(kept):
        return frozenset().union(*(lost(one, other, path) for one, other in zip(sent, kept, strict=False)))
    return frozenset()


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
