"""The judges' report card, with what each column means and which numbers deserve a second look."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from tiltyard_jobs.report.formats import DASH, compact, count, decimal, percent, share, visible
from tiltyard_jobs.results.documents import JudgeReportCard
from tiltyard_jobs.results.shortfalls import MAX_VOID

ENOUGH = 30
"""Cases behind a number before it can be an outlier: with fewer, chance alone makes some."""
FAIR_FIRST = (0.4, 0.6)
MIN_CONSISTENCY = 0.7
MAX_SLOPE_GAP = 1.0
MIN_AGREEMENT = 0.6
MAX_FAMILY_EXCESS = 0.05


class CardColumn(NamedTuple):
    """A column, what it means in plain words, and what makes a number in it an outlier."""

    title: str
    meaning: str
    outlier: str


class CardCell(NamedTuple):
    """A number, what it rests on, and whether it is an outlier."""

    text: str
    note: str = ""
    outlier: bool = False


class CardRow(NamedTuple):
    """A judge."""

    name: str
    cells: tuple[CardCell, ...]


COLUMNS = (
    CardColumn("Verdicts", "The number of its verdicts that are not void.", ""),
    CardColumn(
        "Void",
        "Share of its verdicts that could not be used: no reply, or a reply that names no side.",
        f"above {percent(MAX_VOID)}",
    ),
    CardColumn(
        "Consistency",
        "How often it preferred the same answer again when the two were exchanged. Below it: the number of such pairs.",
        f"below {percent(MIN_CONSISTENCY)}",
    ),
    CardColumn(
        "First position",
        "Share of its votes for the answer shown first. A fair judge that sees both orders has 50\u00a0%.",
        f"outside {percent(FAIR_FIRST[0])} to {percent(FAIR_FIRST[1])}",
    ),
    CardColumn(
        "Length slope",
        "How strongly longer answers attract its votes, in log-odds. Better answers may be longer, so compare the "
        "judges with one another and not with zero.",
        f"more than {decimal(MAX_SLOPE_GAP, 0)} from the judges' median, with three judges or more",
    ),
    CardColumn(
        "Agreement",
        "How often it preferred the same answer as another judge that saw the same battle in the same order.",
        f"below {percent(MIN_AGREEMENT)}",
    ),
    CardColumn(
        "Own family",
        "How much more of its votes it gave to models of its own family than judges of other families did in the same "
        "battles, in percentage points.",
        f"more than {decimal(100 * MAX_FAMILY_EXCESS, 0)} either way",
    ),
)


def report_cards(judges: Sequence[JudgeReportCard]) -> tuple[CardRow, ...]:
    """A row for each judge, in their order."""
    slopes = [one.length_slope for one in judges if one.length_slope is not None]
    typical = median(slopes) if len(slopes) > 2 else None
    return tuple(_row(one, typical) for one in judges)


def _row(one: JudgeReportCard, typical_slope: float | None) -> CardRow:
    voids = sum(one.voids.values())
    asked = one.verdicts + voids
    first, slope, excess = one.first_position_rate, one.length_slope, one.family_excess
    cells = (
        CardCell(count(one.verdicts)),
        CardCell(share(voids, asked, 1), compact(voids), asked >= ENOUGH and voids > MAX_VOID * asked),
        CardCell(
            percent(one.consistency),
            compact(one.exchanged),
            one.consistency is not None and one.exchanged >= ENOUGH and one.consistency < MIN_CONSISTENCY,
        ),
        CardCell(
            percent(first),
            "",
            first is not None and one.verdicts >= ENOUGH and not FAIR_FIRST[0] <= first <= FAIR_FIRST[1],
        ),
        CardCell(
            decimal(slope, plus=True),
            "",
            slope is not None
            and typical_slope is not None
            and one.verdicts >= ENOUGH
            and abs(slope - typical_slope) > MAX_SLOPE_GAP,
        ),
        CardCell(
            percent(one.agreement),
            compact(one.compared),
            one.agreement is not None and one.compared >= ENOUGH and one.agreement < MIN_AGREEMENT,
        ),
        CardCell(
            DASH if excess is None else decimal(100 * excess, 1, plus=True),
            compact(one.family_battles) if excess is not None else "",
            excess is not None and one.family_battles >= ENOUGH and abs(excess) > MAX_FAMILY_EXCESS,
        ),
    )
    return CardRow(visible(one.name), cells)
