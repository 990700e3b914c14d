"""How near the instructions come to known benchmarks (paper: mostly under 0.3, none over 0.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.report.charts import Histogram, histogram
from tiltyard_jobs.report.formats import count, percent
from tiltyard_jobs.report.words import visible
from tiltyard_jobs.results.documents import Overlap

MOST = 12
"""Benchmarks that are drawn."""
_FAR, _NEAR = 3, 6  # bins below 0.3; bins from 0.6


class OverlapView(NamedTuple):
    """One benchmark."""

    benchmark: str
    items: str
    chart: Histogram
    verdict: str


def overlaps(given: Sequence[Overlap]) -> tuple[OverlapView, ...]:
    """A chart for each benchmark, in their order."""
    return tuple(_view(one) for one in given[:MOST])


def _view(one: Overlap) -> OverlapView:
    total, near = sum(one.histogram), sum(one.histogram[_NEAR:])
    far = percent(sum(one.histogram[:_FAR]) / total if total else None)
    labels = [f"{place / len(one.histogram):.1f}" for place in range(len(one.histogram))]
    name = visible(one.benchmark, 48)
    return OverlapView(
        benchmark=name,
        items=count(one.items),
        chart=histogram(labels, one.histogram, one.histogram, what=f"Instructions by overlap with {name}, from"),
        verdict=f"{far} below 0.3, {count(near) if near else 'none'} from 0.6 on; {count(one.matched)} cut.",
    )
