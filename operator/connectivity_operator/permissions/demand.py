"""For what privileges are asked: the topics and indices in use, and what is to be done beyond reading and writing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """Names may hold ``*``. None of them known: placeholders stand for them."""

    source: str
    """Where they come from, for people."""
    topics: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    create: bool = False
    """The operator itself creates an absent index and an absent table."""
    send: bool = False
    """`connectivity-operator send` is used."""

    @property
    def named_topics(self) -> tuple[str, ...]:
        return self.topics or ("<topic>",)

    @property
    def named_indices(self) -> tuple[str, ...]:
        return self.indices or ("<index>",)
