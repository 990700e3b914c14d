"""Battles: one row for each match on one instruction, with its local score; what every rating starts from.

Beside them the sums over columns that the rest of the package needs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Battles(NamedTuple):
    """Columns of equal length M, one row for each battle that was judged."""

    instruction: NDArray[np.int64]
    player_a: NDArray[np.int64]
    """The attacker, in 0..players-1."""
    player_b: NDArray[np.int64]
    """The defender, in 0..players-1; never the attacker."""
    score: NDArray[np.float64]
    """Local score x(A>B) in [0, 1]: 1 a win, 0 a loss, 1/2 a tie."""
    players: int
    """N, players without a battle included."""

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Battles:
        """The battles of these rows: a mask, or indices in any order and number."""
        return Battles(self.instruction[rows], self.player_a[rows], self.player_b[rows], self.score[rows], self.players)

    def turned(self, rows: NDArray[np.bool_]) -> Battles:
        """The same battles, with the players of these rows exchanged."""
        return self._replace(
            player_a=np.where(rows, self.player_b, self.player_a),
            player_b=np.where(rows, self.player_a, self.player_b),
            score=np.where(rows, 1.0 - self.score, self.score),
        )

    def checked(self) -> Battles:
        """The same battles, once it is sure that they are battles.

        Raises:
            ValueError: columns of different lengths, a player out of range or against itself, a score outside [0, 1].
        """
        lengths = {len(self.instruction), len(self.player_a), len(self.player_b), len(self.score)}
        if len(lengths) != 1:
            raise ValueError(f"battle columns differ in length: {sorted(lengths)}")
        if not len(self.score):
            return self
        lowest = min(self.player_a.min(), self.player_b.min())
        highest = max(self.player_a.max(), self.player_b.max())
        if lowest < 0 or highest >= self.players:
            raise ValueError(f"a battle names player {lowest if lowest < 0 else highest} of {self.players}")
        if np.any(self.player_a == self.player_b):
            raise ValueError("a battle sets a player against itself")
        if not (self.score.min() >= 0.0 and self.score.max() <= 1.0):  # `not` also catches NaN
            raise ValueError("a battle's score is outside [0, 1]")
        return self


class WinRates(NamedTuple):
    """The win-rate matrix."""

    rate: NDArray[np.float64]
    """(N, N): mean local score of the row's player against the column's; NaN where they never met."""
    battles: NDArray[np.int64]
    """(N, N): number of battles, symmetric, zero on the diagonal."""


def pair_wins(battles: Battles) -> NDArray[np.float64]:
    """(N, N): sum of the local scores of the row's player against the column's; a tie is half a win to each."""
    size = battles.players
    forward = sum_by(battles.player_a * size + battles.player_b, battles.score, size * size)
    backward = sum_by(battles.player_b * size + battles.player_a, 1.0 - battles.score, size * size)
    return np.reshape(forward + backward, (size, size))


def win_rates(battles: Battles) -> WinRates:
    """Mean local score and number of battles for every pair."""
    size = battles.players
    met = np.bincount(battles.player_a * size + battles.player_b, minlength=size * size).reshape(size, size)
    count = met + met.T
    return WinRates(ratio(pair_wins(battles), count.astype(np.float64)), count)


def sum_by(index: NDArray[np.integer], value: NDArray[np.float64 | np.bool_], size: int) -> NDArray[np.float64]:
    """(size,): sum of `value` over the rows of each `index` in 0..size-1; zero where there is none."""
    sums: NDArray[np.float64] = np.asarray(np.bincount(index, value, minlength=size), dtype=np.float64)
    return sums


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient of two arrays of one shape, NaN where the denominator is not positive."""
    quotient = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient


def may_hide(cases: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of all cases that may be otherwise where none of these is: the 95% bound of a binomial, exact."""
    bound: NDArray[np.float64] = 1.0 - 0.05 ** (1.0 / np.maximum(cases, 1))
    return bound
