"""What moves a judge's votes besides what all judges see: one regression for each judge, over the battles it shares.

A judge's vote of a battle (the mean of its orders) less one half is

    scale · truth + length · z + family · k + place · s + error

where the truth is what the other judges of that battle say on average, less one half; z the difference of lengths; k
is 1, -1 or 0 as the attacker, the defender or neither alone is of the judge's family; s how much more often the
attacker was shown first (zero where both orders were judged, so that position stays out).

The others' mean is not the truth but has their noise, which plain least squares would charge to whatever goes with the
truth: a judge of the strongest player's family would be said to favour it. So its square is replaced by the mean
product of the votes of two different judges, in which independent errors cancel (a correction for errors in variables:
Fuller, Measurement Error Models, 1987). That takes two others at least; battles with fewer do not count. Where k is
not zero, judges of the same family are not among the others.

The others' votes are divided by their own scales, and freed of the biases that are marked, so that a judge is not
charged with what another one does; the jury's mean scale is 1. Errors are clustered by instruction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from tiltyard_jobs.rating.battles import may_hide, ratio, sum_by
from tiltyard_jobs.rating.votes import Matches, Verdicts

SCALE, LENGTH, FAMILY, PLACE = range(4)
_PASSES = 50
_LAST_STEP = 1e-6
_LEAST_SCALE = 0.1  # by which another judge's votes are divided, at least: noise has none
_TOLD = 1e-6  # share of a column's square that the other columns must leave for it to be told
_NOTHING = 1e-9  # what rounding leaves of no spread
_SURE = 3.0  # standard errors that the truth's own square must be away from zero


class Estimates(NamedTuple):
    """Numbers of J judges, in any one column."""

    value: NDArray[np.float64]
    """(J,); NaN: the votes do not tell."""
    error: NDArray[np.float64]
    """(J,): standard errors; NaN: unknown."""
    clusters: NDArray[np.int64]
    """(J,): instructions behind it."""

    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """95% intervals, by t."""
        margin = stdtrit(np.maximum(self.clusters - 1, 1), 0.975) * self.error
        return self.value - margin, self.value + margin

    def chance(self, low: float, high: float) -> NDArray[np.float64]:
        """(J,): how likely a number so far outside of low … high is where the truth lies inside; NaN: not told."""
        outside = np.maximum(np.maximum(low - self.value, self.value - high), 0.0)
        distance = np.divide(outside, self.error, out=np.where(outside > 0, np.inf, 0.0), where=self.error > 0)
        return np.where(np.isnan(self.error), np.nan, 2.0 * stdtr(np.maximum(self.clusters - 1, 1), -distance))


class Seats(NamedTuple):
    """What each judge said of each battle that it judged: columns of length S."""

    kin: NDArray[np.int64]
    """Which seats are left out together, where one of them is compared with the others."""
    battle: NDArray[np.int64]
    judge: NDArray[np.int64]
    instruction: NDArray[np.int64]
    """Ranks of the instructions."""
    vote: NDArray[np.float64]
    """Mean over the orders, less one half."""
    columns: NDArray[np.float64]
    """(S, 3): length difference, kinship, place."""
    judges: int


class Families(NamedTuple):
    """Who is kin to whom, by integer family; negative: no family."""

    players: NDArray[np.int64]
    """(N,)."""
    judges: NDArray[np.int64]
    """(J,)."""


def seats_of(verdicts: Verdicts, matches: Matches, difference: NDArray[np.float64] | None, families: Families) -> Seats:
    """The seats in which a vote was given.

    Args:
        verdicts: all.
        matches: the same, grouped.
        difference: (V,) of the lengths; unknown ones count as zero.
        families: of players and judges.
    """
    size = len(matches.seat_battle)
    own = families.judges[matches.seat_judge]
    attacker = families.players[verdicts.attacker[matches.first]][matches.seat_battle] == own
    defender = families.players[verdicts.defender[matches.first]][matches.seat_battle] == own
    kinship = np.where(own >= 0, attacker.astype(np.float64) - defender, 0.0)
    width = int(families.judges.max(initial=0)) + 1
    together = np.where(kinship != 0.0, matches.seat_battle * width + own, -1 - np.arange(size))
    answered = ~np.isnan(verdicts.vote)
    count = sum_by(matches.seat, answered, size)
    given = count > 0

    def mean(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return ratio(sum_by(matches.seat, np.where(answered, value, 0.0), size), count)[given]

    instruction = np.unique(verdicts.instruction, return_inverse=True)[1][matches.first]
    lengths = np.zeros(len(verdicts.vote)) if difference is None else np.nan_to_num(difference)
    columns = [mean(lengths), kinship[given], mean(np.where(verdicts.attacker_first, 1.0, -1.0))]
    return Seats(
        kin=np.unique(together[given], return_inverse=True)[1],
        battle=matches.seat_battle[given],
        judge=matches.seat_judge[given],
        instruction=instruction[matches.seat_battle[given]],
        vote=mean(verdicts.vote - 0.5),
        columns=np.stack(columns, axis=1),
        judges=verdicts.judges,
    )


class Regressions(NamedTuple):
    """All judges' regressions."""

    coefficients: NDArray[np.float64]
    """(J, 4): scale, length, family, place; NaN: the votes do not tell."""
    errors: NDArray[np.float64]
    """(J, 4): standard errors."""
    clusters: NDArray[np.int64]
    """(J,): instructions behind it."""
    battles: NDArray[np.int64]
    """(J,): battles behind it."""
    kin_battles: NDArray[np.int64]
    """(J,): those of them with one player of the judge's family."""

    def column(self, number: int) -> Estimates:
        """One coefficient of all judges."""
        return Estimates(self.coefficients[:, number], self.errors[:, number], self.clusters)


def regress(seats: Seats, freed: NDArray[np.bool_]) -> Regressions:
    """Every judge's regression on the others.

    Args:
        seats: who said what.
        freed: (J, 4): biases that are taken off a judge's votes before others are compared with them.
    """
    known = np.zeros((seats.judges, 4))
    known[:, SCALE] = 1.0
    for _ in range(_PASSES):
        equations = _equations(seats, known[:, SCALE], np.where(freed, known, 0.0))
        coefficients = equations.solve()
        before, known = known, np.nan_to_num(coefficients)
        known[:, SCALE] = _relative(coefficients[:, SCALE])
        if np.abs(known - before).max(initial=0.0) < _LAST_STEP:
            break
    return Regressions(
        coefficients=coefficients,
        errors=np.where(np.isnan(coefficients), np.nan, equations.jackknife(coefficients)),
        clusters=equations.clusters,
        battles=np.bincount(seats.judge[equations.rows], minlength=seats.judges),
        kin_battles=np.bincount(
            seats.judge[equations.rows & (seats.columns[:, FAMILY - 1] != 0.0)], minlength=seats.judges
        ),
    )


def mean_of(
    judge: NDArray[np.int64], instruction: NDArray[np.int64], value: NDArray[np.float64], judges: int
) -> Estimates:
    """Each judge's mean of numbers from 0 to 1, clustered by instruction.

    What is the same on each of n instructions has no spread of its own: it may be otherwise on 1 - 0.05^(1/n) of them.
    """
    groups, row = _clusters(judge, instruction)
    clusters = np.bincount(groups, minlength=judges)
    count = np.bincount(judge, minlength=judges).astype(np.float64)
    mean = ratio(sum_by(judge, value, judges), count)
    sums = sum_by(row, value - mean[judge], len(groups))
    spread = sum_by(groups, sums**2, judges) * clusters / np.maximum(clusters - 1, 1)
    error = ratio(np.sqrt(spread), count)
    hidden = may_hide(clusters) / stdtrit(np.maximum(clusters - 1, 1), 0.975)
    return Estimates(mean, np.where(clusters > 1, np.where(error < _NOTHING, hidden, error), np.nan), clusters)


class _Equations(NamedTuple):
    """The normal equations of all judges, as sums over each of the C pairs of a judge and an instruction."""

    judge: NDArray[np.int64]
    """(C,)."""
    products: NDArray[np.float64]
    """(C, 4, 4): of the columns, with the corrected square of the truth."""
    towards: NDArray[np.float64]
    """(C, 4): of the columns and the vote."""
    told: NDArray[np.bool_]
    """(J, 4): columns that the judge's battles tell from its others."""
    rows: NDArray[np.bool_]
    """(S,): seats that count."""

    @property
    def clusters(self) -> NDArray[np.int64]:
        """(J,): instructions of each judge."""
        return np.bincount(self.judge, minlength=len(self.told))

    @property
    def normal(self) -> NDArray[np.float64]:
        """(J, 4, 4)."""
        return _sums(self.judge, self.products, len(self.told))

    def solve(self) -> NDArray[np.float64]:
        """(J, 4): the coefficients; NaN where they are not told."""
        judges = np.arange(len(self.told))
        solved = self._solved(judges, self.normal, _sums(self.judge, self.towards, len(self.told)))
        return np.where(self.told, solved, np.nan)

    def jackknife(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """(J, 4): standard errors, by leaving out one instruction after another."""
        known = np.nan_to_num(coefficients)[self.judge]
        influence = self.towards - np.einsum("cab,cb->ca", self.products, known)
        change = self._solved(self.judge, self.normal[self.judge] - self.products, influence)
        clusters = np.maximum(self.clusters, 1)[:, None]
        centred = change - (_sums(self.judge, change, len(self.told)) / clusters)[self.judge]
        errors: NDArray[np.float64] = np.sqrt(_sums(self.judge, centred**2, len(self.told)) * (clusters - 1) / clusters)
        return errors

    def _solved(
        self, judge: NDArray[np.int64], normal: NDArray[np.float64], right: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The solutions of some systems of these judges, in the columns that are told; zero in the others."""
        told = self.told[judge]
        matrix = np.where(told[:, :, None] & told[:, None, :], normal, 0.0)
        size = np.arange(matrix.shape[-1])
        # So little more makes what is left of nothing as good as infinite, and no matrix singular.
        scale = np.abs(self.normal[judge][:, size, size])
        matrix[:, size, size] += np.where(told, _TOLD**2 * scale, 1.0)
        solved: NDArray[np.float64] = np.linalg.solve(matrix, np.where(told, right, 0.0)[..., None])[..., 0]
        return solved


def _equations(seats: Seats, scale: NDArray[np.float64], bias: NDArray[np.float64]) -> _Equations:
    """The normal equations, given the others' scales and what is to be taken off their votes."""
    size, judges = int(seats.battle.max(initial=-1)) + 1, seats.judges
    free = seats.vote - np.sum(bias[seats.judge, 1:] * seats.columns, axis=1)
    own = scale[seats.judge]

    def others(value: NDArray[np.float64]) -> NDArray[np.float64]:
        kin = sum_by(seats.kin, value, int(seats.kin.max(initial=-1)) + 1)[seats.kin]
        return sum_by(seats.battle, value, size)[seats.battle] - kin

    rows = others(np.ones(len(own))) > 1.5
    total, weight = others(free)[rows], others(own)[rows]
    judge, vote = seats.judge[rows], seats.vote[rows]
    column = np.concatenate([(total / weight)[:, None], seats.columns[rows]], axis=1)
    products = column[:, :, None] * column[:, None, :]
    plain = _sums(judge, products, judges)
    products[:, SCALE, SCALE] = (total**2 - others(free**2)[rows]) / (weight**2 - others(own**2)[rows])
    groups, group = _clusters(judge, seats.instruction[rows])
    by_group = _sums(group, products, len(groups))
    truth = by_group[:, SCALE, SCALE]
    sure = sum_by(groups, truth, judges) > _SURE * np.sqrt(sum_by(groups, truth**2, judges))
    enough = sure & (np.bincount(groups, minlength=judges) > 1)
    return _Equations(
        judge=groups,
        products=by_group,
        towards=_sums(group, column * vote[:, None], len(groups)),
        told=_told(plain) & enough[:, None],
        rows=rows,
    )


def _relative(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales with mean 1, and 1 where unknown."""
    told = ~np.isnan(scale)
    mean = max(float(scale[told].mean()), _LEAST_SCALE) if told.any() else 1.0
    return np.where(told, np.maximum(np.nan_to_num(scale) / mean, _LEAST_SCALE), 1.0)


def _told(plain: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(J, 4): where something is left of a column that the judge's other columns do not explain; none without truth."""
    columns = np.arange(plain.shape[1])
    told = np.zeros(plain.shape[:2], dtype=np.bool_)
    for one in columns:
        rest = columns[columns != one]
        among = np.linalg.pinv(plain[:, rest[:, None], rest], hermitian=True)
        towards = plain[:, one, rest]
        left = plain[:, one, one] - np.einsum("ja,jab,jb->j", towards, among, towards)
        told[:, one] = left > _TOLD * np.maximum(plain[:, one, one], _TOLD)
    return told & told[:, [SCALE]]


def _clusters(judge: NDArray[np.int64], instruction: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The judge of each pair of judge and instruction, and each row's pair."""
    width = int(instruction.max(initial=0)) + 1
    pairs, row = np.unique(judge * width + instruction, return_inverse=True)
    return pairs // width, row


def _sums(index: NDArray[np.int64], value: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(size, …): sums of the rows of `value` by index."""
    shape = value.shape[1:]
    flat = value.reshape(len(value), int(np.prod(shape)))
    return np.stack([sum_by(index, column, size) for column in flat.T], axis=1).reshape(size, *shape)
