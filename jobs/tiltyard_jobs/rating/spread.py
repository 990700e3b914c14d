"""How far votes spread about what the ratings say, by two numbers that all players share.

A jackknife tells the variance of a rating without a model, but from few instructions it tells it badly; of a player
whose own instruction brought most of its battles, from one draw. What all battles say together is less exact of any
player, and far better known: the score of a battle has `noise` times the variance of a coin, and each answer has a luck
in nats, of variance `luck`, which all battles of that answer share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from tiltyard_jobs.rating.battles import sum_by


class Scores(NamedTuple):
    """M battles on K instructions between N players, at the ratings' fit."""

    instruction: NDArray[np.int64]
    """(M,): in 0..K-1."""
    player_a: NDArray[np.int64]
    player_b: NDArray[np.int64]
    residual: NDArray[np.float64]
    """(M,): the score less what the ratings expect."""
    weight: NDArray[np.float64]
    """(M,): p (1 - p), the variance of a coin."""

    def sums(self, value: NDArray[np.float64], size: int, number: int) -> NDArray[np.float64]:
        """(K, N): of the battles' values, with the other sign for player B."""
        row = self.instruction * size
        total = sum_by(row + self.player_a, value, number * size) - sum_by(row + self.player_b, value, number * size)
        return total.reshape(number, size)

    def information(self, value: NDArray[np.float64], size: int, number: int) -> NDArray[np.float64]:
        """(K, N, N): the sum of v x x' over the battles; v their values, x the difference of two players."""
        row = (self.instruction * size + self.player_a) * size + self.player_b
        pairs = sum_by(row, value, number * size**2).reshape(number, size, size)
        total = -(pairs + pairs.swapaxes(1, 2))
        diagonal = np.arange(size)
        total[:, diagonal, diagonal] -= total.sum(axis=2)
        return total


def shared_variance(scores: Scores, inverse: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """(N, N): the variance of the strengths if `noise` and `luck` are the same for all players.

    Both come from the squares of the residuals of the battles and of their sums for each player and instruction. The
    mean of each is computed exactly, as the fit has taken its part of the residuals; neither number is negative.

    Args:
        scores: of the fit.
        inverse: (N, N), of the Hessian of the negative log-likelihood.
        number: K.
    """
    size, weight = len(inverse), scores.weight
    own = scores.information(weight, size, number)
    squared = scores.information(weight**2, size, number)
    taken = own @ inverse
    # The variance of the sums, (K, N, N), for a unit of each number.
    parts = (own, own @ own)
    alone = (weight.sum(), 2.0 * np.sum(weight**2))
    crossed = (2.0 * np.sum(inverse * squared.sum(axis=0)), 2.0 * np.sum((inverse @ own) * squared))
    means = np.empty((2, 2))
    for part, variance in enumerate(parts):
        whole = variance.sum(axis=0)
        means[0, part] = alone[part] - crossed[part] + np.sum((inverse @ whole @ inverse) * squared.sum(axis=0))
        left = variance - 2.0 * taken @ variance + taken @ whole @ taken.swapaxes(1, 2)
        means[1, part] = np.trace(left, axis1=1, axis2=2).sum()
    found = np.array([np.sum(scores.residual**2), np.sum(scores.sums(scores.residual, size, number) ** 2)])
    scale = np.maximum(np.abs(means).sum(axis=1), np.finfo(np.float64).tiny)
    (noise, luck), _ = nnls(means / scale[:, None], found / scale)
    shared: NDArray[np.float64] = inverse @ (noise * parts[0] + luck * parts[1]).sum(axis=0) @ inverse
    return shared
