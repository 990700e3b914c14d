"""Elo, as the paper has it, made independent of the order of the battles.

WarriorCoder (arXiv 2412.17395): after each battle R_A += K (x(A>B) - X(A>B)) and R_B loses as much, with
K = 40. The result of one pass depends on the order, so we average over many random orders, all of them followed at
once; the paper's published script updates A first and B from the new A, which is not zero-sum.

Every rating of the package is on Elo's scale: 400 points for odds of ten to one, centred on 1000.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating.battles import Battles

CENTRE = 1000.0
"""The rating of an average player, and the one that every player starts from in Elo."""

POINTS_PER_NAT = 400.0 / math.log(10.0)
"""Rating points for one unit of log-odds."""

# 100 orders of a million battles take 400 MB; more are followed in several goes.
_MAX_PERMUTATION_ENTRIES = 100_000_000
_STEPS_AT_ONCE = 2048


def expected_scores(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    """X(A>B) = 1 / (1 + 10^((R_B - R_A) / 400)) for every pair (WarriorCoder, arXiv 2412.17395).

    Args:
        ratings: (N,) in points.

    Returns:
        (N, N): row A, column B; X + X.T is 1 everywhere.
    """
    scores: NDArray[np.float64] = expit((ratings[:, None] - ratings[None, :]) / POINTS_PER_NAT)
    return scores


class EloRatings(NamedTuple):
    """Elo ratings in points; their mean over all players is 1000 (the updates are zero-sum)."""

    ratings: NDArray[np.float64]
    """(N,): mean over the orders; 1000 for a player without a battle."""
    spread: NDArray[np.float64]
    """(N,): standard deviation over the orders: how much one pass alone would depend on its order."""


def elo(battles: Battles, *, seed: int, k: float = 40.0, orders: int = 100) -> EloRatings:
    """Rate by Elo, averaged over seeded random orders of the battles.

    The rows are first sorted, so the order in which they come does not matter; each order has a random stream of its
    own, so the first of them stay the same when more are asked.

    Args:
        battles: the outcomes; a score between 0 and 1 counts as that fraction of a win.
        seed: of the orders, not negative.
        k: points that change hands at most in one battle.
        orders: number of orders, at least 1.

    Raises:
        ValueError: the battles are not battles (see `Battles.checked`), or `orders` is below 1.
    """
    if orders < 1:
        raise ValueError(f"orders is {orders}: at least 1 is needed")
    battles.checked()
    rows = np.lexsort((battles.player_b, battles.player_a, battles.instruction))
    players = np.stack([battles.player_a[rows], battles.player_b[rows]])
    gain = battles.score[rows] * (k / POINTS_PER_NAT)
    at_once = max(1, min(orders, _MAX_PERMUTATION_ENTRIES // max(len(rows), 1)))
    passes = [
        _follow(players, gain, k / POINTS_PER_NAT, battles.players, range(first, min(first + at_once, orders)), seed)
        for first in range(0, orders, at_once)
    ]
    samples = np.concatenate(passes, axis=1) * POINTS_PER_NAT + CENTRE
    return EloRatings(samples.mean(axis=1), samples.std(axis=1))


def _follow(
    players: NDArray[np.int64],
    gain: NDArray[np.float64],
    k: float,
    size: int,
    orders: range,
    seed: int,
) -> NDArray[np.float64]:
    """Ratings in nats around zero, (size, orders), after one pass in each order.

    `players` is (2, M); `gain` is k x, (M,), in nats. One step of the loop is one battle of every order.
    """
    battles = len(gain)
    width = len(orders)
    permutation = np.empty((width, battles), dtype=np.int32)
    for row, order in enumerate(orders):
        permutation[row] = np.random.default_rng([seed, order]).permutation(battles)
    rating = np.zeros(size * width)
    lane = np.arange(width)
    pair = np.empty((2, width))
    rating_a, rating_b = pair
    change = np.empty(width)
    for first in range(0, battles, _STEPS_AT_ONCE):
        upcoming = permutation[:, first : first + _STEPS_AT_ONCE].T
        places = (players[:, upcoming] * width + lane).transpose(1, 0, 2)  # (steps, 2, width)
        for place, gained in zip(np.ascontiguousarray(places), gain[upcoming], strict=True):
            rating.take(place, out=pair, mode="clip")  # in range by construction; "raise" would copy
            np.subtract(rating_a, rating_b, out=change)
            expit(change, out=change)
            change *= -k
            change += gained
            rating_a += change
            rating_b -= change
            rating[place] = pair
    return rating.reshape(size, width)
