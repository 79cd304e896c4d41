"""Medians, ratios and tables say what was measured, and no more digits than it bears."""

from __future__ import annotations

import pytest

from bench.figures import Spread, table, times


def test_the_median_is_shown_with_the_range() -> None:
    """One odd round does not move the figure, and is not hidden either."""
    assert Spread.of([1300.0, 1100.0, 9000.0]).show() == "1,300 (1,100–9,000)"


def test_a_range_that_says_nothing_is_left_out() -> None:
    """One round, or rounds that are the same to the digits shown."""
    assert Spread.of([2.04, 2.01]).show(1) == "2.0"


def test_no_round_is_no_figure() -> None:
    """All void: there is nothing to publish."""
    with pytest.raises(ValueError, match="no round"):
        Spread.of([])


@pytest.mark.parametrize(("value", "text"), [(0.424, "0.42"), (3.14, "3.1"), (57.4, "57"), (1234.0, "1,234")])
def test_ratios_have_two_digits_or_none_behind_the_point(value: float, text: str) -> None:
    assert times(Spread.of([2 * value]), Spread.of([2.0])) == text


def test_a_table_is_markdown() -> None:
    """Text to the left, numbers to the right."""
    assert table(["", "seconds"], [("a", 1), ("b", 2)]) == (
        "|  | seconds |\n| --- | ---: |\n| a | 1 |\n| b | 2 |"
    )  # fmt: skip
