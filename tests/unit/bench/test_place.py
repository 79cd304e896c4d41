"""Contenders get the same messages."""

from __future__ import annotations

from bench.place import messages


def test_messages_are_distinct_texts_of_the_size_asked_for() -> None:
    """An embeddings server that remembers answers would flatter everyone."""
    made = messages(300, 500)
    assert {len(message) for message in made} == {500}
    assert len(set(made)) == 300
    assert made[0].decode().isprintable()


def test_messages_are_the_same_in_every_round() -> None:
    """A contender with fewer messages gets the first ones of the others."""
    assert messages(20, 64)[:10] == messages(10, 64)
