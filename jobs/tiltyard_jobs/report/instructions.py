"""Where the instructions came from: difficulty, task types, and what curation left of each attacker's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tiltyard_jobs.curation.difficulty import HIGHEST, LOWEST
from tiltyard_jobs.report.charts import Histogram, histogram
from tiltyard_jobs.report.formats import count, share
from tiltyard_jobs.report.inputs import ReportInput
from tiltyard_jobs.report.tables import OTHER, folded, leading
from tiltyard_jobs.report.words import visible
from tiltyard_jobs.results.documents import Funnel

_REASONS = 8  # columns of the funnel; what is rarer is added up
_TYPES = 12


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
