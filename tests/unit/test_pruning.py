"""What an API server with an older CRD has dropped is seen in its answer."""

from __future__ import annotations

import pytest

from connectivity_operator.pruning import lost


@pytest.mark.parametrize(
    ("sent", "kept", "dropped"),
    [
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}, set()),
        ({"a": 1}, {"a": 1, "added": 2}, set()),
        ({"a": 1, "b": [{"c": 2}]}, {"a": 1}, {"status.b"}),
        ({"b": {"c": 2, "d": 3}}, {"b": {"d": 3}}, {"status.b.c"}),
        ({"b": [{"c": 2}, {"c": 3, "d": 4}]}, {"b": [{"c": 2}, {"d": 4}]}, {"status.b.c"}),
        ({"a": None}, {}, set()),
        ({"a": "text"}, {"a": "text"}, set()),
    ],
)
def test_the_outermost_lost_field_is_named(sent: object, kept: object, dropped: set[str]) -> None:
    """Defaults that a server adds are no loss, and neither is a null, which says that there is nothing."""
    assert lost(sent, kept, "status") == dropped
