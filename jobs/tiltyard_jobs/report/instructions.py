"""The instructions: difficulty, task types, what curation left of each attacker's, how near they come to benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.curation.difficulty import HIGHEST, LOWEST
from tiltyard_jobs.report.charts import Histogram, histogram
from tiltyard_jobs.report.formats import OTHER, count, folded, leading, percent, share, visible
from tiltyard_jobs.report.inputs import ReportInput
from tiltyard_jobs.results.documents import Funnel, Overlap

_REASONS = 8  # columns of the funnel; what is rarer is added up
_TYPES = 12
MOST_OVERLAPS = 12
"""Benchmarks that are drawn."""
_FAR, _NEAR = (
    3,
    6,
)  # bins below 0.3; bins from 0.6 (paper: most instructions are below the one, none is above the other)


class FunnelRow(NamedTuple):
    """One attacker: asked for, dropped by reason, curated."""

    attacker: str
    asked: str
    dropped: tuple[str, ...]
    curated: str
    kept: str
    width: float


class FunnelTable(NamedTuple):
    """All attackers, and their sum as the last row."""

    reasons: tuple[str, ...]
    rows: tuple[FunnelRow, ...]


class ShareRow(NamedTuple):
    """A name, how many, which share, and the width of its bar in percent of the longest."""

    name: str
    number: str
    share: str
    width: float


class OverlapView(NamedTuple):
    """One benchmark."""

    benchmark: str
    items: str
    chart: Histogram
    summary: str


def funnel_table(funnels: Sequence[Funnel]) -> FunnelTable:
    """What became of each attacker's instructions."""
    reasons = leading((one.dropped for one in funnels), _REASONS)
    rare = any(folded(one.dropped, reasons)[1] for one in funnels)
    total = Funnel(
        attacker="all",
        asked=sum(one.asked for one in funnels),
        dropped=sum((Counter(one.dropped) for one in funnels), Counter()),
        curated=sum(one.curated for one in funnels),
    )
    rows = (*funnels, total) if len(funnels) > 1 else tuple(funnels)
    heads = tuple(visible(reason, 32) for reason in reasons)
    return FunnelTable((*heads, OTHER) if rare else heads, tuple(_funnel(one, reasons, rare) for one in rows))


def _funnel(one: Funnel, reasons: Sequence[str], rare: bool) -> FunnelRow:
    chosen, rest = folded(one.dropped, reasons)
    return FunnelRow(
        attacker=visible(one.attacker),
        asked=count(one.asked),
        dropped=tuple(count(number) for number in ((*chosen, rest) if rare else chosen)),
        curated=count(one.curated),
        kept=share(one.curated, one.asked),
        width=round(100 * one.curated / one.asked, 2) if one.asked else 0.0,
    )


def noted(funnels: Sequence[Funnel]) -> str:
    """What the linter says of instructions that were not dropped for it; empty where it says nothing."""
    sums: Counter[str] = sum((Counter(one.noted) for one in funnels), Counter())
    return ", ".join(f"{visible(reason, 32)} {count(number)}" for reason, number in sorted(sums.items()))


def difficulty(given: ReportInput) -> Histogram | None:
    """Grades from 1 to 10, and how many of each are fought over; None where nothing was graded."""
    graded: Counter[str] = sum((Counter(one.scores) for one in given.data.funnels), Counter())
    if not graded:
        return None
    scores = range(LOWEST, HIGHEST + 1)
    kept = [given.kept_scores.get(score, 0) for score in scores]
    return histogram(
        [str(score) for score in scores],
        [max(graded[str(score)], part) for score, part in zip(scores, kept, strict=True)],
        kept,
        what="Instructions by difficulty",
    )


def task_types(funnels: Sequence[Funnel]) -> tuple[ShareRow, ...]:
    """Task types of the curated instructions, most frequent first."""
    sums: Counter[str] = sum((Counter(one.task_types) for one in funnels), Counter())
    return share_rows(sums, _TYPES)


def share_rows(counts: Counter[str], limit: int) -> tuple[ShareRow, ...]:
    """Names with bars, longest first; what is beyond `limit` is added up."""
    names = leading([counts], limit)
    chosen, rest = folded(counts, names)
    numbers = [*zip((visible(name, 48) for name in names), chosen, strict=True), *([(OTHER, rest)] if rest else [])]
    total, most = counts.total(), max((number for _, number in numbers), default=0)
    return tuple(
        ShareRow(name, count(number), share(number, total), round(100 * number / most, 2)) for name, number in numbers
    )


def overlaps(given: Sequence[Overlap]) -> tuple[OverlapView, ...]:
    """A chart for each benchmark, in their order."""
    return tuple(_overlap(one) for one in given[:MOST_OVERLAPS])


def _overlap(one: Overlap) -> OverlapView:
    total, near = sum(one.histogram), sum(one.histogram[_NEAR:])
    far = percent(sum(one.histogram[:_FAR]) / total if total else None)
    labels = [f"{place / len(one.histogram):.1f}" for place in range(len(one.histogram))]
    name = visible(one.benchmark, 48)
    return OverlapView(
        benchmark=name,
        items=count(one.items),
        chart=histogram(labels, one.histogram, one.histogram, what=f"Instructions by overlap with {name}, from"),
        summary=f"{far} below 0.3, {count(near) if near else 'none'} from 0.6 on; {count(one.matched)} left out.",
    )
