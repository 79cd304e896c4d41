"""The drawings of the page: a ladder as a row of signs, a rung's time as a bar. SVG, coloured by the page's style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from connectivity_operator.diagnosis.ladder import RungOutcome
from connectivity_operator.reasons import Result
from connectivity_operator.reports.tree import tag

STEP, RADIUS, MIDDLE = 30, 10, 13
"""Units of the drawing: from sign to sign, of a sign, and down to the wire."""
SHORTEST = 0.8
"""Per cent of the width that the shortest time is drawn with, so that it can be seen."""

_SIGNS = {
    Result.PASSED: "M-4.5 0.5 L-1.5 3.5 L4.5 -3.5",
    Result.WARNED: "M0 -5 L0 1.2 M0 4.8 L0 5",
    Result.FAILED: "M-3.5 -3.5 L3.5 3.5 M3.5 -3.5 L-3.5 3.5",
    Result.SKIPPED: "M-3 0 L3 0",
}


def ladder(outcomes: Sequence[RungOutcome], classes: Mapping[Result, str]) -> ET.Element:
    """The rungs from left to right, each with its result."""
    width = STEP * len(outcomes)
    wire = tag("line", {"class": "wire"}, x1="13", y1=str(MIDDLE), x2=str(width - 17), y2=str(MIDDLE))
    said = ", ".join(f"{outcome.rung} {outcome.result.lower()}" for outcome in outcomes)
    return tag(
        "svg",
        tag("title", said),
        wire,
        *(_sign(number, outcome, classes[outcome.result]) for number, outcome in enumerate(outcomes)),
        {"viewBox": f"0 0 {width} {2 * MIDDLE}", "preserveAspectRatio": "xMinYMid meet"},
        role="img",
    )


def _sign(number: int, outcome: RungOutcome, style: str) -> ET.Element:
    backed = [] if outcome.result is not Result.SKIPPED else [tag("circle", {"class": "back"}, r=str(RADIUS))]
    return tag(
        "g",
        tag("title", f"{outcome.rung}: {outcome.result}"),
        *backed,
        tag("circle", {"class": style}, r=str(RADIUS)),
        tag(
            "path", {"class": f"sign {style}" if outcome.result is Result.SKIPPED else "sign"}, d=_SIGNS[outcome.result]
        ),
        transform=f"translate({MIDDLE + STEP * number} {MIDDLE})",
    )


def bar(begin: float, seconds: float, longest: float, style: str) -> ET.Element:
    """When a rung was climbed, on a scale of ``longest`` seconds that all ladders share."""
    scale = 100 / longest if longest else 0.0
    width = max(seconds * scale, SHORTEST)
    left = min(begin * scale, 100 - width)
    return tag(
        "svg",
        tag("rect", {"class": "track"}, width="100", height="10", rx="1"),
        tag("rect", {"class": style}, x=f"{left:.2f}", width=f"{width:.2f}", height="10"),
        {"viewBox": "0 0 100 10", "preserveAspectRatio": "none", "aria-hidden": "true"},
    )
