"""The judges' report card, with what each column means and which numbers deserve a second look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tiltyard_jobs.rating.report_card import FAIR_POSITION, LEAST_EXCESS, LEAST_SCALE
from tiltyard_jobs.report.formats import DASH, compact, count, decimal, percent, share, visible
from tiltyard_jobs.results.documents import Estimate, JudgeReportCard, Standings
from tiltyard_jobs.results.shortfalls import MAX_VOID

ENOUGH = 30
"""Verdicts behind a share of voids before it can be an outlier: with fewer, chance alone makes some."""


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
        "",
    ),
    CardColumn(
        "Agreement",
        "How often it preferred the same answer as another judge that saw the same battle in the same order.",
        "",
    ),
    CardColumn(
        "First position",
        "Share of its votes for the answer shown first. A fair judge that sees both orders has 50%.",
        f"outside {percent(FAIR_POSITION[0])} to {percent(FAIR_POSITION[1])}",
    ),
    CardColumn(
        "Scale",
        "How far its vote goes with what the other judges of the same battles see; the jury's mean is 1. Noise draws "
        "it towards 0.",
        f"below {decimal(LEAST_SCALE, 1)}",
    ),
    CardColumn(
        "Length",
        "How much more of its vote an answer three times as long as the other gets than by what the other judges see, "
        "in percentage points.",
        f"{decimal(100 * LEAST_EXCESS, 0)} points or more either way",
    ),
    CardColumn(
        "Own family",
        "How much more of its vote a model of its own family gets than by what judges of other families see in the "
        "same battles, in percentage points.",
        f"{decimal(100 * LEAST_EXCESS, 0)} points or more either way",
    ),
)


def report_cards(judges: Sequence[JudgeReportCard]) -> tuple[CardRow, ...]:
    """A row for each judge, in their order."""
    return tuple(map(_row, judges))


def jury_worth(standings: Standings) -> tuple[str, ...]:
    """What the judges are worth together; nothing where there are fewer than two in a battle."""
    jury = standings.jury
    if jury is None or jury.votes is None or jury.judges_each is None or jury.judges_each < 1.5:
        return ()
    return (
        f"The {decimal(jury.judges_each, 1)} judges of a battle are worth {decimal(jury.votes.value)} independent votes"
        f"{_within(jury.votes)}: their errors have a correlation of {decimal(jury.correlation)}, where the higher-rated"
        " player's answer stands in for the better one. tiltyard calibrate tells it from labels.",
        f"Agreement beyond chance: Krippendorff's alpha is {decimal(jury.agreement)}.",
    )


def _within(one: Estimate) -> str:
    return "" if one.low is None or one.high is None else f" ({decimal(one.low)} to {decimal(one.high)})"


def _row(one: JudgeReportCard) -> CardRow:
    voids = sum(one.voids.values())
    asked = one.verdicts + voids
    cells = (
        CardCell(count(one.verdicts)),
        CardCell(share(voids, asked, 1), compact(voids), asked >= ENOUGH and voids > MAX_VOID * asked),
        CardCell(percent(one.consistency), compact(one.exchanged)),
        CardCell(percent(one.agreement), compact(one.compared)),
        _estimated(one.first_position, percent),
        _estimated(one.scale, decimal),
        _estimated(one.length, _excess),
        _estimated(one.family, _excess),
    )
    return CardRow(visible(one.name), cells)


def _estimated(one: Estimate | None, text: Callable[[float | None], str]) -> CardCell:
    if one is None:
        return CardCell(DASH)
    within = "" if one.low is None or one.high is None else f"{text(one.low)} to {text(one.high)}"
    return CardCell(text(one.value), within, one.marked)


def _excess(value: float | None) -> str:
    return DASH if value is None else decimal(100 * value, 1, plus=True)
