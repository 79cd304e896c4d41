"""The README's figures are replaced between their markers, and nothing else is touched."""

from __future__ import annotations

import pytest

from bench import report
from bench.cli import main

DOCUMENT = "before\n<!-- lab -->\nold\n<!-- end of lab -->\nafter\n<!-- apply -->\n<!-- end of apply -->\n"


def test_figures_are_replaced_between_their_markers() -> None:
    """Backslashes in a text are no escapes."""
    changed = report.replaced(DOCUMENT, "lab", r"new \1")
    assert changed == DOCUMENT.replace("old\n", "new \\1\n")


def test_an_empty_place_is_filled() -> None:
    """As the README is written, before the first run."""
    assert "<!-- apply -->\nnew\n<!-- end of apply -->" in report.replaced(DOCUMENT, "apply", "new")


def test_figures_never_disappear_silently() -> None:
    """A marker that was renamed is an error, not a run for nothing."""
    with pytest.raises(ValueError, match="0 places"):
        report.replaced(DOCUMENT, "backlog", "new")


@pytest.mark.parametrize("name", sorted({"circumstances", *main.commands} - {"all"}))
def test_the_readme_has_a_place_for_every_benchmark(name: str) -> None:
    """Known before ten minutes of measuring, not after."""
    assert "new" in report.replaced(report.README.read_text(), name, "new")
