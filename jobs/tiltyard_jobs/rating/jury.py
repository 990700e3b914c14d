"""What a jury is worth: how often it is right where a truth is known, and how many independent votes that equals.

A judge's *error* in a battle is the share of its vote (the mean of its orders) that goes to the worse answer. Judges
that err on the same battles are worth fewer votes than there are judges: with K of them on a battle and a mean
correlation r of two judges' errors, K / (1 + (K - 1) r) independent ones (Kish's design effect; arXiv 2605.29800 counts
nine judges as two votes that way).

Without a truth the higher-rated player's answer may stand in for the better one. That is an approximation: where the
weaker player gave the better answer, all judges that see it count as wrong together.

Intervals are 95% by t, from a jackknife over instructions, in at most `GROUPS` groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from tiltyard_jobs.rating.battles import may_hide, ratio, sum_by
from tiltyard_jobs.rating.votes import Verdicts, group

GROUPS = 100
_NOTHING = 1e-12  # of a column's squares: what rounding leaves of no spread
LEAST_GAIN = 0.01
"""A judge adds nothing if the jury is for sure right by no more than this share more often with it."""


class Opinions(NamedTuple):
    """What each judge says of each of M battles."""

    instruction: NDArray[np.int64]
    """(M,): ranks of the instructions."""
    attacker: NDArray[np.int64]
    defender: NDArray[np.int64]
    share: NDArray[np.float64]
    """(M, J): mean share of its votes for the attacker; NaN where it gave none."""

    def select(self, rows: NDArray[np.bool_]) -> Opinions:
        """Some of the battles."""
        return Opinions(self.instruction[rows], self.attacker[rows], self.defender[rows], self.share[rows])


class Spread(NamedTuple):
    """Numbers with their 95% intervals; NaN: not told."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Worth(NamedTuple):
    """What a jury is worth on battles whose better answer is known."""

    battles: int
    judges: float
    """Judges on a battle, on average."""
    right: Spread
    """(J + 1,): share of each judge's votes for the better answer, and last how often the jury prefers it; a tie of the
    jury is half right."""
    correlation: float
    """Mean correlation of two judges' errors."""
    votes: Spread
    """(1,): the effective number of votes."""
    independent: float
    """How often the jury would be right if the judges erred as often, but not together."""
    gain: Spread
    """(J,): how much more often the jury is right with the judge than without it."""

    @property
    def adds_nothing(self) -> NDArray[np.bool_]:
        """(J,): for sure no gain that matters."""
        return self.gain.high < LEAST_GAIN


def opinions_of(verdicts: Verdicts) -> Opinions:
    """The mean of each judge's orders in each battle."""
    matches = group(verdicts)
    answered = ~np.isnan(verdicts.vote)
    seats = len(matches.seat_battle)
    share = np.full((len(matches.first), verdicts.judges), np.nan)
    mean = ratio(
        sum_by(matches.seat, np.where(answered, verdicts.vote, 0.0), seats), sum_by(matches.seat, answered, seats)
    )
    share[matches.seat_battle, matches.seat_judge] = mean
    first = matches.first
    rank = np.unique(verdicts.instruction, return_inverse=True)[1][first]
    return Opinions(rank.astype(np.int64), verdicts.attacker[first], verdicts.defender[first], share)


def worth(opinions: Opinions, attacker_better: NDArray[np.bool_]) -> Worth:
    """What the jury is worth.

    Args:
        opinions: of battles whose better answer is known.
        attacker_better: (M,): it is the attacker's.
    """
    told = np.any(~np.isnan(opinions.share), axis=1)
    opinions, attacker_better = opinions.select(told), attacker_better[told]
    right = np.where(attacker_better[:, None], opinions.share, 1.0 - opinions.share)
    judges = float(np.mean((~np.isnan(right)).sum(axis=1))) if len(right) else np.nan
    known = ~np.isnan(right)
    votes, count = np.where(known, right, 0.0), known.sum(axis=1)
    jury = _prefers(votes.sum(axis=1), count)
    # Only where it voted, and not alone, does a judge make a difference.
    without = _prefers(votes.sum(axis=1)[:, None] - votes, count[:, None] - known)
    differs = np.where(known & ~np.isnan(without), jury[:, None] - without, 0.0)
    groups = Groups.of(opinions.instruction)
    preferred = groups.jackknife(_quotient, _counted(np.concatenate([right, jury[:, None]], axis=1)))
    return Worth(
        battles=len(right),
        judges=judges,
        right=_with_width(preferred, len(right), 0.0),
        correlation=float(_correlation(groups.moments(right).sum(axis=0))),
        votes=groups.jackknife(
            lambda moments: np.array([effective(judges, _correlation(moments))]), groups.moments(right), summed=True
        ),
        independent=_independent(right),
        gain=_with_width(groups.jackknife(_quotient, _counted(differs)), len(right), -1.0),
    )


def effective(judges: float, correlation: float) -> float:
    """The number of independent votes; never more than there are judges."""
    return float(judges / (1.0 + (judges - 1.0) * np.clip(correlation, 0.0, 1.0)))


def _moments(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, J, J): of each two columns, over the rows that both have: their number, and the sums of x, x², and x y."""
    known = (~np.isnan(columns)).astype(np.float64)
    value = np.nan_to_num(columns)
    return np.stack([known.T @ known, value.T @ known, (value**2).T @ known, value.T @ value])


def _correlation(moments: NDArray[np.float64]) -> float:
    """Mean correlation of two columns over the rows that both have; pairs that cannot be told are left out."""
    number, first, square, product = moments
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = square - first**2 / number
        spread[spread < _NOTHING * square] = np.nan
        correlation = (product - first * first.T / number) / np.sqrt(spread * spread.T)
    pairs = correlation[np.tril_indices(len(correlation), -1)]
    pairs = pairs[np.isfinite(pairs)]
    return float(pairs.mean()) if len(pairs) else float("nan")


def agreement(opinions: Opinions) -> float:
    """Krippendorff's alpha of the judges' shares as interval data: 1 is full agreement, 0 what chance gives.

    The expected square of a difference within a battle against that over all (Krippendorff, Content Analysis, 2004);
    battles with one judge do not count.
    """
    share = opinions.share[(~np.isnan(opinions.share)).sum(axis=1) > 1]
    number = (~np.isnan(share)).sum(axis=1)
    total = int(number.sum())
    if total < 2:
        return float("nan")
    # The sum of squared differences of all pairs is twice n times that of the squares about the mean.
    within = np.sum(np.nansum((share - np.nanmean(share, axis=1, keepdims=True)) ** 2, axis=1) * number / (number - 1))
    values = share[~np.isnan(share)]
    over_all = np.sum((values - values.mean()) ** 2) / (total - 1)
    return float(1.0 - within / total / over_all) if over_all > 0 else float("nan")


class Groups(NamedTuple):
    """Battles in groups of whole instructions, of which one at a time is left out."""

    order: NDArray[np.int64]
    """(M,): the battles, group by group."""
    first: NDArray[np.int64]
    """(G,): where each group begins in that order."""

    @classmethod
    def of(cls, instruction: NDArray[np.int64]) -> Groups:
        """At most `GROUPS` of them."""
        names, rank = np.unique(instruction, return_inverse=True)
        part = rank * min(len(names), GROUPS) // max(len(names), 1)
        order = np.argsort(part, kind="stable")
        return cls(order, np.flatnonzero(np.diff(part[order], prepend=-1)))

    def moments(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G, 4, J, J): see `_moments`, by group."""
        found = [_moments(rows) for rows in np.split(columns[self.order], self.first[1:])]
        return np.stack(found)

    def jackknife(
        self,
        statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        values: NDArray[np.float64],
        *,
        summed: bool = False,
    ) -> Spread:
        """A statistic of sums over the battles, with its interval.

        Args:
            statistic: of the sums.
            values: (M, …) to be summed, or with `summed` (G, …), the sums of each group.
            summed: they are.
        """
        number = len(self.first)
        sums = values if summed or not number else np.add.reduceat(values[self.order], self.first)
        total = sums.sum(axis=0)
        value = statistic(total)
        if number < 2:
            unknown = np.full(len(value), np.nan)
            return Spread(value, unknown, unknown)
        left = np.stack([statistic(total - one) for one in sums])
        error = np.sqrt(np.sum((left - left.mean(axis=0)) ** 2, axis=0) * (number - 1) / number)
        margin = float(stdtrit(number - 1, 0.975)) * error
        return Spread(value, value - margin, value + margin)


def _with_width(spread: Spread, battles: int, least: float) -> Spread:
    """What is the same in every battle has no spread of its own: it may be otherwise in as many as chance can hide."""
    hidden = float(may_hide(np.array(battles)))
    flat = spread.high - spread.low < _NOTHING
    low = np.where(flat, np.maximum(spread.value - hidden, least), spread.low)
    return Spread(spread.value, low, np.where(flat, np.minimum(spread.value + hidden, 1.0), spread.high))


def _counted(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 2, C): values, zero where there is none, and whether there is one."""
    known = ~np.isnan(columns)
    return np.stack([np.where(known, columns, 0.0), known.astype(np.float64)], axis=1)


def _quotient(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    return ratio(sums[0], sums[1])


def _prefers(votes: NDArray[np.float64], count: NDArray[np.int64]) -> NDArray[np.float64]:
    """1 where the mean of the votes is for the better answer, 1/2 at a tie; NaN where nobody voted."""
    mean = ratio(votes, count.astype(np.float64))
    return np.asarray((np.sign(np.round(mean - 0.5, 9)) + 1.0) / 2.0, dtype=np.float64)


def _independent(right: NDArray[np.float64], steps: int = 120) -> float:
    """The jury's share right if each judge's share were drawn from those that it gave, by itself.

    Shares are rounded to a grid that has halves, thirds, quarters and fifths, so that sums are exact.
    """
    known = ~np.isnan(right)
    spread = [
        np.bincount(np.rint(column[there] * steps).astype(np.int64), minlength=steps + 1) / max(int(there.sum()), 1)
        for column, there in zip(right.T, known.T, strict=True)
    ]
    # Rows by who voted, as bits; there are 32 judges at most.
    _, first, counts = np.unique(known @ (1 << np.arange(known.shape[1])), return_index=True, return_counts=True)
    total = 0.0
    for who, count in zip(known[first], counts, strict=True):
        sums = np.ones(1)
        for judge in np.flatnonzero(who):
            sums = np.convolve(sums, spread[judge])
        middle = (len(sums) - 1) // 2
        tie = float(sums[middle]) if len(sums) % 2 else 0.0
        total += count * (float(sums[(len(sums) + 1) // 2 :].sum()) + tie / 2)
    return total / len(right) if len(right) else float("nan")
