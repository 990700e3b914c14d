"""How much the result hangs on the jury: two rankings, and two sets of gold answers, side by side."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Stability(NamedTuple):
    """Agreement of two juries on the same answers."""

    kendall: float
    """Kendall's tau-b of the ratings, in [-1, 1]; NaN where fewer than two players or a jury sees no difference."""
    spearman: float
    """Spearman's rank correlation, ties at their mean rank; NaN as above."""
    same_leader: bool
    """The same player is on top (the lower index of equals)."""
    gold_agreement: float
    """Share of the instructions, of those with a gold answer from both, in which it is the same; NaN for none."""
    gold_compared: int
    """Number of those instructions."""


def rank_stability(
    ratings: NDArray[np.float64],
    other_ratings: NDArray[np.float64],
    gold: NDArray[np.int64],
    other_gold: NDArray[np.int64],
) -> Stability:
    """Compare two juries.

    Args:
        ratings: (N,) of one jury; players without a rating (NaN) in either are left out.
        other_ratings: (N,) of the other.
        gold: (I,) player of each gold answer, -1 for none.
        other_gold: (I,) of the other, for the same instructions.

    Raises:
        ValueError: shapes differ.
    """
    if np.shape(ratings) != np.shape(other_ratings) or np.shape(gold) != np.shape(other_gold):
        raise ValueError("the two juries differ in their number of players or instructions")
    rated = ~(np.isnan(ratings) | np.isnan(other_ratings))
    first, second = ratings[rated], other_ratings[rated]
    compared = (gold >= 0) & (other_gold >= 0)
    number = int(compared.sum())
    return Stability(
        kendall=_correlation(_signs(first), _signs(second)),
        spearman=_correlation(_centred_ranks(first), _centred_ranks(second)),
        same_leader=bool(len(first) and first.argmax() == second.argmax()),
        gold_agreement=float((gold == other_gold)[compared].mean()) if number else float("nan"),
        gold_compared=number,
    )


def _signs(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, N): 1 where the row's player is above the column's, -1 below, 0 equal."""
    signs: NDArray[np.float64] = np.sign(ratings[:, None] - ratings[None, :])
    return signs


def _centred_ranks(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Twice the rank of each, ties at their mean, less its mean over the players."""
    return np.asarray(_signs(ratings).sum(axis=1), dtype=np.float64)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Cosine: Kendall's tau-b of sign matrices, Spearman's rho of centred ranks; NaN where one of them is zero."""
    norm = float(np.sqrt(np.sum(first * first) * np.sum(second * second)))
    return float(np.sum(first * second)) / norm if norm > 0.0 else float("nan")
