"""Draws how a class's points are distributed: places and sizes for a template's SVG. Knows no colour and no font."""

from __future__ import annotations

from dataclasses import dataclass

from autograder.class_statistics import BARS, Distribution

WIDTH, TOP, BOTTOM = 330, 16, 112
SLOT, GAP, BEFORE_FULL_MARKS = 29, 3, 8


@dataclass(frozen=True)
class Bar:
    """One bar, in SVG's units. `label` says which points it counts."""

    x: int
    y: float
    width: int
    height: float
    count: int
    label: str


def histogram(distribution: Distribution) -> tuple[Bar, ...]:
    """A bar for each tenth of the points, and one at the right for full marks.

    >>> from autograder.class_statistics import Distribution
    >>> bars = histogram(Distribution("04_attention", (1,) + (0,) * 9 + (2,), 3, 20.0, 30.0, 30))
    >>> bars[0].label, bars[0].height, bars[10].label, bars[10].height
    ('0 to 9 %', 48.0, '100 %', 96.0)
    """
    highest = max(*distribution.counts, 1)
    return tuple(_bar(at, count, highest) for at, count in enumerate(distribution.counts))


def _bar(at: int, count: int, highest: int) -> Bar:
    height = round((BOTTOM - TOP) * count / highest, 1)
    full = at == BARS
    low = at * 100 // BARS
    label = "100 %" if full else f"{low} to {low + 100 // BARS - 1} %"
    return Bar(
        at * SLOT + (BEFORE_FULL_MARKS if full else 0), round(BOTTOM - height, 1), SLOT - GAP, height, count, label
    )
