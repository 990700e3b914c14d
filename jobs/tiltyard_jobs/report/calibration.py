"""The judges by labelled pairs."""

from __future__ import annotations

from typing import NamedTuple

from tiltyard_jobs.contracts.calibration import CalibratedJudge, Calibration, Ranged
from tiltyard_jobs.report.formats import DASH, count, decimal, visible
from tiltyard_jobs.report.jury import CardCell, CardRow

TITLES = ("Right", "Where it is first", "Where it is second", "Adds", "Verdicts")


class CalibrationTables(NamedTuple):
    """What is said before the tables, and their rows."""

    said: str
    titles: tuple[str, ...]
    judges: tuple[CardRow, ...]
    players: tuple[CardRow, ...]


def calibration_tables(found: Calibration | None) -> CalibrationTables | None:
    """The tables; None without labelled pairs."""
    if found is None:
        return None
    votes = found.votes
    said = (
        f"Each judge compared {count(found.labels)} pairs of answers whose better one is known, in both orders. Right: "
        "the share of its votes for the better answer, of the jury how often it prefers that one; beside it the same "
        "where the better answer is shown first (sensitivity) and second (specificity). Adds: how much more often the "
        "jury is right with the judge than without it. "
        f"The jury is worth {decimal(votes.value)} independent votes of {decimal(found.judges_each, 1)}; with "
        f"independent errors it would be right in {_number(found.independent)} of 100."
    )
    return CalibrationTables(
        said,
        TITLES,
        tuple(map(_judge, (*found.judges, found.jury))),
        tuple(
            CardRow(
                visible(one.player),
                (CardCell(_number(one.plain)), _cell(one.by_rates) if one.by_rates.possible else CardCell(DASH)),
            )
            for one in found.jury.win_rates
        ),
    )


def _judge(one: CalibratedJudge) -> CardRow:
    adds = CardCell(DASH) if one.gain is None else _cell(one.gain, digits=1)
    if one.adds_nothing:
        adds = adds._replace(note=f"nothing ({adds.note})")
    cells = (_cell(one.right), _cell(one.sensitivity), _cell(one.specificity), adds, CardCell(count(one.verdicts)))
    return CardRow(visible(one.name), cells)


def _cell(one: Ranged, digits: int = 0) -> CardCell:
    ends = () if one.low is None or one.high is None else (_number(one.low, digits), _number(one.high, digits))
    return CardCell(_number(one.value, digits), " to ".join(ends))


def _number(value: float | None, digits: int = 0) -> str:
    return DASH if value is None else decimal(100 * value, digits)
