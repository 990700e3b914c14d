"""Ratings with a covariate: what is left of a player's lead once something else than its strength is accounted for.

A number z of each battle, in [-1, 1], stands beside the players in the logistic regression of the outcome,

    logit P(a beats b) = s_a - s_b + c z,

with scores between 0 and 1 as fractions of a win. Two such numbers are in use:

- *Length*: the normalised difference of the answers' lengths, z = (|a| - |b|) / (|a| + |b|): style control as in
  Chatbot Arena.
- *Home*: 1 where a answers an instruction of its own, -1 where b does. c is then what that is worth.

c has a normal prior of standard deviation 10, which is flat for any real jury and keeps c finite where z alone decides
everything; the players have one where `bradley_terry` has one. Intervals come from the sandwich estimator clustered by
instruction, as the rows no longer collapse to sums per pair. That of c is never narrower than one instruction of coins
in all would make it: votes without any spread (nothing but ties) would give an interval without width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import Battles, pair_wins, sum_by
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT

_LAST_STEP = 1e-6
_MAX_STEPS = 200
_NORMAL_975 = 1.959963984540054


class CovariateRatings(NamedTuple):
    """Ratings where the covariate is zero, in points, with 95% intervals."""

    ratings: NDArray[np.float64]
    """(N,): each component centred on 1000, as in `bradley_terry`; NaN for a player without a battle."""
    low: NDArray[np.float64]
    """(N,)."""
    high: NDArray[np.float64]
    """(N,)."""
    worth: float
    """Points that an answer gains as z goes from 0 to 1. NaN without battles."""
    worth_low: float
    """NaN where the votes cannot tell."""
    worth_high: float


def length_difference(length_a: NDArray[np.float64], length_b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(|a| - |b|) / (|a| + |b|), in [-1, 1], and 0 where both are empty. Any unit of length will do."""
    total = length_a + length_b
    difference = np.zeros(np.shape(total))
    np.divide(length_a - length_b, total, out=difference, where=total > 0)
    return difference


def home_side(battles: Battles, attacker: NDArray[np.int64]) -> NDArray[np.float64]:
    """(M,): 1 where player a wrote the instruction, -1 where b did, 0 where neither; `attacker`: of each one."""
    author = attacker[battles.instruction]
    side: NDArray[np.float64] = (battles.player_a == author).astype(np.float64) - (battles.player_b == author)
    return side


def with_covariate(battles: Battles, covariate: NDArray[np.float64]) -> CovariateRatings:
    """Rate beside a covariate.

    Args:
        battles: the outcomes.
        covariate: (M,), z of each battle, in [-1, 1], for player a against player b.

    Raises:
        ValueError: the battles are not battles, or `covariate` has another length or is not finite.
    """
    battles.checked()
    if np.shape(covariate) != np.shape(battles.score) or not np.isfinite(covariate).all():
        raise ValueError("the covariate must be one finite number for each battle")
    size = battles.players
    wins = pair_wins(battles)[None]
    graph = bt.connectivity(wins)
    same = graph.same[0]
    parameters, hessian = _fit(battles, covariate, same, graph.prior_precision()[0])
    covariance = _sandwich(battles, covariate, parameters, hessian)
    centring = np.eye(size) - same / same.sum(axis=1, keepdims=True)
    error = np.sqrt(np.maximum(np.diag(centring @ covariance[:size, :size] @ centring.T), 0.0))
    ratings = (centring @ parameters[:size]) * POINTS_PER_NAT + CENTRE
    absent = ~bt.played(wins)[0]
    ratings[absent] = np.nan
    margin = _NORMAL_975 * error * POINTS_PER_NAT
    worth = float(parameters[size]) * POINTS_PER_NAT if len(battles.score) else np.nan
    # Where the players alone explain the covariate (one attacker, equal lengths), the prior is all that is known of c.
    coins = float(np.linalg.inv(hessian)[size, size])
    told = 1.0 / coins > 2.0 * bt.PRIOR_PRECISION
    # np.maximum passes NaN on: fewer than two instructions have no interval.
    least = coins / max(len(np.unique(battles.instruction)), 1)
    worth_error = np.sqrt(np.maximum(covariance[size, size], least)) if told else np.nan
    worth_margin = _NORMAL_975 * float(worth_error) * POINTS_PER_NAT
    return CovariateRatings(
        ratings=ratings,
        low=ratings - margin,
        high=ratings + margin,
        worth=worth,
        worth_low=worth - worth_margin,
        worth_high=worth + worth_margin,
    )


def _fit(
    battles: Battles, z: NDArray[np.float64], same: NDArray[np.bool_], prior: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Damped Newton, as in `bradley_terry.fit`: strengths and coefficient, (N + 1,), and the Hessian there."""
    size = battles.players
    precision = np.append(prior, bt.PRIOR_PRECISION)
    parameters = np.zeros(size + 1)
    for _ in range(_MAX_STEPS):
        probability = _probability(battles, z, parameters)
        residual = battles.score - probability
        gradient = np.append(_per_player(battles, residual), residual @ z) - precision * parameters
        hessian = _information(battles, z, probability * (1.0 - probability)) + np.diag(precision)
        hessian[:size, :size] += same  # fills the directions in which the likelihood is flat
        step = np.linalg.solve(hessian, gradient)
        # The most that any row's log-odds can change: z lies in [-1, 1].
        reach = np.atleast_1d(np.ptp(step[:size]) + abs(step[size]))
        parameters += step * bt.damping(reach)
        if reach[0] < _LAST_STEP:
            return parameters, hessian
    raise ArithmeticError(f"no convergence of the fit with a covariate after {_MAX_STEPS} steps")


def _probability(battles: Battles, z: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,): that player a wins."""
    strength = parameters[:-1]
    probability: NDArray[np.float64] = expit(
        strength[battles.player_a] - strength[battles.player_b] + parameters[-1] * z
    )
    return probability


def _per_player(battles: Battles, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): sum of `value` over the battles in which the player is a, less those in which it is b."""
    return sum_by(battles.player_a, value, battles.players) - sum_by(battles.player_b, value, battles.players)


def _information(battles: Battles, z: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N + 1, N + 1): Hessian of the negative log-likelihood, of rows with this weight p (1 - p)."""
    size = battles.players
    pairs = np.reshape(sum_by(battles.player_a * size + battles.player_b, weight, size * size), (size, size))
    pairs = pairs + pairs.T
    information = np.empty((size + 1, size + 1))
    information[:size, :size] = np.diag(pairs.sum(axis=1)) - pairs
    information[:size, size] = information[size, :size] = _per_player(battles, weight * z)
    information[size, size] = weight @ z**2
    return information


def _sandwich(
    battles: Battles,
    z: NDArray[np.float64],
    parameters: NDArray[np.float64],
    hessian: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Covariance of strengths and coefficient, (N + 1, N + 1), clustered by instruction; NaN for fewer than two."""
    wide = battles.players + 1
    names, cluster = np.unique(battles.instruction, return_inverse=True)
    clusters = len(names)
    if clusters < 2:
        return np.full((wide, wide), np.nan)
    residual = battles.score - _probability(battles, z, parameters)
    # (clusters, N + 1): the gradient of each instruction's log-likelihood.
    first = cluster * wide
    places = np.concatenate([first + battles.player_a, first + battles.player_b, first + battles.players])
    values = np.concatenate([residual, -residual, residual * z])
    gradients = np.reshape(sum_by(places, values, clusters * wide), (clusters, wide))
    bread = np.linalg.inv(hessian)
    covariance: NDArray[np.float64] = bread @ (gradients.T @ gradients) @ bread * (clusters / (clusters - 1))
    return covariance
