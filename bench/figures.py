"""Numbers for people: medians with their range, ratios, Markdown tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The median of some rounds and how far they lie apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Raises `ValueError` without a value."""
        found = sorted(values)
        if not found:
            raise ValueError("no round was measured")
        return cls(median(found), found[0], found[-1])

    def show(self, digits: int = 0) -> str:
        """``1,234 (1,100–1,300)``; the range is left out where it would say the same."""
        middle, least, most = (f"{value:,.{digits}f}" for value in (self.median, self.least, self.most))
        return middle if least == most else f"{middle} ({least}–{most})"


def times(value: Spread, of: Spread) -> str:
    """The ratio of two medians to two digits or to the next integer: ``0.42``, ``3.1``, ``57``."""
    ratio = value.median / of.median
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; every column but the first holds numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
