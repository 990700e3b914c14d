"""The judges' report card: how far each judge's votes can be trusted, from the votes alone.

Sides: a vote above 1/2 is for the attacker, below for the defender; a vote of exactly 1/2 is a tie, which neither
agrees nor disagrees with anything (as in setup S2 of MT-bench: Zheng et al., arXiv 2306.05685).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.battles import ratio, sum_by
from tiltyard_jobs.rating.judge_bias import (
    FAMILY,
    LENGTH,
    PLACE,
    SCALE,
    Estimates,
    Families,
    Regressions,
    Seats,
    mean_of,
    regress,
    seats_of,
)
from tiltyard_jobs.rating.votes import Matches, Verdicts, group

FAIR_POSITION = (0.45, 0.55)
"""First-position rates that are no fault: nearly every model has a slight preference."""
LEAST_SCALE = 0.5
"""A judge whose scale is below has more of its own noise in its votes than of what the others see."""
LEAST_EXCESS = 0.02
"""An excess below is too small to matter, however sure."""
_CHANCE = 0.04  # of any mark in a column of a jury without a fault; errors are estimates, so less than 5%
_THREE_TIMES = 0.5  # length difference of an answer three times as long: (3 - 1) / (3 + 1)


class Column(NamedTuple):
    """A number of each of the J judges, with its 95% interval; NaN: the votes do not tell."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    marked: NDArray[np.bool_]
    """It is a fault, for sure: see `report_card`."""


class ReportCard(NamedTuple):
    """One entry for each of the J judges; a share is NaN where there is nothing to take it of."""

    verdicts: NDArray[np.int64]
    """Verdicts asked and answered."""
    exchanged: NDArray[np.int64]
    """Battles in which the judge took a side in both orders."""
    flips: NDArray[np.int64]
    """Those of them in which the side changed with the order."""
    consistency: NDArray[np.float64]
    """1 - flips / exchanged."""
    compared: NDArray[np.int64]
    """Comparisons with another judge that took a side on the same battle in the same order."""
    agreement: NDArray[np.float64]
    """Share of them with the same side."""
    position: Column
    """Mean share of the vote for the answer shown first; 1/2 for a judge without position bias, judging both orders."""
    shared: NDArray[np.int64]
    """Battles on which the judge is compared with at least two others: what the next columns rest on."""
    scale: Column
    """How far its vote goes when the others' mean goes one, where the jury's mean is 1: noise draws it towards 0."""
    length: Column
    """Share of the vote that it gives an answer three times as long as the other, beyond what the others see."""
    family: Column
    """Share of the vote that it gives a player of its own family, beyond what judges of other families see."""
    family_battles: NDArray[np.int64]
    """Battles behind it."""

    @property
    def marked(self) -> NDArray[np.bool_]:
        """(J,): a judge with a mark in any column."""
        return self.position.marked | self.scale.marked | self.length.marked | self.family.marked


def report_card(
    verdicts: Verdicts,
    *,
    length_difference: NDArray[np.float64] | None = None,
    families: Families | None = None,
) -> ReportCard:
    """Report on every judge.

    A number is marked if it is worse than what is fair (the constants above; 0 for an excess) for sure: its p-value is
    small enough after Holm's correction for the number of cells (S. Holm, Scandinavian Journal of Statistics 6, 1979),
    so that a jury without a fault gets any mark at all in one tournament of twenty at most, whatever the cells have to
    do with one another. What is marked is taken off that judge's votes before others are compared with them, the
    surest first: without that, those who share battles with a biased judge look biased the other way.

    Args:
        verdicts: all verdicts asked, voids included.
        length_difference: (V,), z of the attacker's answer against the defender's for each verdict (see
            `covariate.length_difference`), NaN where unknown; None: nothing is said of length.
        families: None: nobody is kin to anybody.

    Raises:
        ValueError: the verdicts are not verdicts (see `votes.group`), or another argument has the wrong shape.
    """
    matches = group(verdicts)
    judges = verdicts.judges
    if families is None:
        families = Families(np.full(verdicts.players, -1), np.full(judges, -1))
    if np.shape(families.players) != (verdicts.players,) or np.shape(families.judges) != (judges,):
        raise ValueError("families must name one family for each player and each judge")
    if length_difference is not None and np.shape(length_difference) != np.shape(verdicts.vote):
        raise ValueError("the length difference must be one number for each verdict")
    exchanged, flips = _exchange(verdicts, matches)
    compared, agreed = _agreement(verdicts, matches)
    position = _position(verdicts, matches)
    found, marks = _marked(seats_of(verdicts, matches, length_difference, families), position)
    return ReportCard(
        verdicts=np.bincount(verdicts.judge[~np.isnan(verdicts.vote)], minlength=judges),
        exchanged=exchanged,
        flips=flips,
        consistency=ratio((exchanged - flips).astype(np.float64), exchanged.astype(np.float64)),
        compared=compared,
        agreement=ratio(agreed, compared.astype(np.float64)),
        position=_column(position, marks[:, PLACE]),
        shared=found.battles,
        scale=_column(found.column(SCALE), marks[:, SCALE]),
        length=_column(_of_three_times(found), marks[:, LENGTH]),
        family=_column(found.column(FAMILY), marks[:, FAMILY]),
        family_battles=found.kin_battles,
    )


def _column(estimates: Estimates, marked: NDArray[np.bool_]) -> Column:
    return Column(estimates.value, *estimates.interval(), marked)


def _of_three_times(found: Regressions) -> Estimates:
    length = found.column(LENGTH)
    return length._replace(value=length.value * _THREE_TIMES, error=length.error * _THREE_TIMES)


def _marked(seats: Seats, position: Estimates) -> tuple[Regressions, NDArray[np.bool_]]:
    """The regressions, each free of what is marked in the others, and the marks, (J, 4)."""
    freed = np.zeros((seats.judges, 4), dtype=np.bool_)
    freed[:, PLACE] = True  # it counts where orders alternate, and says nothing there but how judges differ
    while True:
        found = regress(seats, freed)
        chances = np.ones(freed.shape)
        chances[:, SCALE] = found.column(SCALE).chance(LEAST_SCALE, np.inf)
        chances[:, PLACE] = position.chance(*FAIR_POSITION)
        for column, excess in ((LENGTH, _of_three_times(found)), (FAMILY, found.column(FAMILY))):
            chances[:, column] = np.where(np.abs(excess.value) < LEAST_EXCESS, 1.0, excess.chance(0.0, 0.0))
        marks = np.stack([_holm(column) for column in chances.T], axis=1)
        new = marks & ~freed
        new[:, [SCALE, PLACE]] = False
        if not new.any():
            return found, marks
        certainty = np.divide(
            np.abs(found.coefficients), found.errors, out=np.full(freed.shape, np.inf), where=found.errors > 0
        )
        freed.flat[np.argmax(np.where(new, certainty, -1.0))] = True


def _holm(chances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of a column's p-values stand after Holm's correction; NaN: no cell."""
    cells = chances[~np.isnan(chances)]
    order = np.argsort(cells)
    stands = np.minimum.accumulate(cells[order] <= _CHANCE / np.arange(len(cells), 0, -1))
    threshold = cells[order][stands].max(initial=-1.0)
    kept: NDArray[np.bool_] = np.nan_to_num(chances, nan=np.inf) <= threshold
    return kept


def _position(verdicts: Verdicts, matches: Matches) -> Estimates:
    """Each judge's mean share of the vote for the answer shown first.

    Over the battles that it judged in both orders, so that no answer's quality comes in; over all of its verdicts
    where there is no such battle, as with orders that alternate.
    """
    answered = ~np.isnan(verdicts.vote)
    orders = np.bincount(matches.seat[answered], minlength=len(matches.seat_battle))[matches.seat]
    twice = np.bincount(verdicts.judge[answered & (orders == 2)], minlength=verdicts.judges) > 0
    rows = answered & ((orders == 2) | ~twice[verdicts.judge])
    first = np.where(verdicts.attacker_first, verdicts.vote, 1.0 - verdicts.vote)[rows]
    instruction = np.unique(verdicts.instruction, return_inverse=True)[1][rows]
    return mean_of(verdicts.judge[rows], instruction, first, verdicts.judges)


def _side(vote: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 for the attacker, -1 for the defender, 0 for a tie or a void."""
    return np.sign(np.nan_to_num(vote, nan=0.5) - 0.5).astype(np.int64)


def _exchange(verdicts: Verdicts, matches: Matches) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each judge, the battles in which it took a side in both orders, and the flips among them."""
    side = _side(verdicts.vote)
    seats = len(matches.seat_battle)
    both = np.zeros((2, seats), dtype=np.int64)
    both[verdicts.attacker_first.astype(np.int64), matches.seat] = side
    product = both[0] * both[1]
    judge = matches.seat_judge
    return (
        np.bincount(judge[product != 0], minlength=verdicts.judges),
        np.bincount(judge[product < 0], minlength=verdicts.judges),
    )


def _agreement(verdicts: Verdicts, matches: Matches) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each judge, its comparisons with others on the same battle and order, and how many had the same side."""
    side = _side(verdicts.vote)
    sided = side != 0
    question = matches.battle[sided] * 2 + verdicts.attacker_first[sided]
    for_attacker = side[sided] > 0
    size = 2 * len(matches.first)
    attackers = np.bincount(question[for_attacker], minlength=size)
    total = np.bincount(question, minlength=size)
    others = total[question] - 1
    same = np.where(for_attacker, attackers[question], (total - attackers)[question]) - 1
    judge = verdicts.judge[sided]
    compared = sum_by(judge, others.astype(np.float64), verdicts.judges).astype(np.int64)
    return compared, sum_by(judge, same.astype(np.float64), verdicts.judges)
