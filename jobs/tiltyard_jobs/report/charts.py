"""Geometry of the charts: numbers only; the template draws them.

Horizontal places are percentages of the chart's width, so that a chart fits a phone and a wide screen while its text
keeps its size. Vertical ones are pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tiltyard_jobs.report.formats import compact, points

BAR_HEIGHT = 96
"""Pixels of the tallest bar."""
_TICKS = 5  # about so many; a phone shows the label of every other one
_LEAST_SPAN = 10.0  # points: ticks are whole numbers
_MARGIN = 0.06  # of an axis, left and right of its outermost value


class Tick(NamedTuple):
    """A labelled place on an axis, in percent."""

    place: float
    label: str


class Axis(NamedTuple):
    """A horizontal scale from `low` to `high`."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    @classmethod
    def over(cls, values: Iterable[float | None]) -> Axis:
        """A scale that shows these values; those that are None or not finite are left out."""
        shown = [value for value in values if value is not None and math.isfinite(value)]
        low, high = min(shown, default=0.0), max(shown, default=0.0)
        middle, half = low / 2 + high / 2, max(high - low, _LEAST_SPAN) * (0.5 + _MARGIN)
        bare = cls(middle - half, middle + half, ())
        if not math.isfinite(bare.high - bare.low) or bare.high - bare.low <= 0:
            return cls(0.0, 1.0, ())
        step = _step(bare.high - bare.low)
        first = math.ceil(bare.low / step)
        numbers = (step * (first + place) for place in range(2 * _TICKS + 1))
        return bare._replace(
            ticks=tuple(Tick(bare.place(number), points(number)) for number in numbers if number <= bare.high)
        )

    def place(self, value: float) -> float:
        """Where the value is, in percent, within the chart."""
        return round(100 * min(max((value - self.low) / (self.high - self.low), 0.0), 1.0), 2)


def _step(span: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that gives no more than about `_TICKS` ticks."""
    least = span / _TICKS
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


class Whisker(NamedTuple):
    """A value and its interval, in percent; the interval is None where it is not known."""

    middle: float
    low: float | None
    high: float | None

    @classmethod
    def on(cls, axis: Axis, middle: float | None, low: float | None, high: float | None) -> Whisker | None:
        """The mark of these values; None without a middle."""
        if middle is None:
            return None
        if low is None or high is None:
            return cls(axis.place(middle), None, None)
        return cls(axis.place(middle), axis.place(low), axis.place(high))


class Bar(NamedTuple):
    """One bar of a histogram: its place in percent, its height and the height of its filled part in pixels."""

    left: float
    width: float
    middle: float
    height: float
    filled: float
    label: str
    number: str


class Histogram(NamedTuple):
    """Bars side by side, and what they say in words for those who cannot see them."""

    bars: tuple[Bar, ...]
    words: str


def histogram(labels: Sequence[str], totals: Sequence[int], filled: Sequence[int], *, what: str) -> Histogram:
    """A histogram of `totals` in which a part of each bar is filled.

    Args:
        labels: below the bars.
        totals: a bar's height.
        filled: the part that stands out, at most the total.
        what: what the words begin with.
    """
    most = max((*totals, 1))
    width = 100 / max(len(totals), 1)
    bars = []
    for place, (label, total, part) in enumerate(zip(labels, totals, filled, strict=True)):
        bars.append(
            Bar(
                left=round((place + 0.1) * width, 2),
                width=round(0.8 * width, 2),
                middle=round((place + 0.5) * width, 2),
                height=_pixels(total, most),
                filled=_pixels(min(part, total), most),
                label=label,
                number=compact(total),
            )
        )
    parts = "; ".join(
        f"{label}: {total:,}" if total == part else f"{label}: {total:,}, of which {part:,} kept"
        for label, total, part in zip(labels, totals, filled, strict=True)
    )
    return Histogram(tuple(bars), f"{what}. {parts}.")


def _pixels(value: int, most: int) -> float:
    """A height; what is not nothing can be seen."""
    return round(max(BAR_HEIGHT * value / most, 1.5 if value else 0), 1)
