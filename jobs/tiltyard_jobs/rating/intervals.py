"""Confidence intervals of Bradley-Terry ratings and of their differences, and the ranks that a player may have.

A value is in the interval of a contrast c of the strengths (a rating, a difference) if the likelihood's maximum under
it lies at most q / 2 below the maximum. The profile of the likelihood is lopsided where the votes are, near certainty,
and its end is open where no vote went the other way. Only q knows that the votes are no independent coins:

    q = w D t^2 + (1 - w) F z^2

- D is the variance of the contrast as a multiple of the likelihood's own variance V. It comes from a jackknife over
  instructions (the outcomes on one hang together: the same two answers before several judges, an instruction that suits
  one player), which allows for the weight of each instruction in the fit (CR3: MacKinnon and Webb, Stata Journal 23,
  2023). Its degrees of freedom are (sum v)^2 / sum v^2, v the variance that the likelihood itself expects from each
  instruction (Bell and McCaffrey, Survey Methodology 28, 2002).
- Where these are fewer than 30, as with few instructions or for a player with one instruction of its own, the rest up
  to 30 comes from M, the variance if all players' votes spread alike (`spread`), as far as there are battles to tell it
  from: D is the mean of both, weighted by the degrees of freedom, as in a moderated t (Smyth, Statistical Applications
  in Genetics and Molecular Biology 3, 2004). t is Student's quantile with their sum.
- w = 1 / (1 + V / 4): near certainty the spread of the votes is seen too rarely to be measured. What is missing is
  filled with F, the geometric mean of a coin's spread, 1, and of M / V (at most 1): graded votes have less than a coin.
  z^2 is the normal quantile. Where no vote at all bounds the contrast, F z^2 = 2 ln 20, exact for n of n wins.

Where all votes are what the ratings expect, such as ties alone, there is no spread to measure: q is then the deviance
of what K instructions may hide, a share of 1 - 0.05^(1/K) of them that went the other way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri, stdtrit

from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import Battles, pair_wins
from tiltyard_jobs.rating.elo import CENTRE, POINTS_PER_NAT
from tiltyard_jobs.rating.spread import Scores, shared_variance

ERROR = 0.05
# An end farther than this from the estimate, in nats (4,343 points), says nothing: it counts as open.
_FAR = 10.0
# More instructions than this are taken together in blocks, which keeps a million outcomes as cheap as a thousand.
_BLOCKS = 512
# Fits are stopped at this step in nats, a fiftieth of a point.
_LAST_STEP = 1e-4
_MAX_STEPS = 100
_RIDGE = 1e-9
_LEAST_SPREAD = 0.05  # of votes, as a multiple of a coin's, that fills what is missing
_NOTHING = 1e-9  # what rounding leaves of no spread
_ENOUGH = 30.0  # degrees of freedom of a jackknife that needs no help


class Intervals(NamedTuple):
    """95% intervals in points. An end is infinite where it is open, NaN where there is nothing to tell it from."""

    low: NDArray[np.float64]
    """(N,): of the ratings."""
    high: NDArray[np.float64]
    gap: NDArray[np.float64]
    """(N,): the rating less that of the next player in the order; NaN for the last, and where they never met."""
    gap_low: NDArray[np.float64]
    gap_high: NDArray[np.float64]
    above: NDArray[np.bool_]
    """(N, N): the votes tell that the row's player is the better one. For each player the chance that one of its
    comparisons is wrong is at most 5% (Bonferroni)."""


def intervals(battles: Battles, order: list[int] | None = None) -> Intervals:
    """Intervals from the likelihood's profile, for votes that hang together within instructions.

    Args:
        battles: the outcomes.
        order: the players by rank; by rating if None.

    Raises:
        ValueError: the battles are not battles.
    """
    size = battles.checked().players
    model = _Model.of(battles)
    ranked = np.argsort(-model.strength, kind="stable") if order is None else np.array(order, dtype=np.int64)
    met = model.same & ~np.eye(size, dtype=np.bool_)
    nothing = np.full(size, np.nan)
    result = Intervals(nothing, nothing, nothing.copy(), nothing.copy(), nothing.copy(), np.zeros_like(met))
    blocks = _Blocks.of(battles, model)
    if blocks is None:
        return result
    upper, lower = (each[met[ranked[:-1], ranked[1:]]] for each in (ranked[:-1], ranked[1:]))
    unit, reach = np.eye(size), model.reach
    contrasts = np.concatenate([unit - model.same / model.same.sum(axis=1, keepdims=True), unit[upper] - unit[lower]])
    # A shift of strengths that costs nothing raises a group and all that are above it.
    closed_low = np.append((reach | ~model.same).all(axis=1), reach[upper, lower])
    closed_high = np.append((reach | ~model.same).all(axis=0), reach[lower, upper])
    unbounded = np.append((model.same & ~model.bounded).any(axis=1), ~model.bounded[upper, lower])
    critical, variance = blocks.critical(contrasts, unbounded, np.full(len(contrasts), ERROR))
    low = _ends(model, contrasts, critical, variance, closed_low, -1.0)
    high = _ends(model, contrasts, critical, variance, closed_high, 1.0)
    rated = np.where(bt.played(model.wins[None])[0], 0.0, np.nan)
    result.gap[upper] = (model.strength[upper] - model.strength[lower]) * POINTS_PER_NAT
    result.gap_low[upper], result.gap_high[upper] = low[size:] * POINTS_PER_NAT, high[size:] * POINTS_PER_NAT
    return result._replace(
        low=low[:size] * POINTS_PER_NAT + CENTRE + rated,
        high=high[:size] * POINTS_PER_NAT + CENTRE + rated,
        above=_told(model, blocks),
    )


def rank_range(above: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The best and the worst rank that each player may have, (N,) each, given who is above whom for certain."""
    return 1 + above.sum(axis=0), len(above) - above.sum(axis=1)


class _Model(NamedTuple):
    """The fit of all outcomes."""

    wins: NDArray[np.float64]
    """(N, N)."""
    same: NDArray[np.bool_]
    """(N, N): in one component."""
    bounded: NDArray[np.bool_]
    """(N, N): votes bound their difference on both sides; see `bradley_terry.Connectivity`."""
    reach: NDArray[np.bool_]
    """(N, N): see `bradley_terry.reach`."""
    precision: NDArray[np.float64]
    """(N,): of the prior."""
    fill: NDArray[np.float64]
    """(N, N): the part of the Hessian that does not come from outcomes."""
    strength: NDArray[np.float64]
    """(N,): in nats, each component centred on zero."""

    @classmethod
    def of(cls, battles: Battles) -> _Model:
        wins = pair_wins(battles)
        graph = bt.connectivity(wins[None])
        same, precision = graph.same[0], graph.prior_precision()[0]
        strength = bt.fit(wins[None], graph)[0]
        strength -= (same / same.sum(axis=1, keepdims=True)) @ strength
        fill = same + np.diag(precision + _RIDGE)
        return cls(wins, same, graph.bounded[0], bt.reach(wins, same, strength), precision, fill, strength)

    def hessian(self, strength: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of the negative log-likelihood at B strengths, (B, N, N), and the log-likelihood's gradient, (B, N)."""
        games = self.wins + self.wins.T
        probability = expit(strength[:, :, None] - strength[:, None, :])
        expected = games * probability
        information = expected * (1.0 - probability)
        hessian = self.fill - information
        diagonal = np.arange(len(games))
        hessian[:, diagonal, diagonal] += information.sum(axis=2)
        return hessian, self.wins.sum(axis=1) - expected.sum(axis=2) - self.precision * strength

    def deviance(self, strength: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,): twice what the log-likelihood loses against its maximum."""

        def likelihood(at: NDArray[np.float64]) -> NDArray[np.float64]:
            loss = np.logaddexp(0.0, at[:, None, :] - at[:, :, None])
            total: NDArray[np.float64] = -np.einsum("ij,bij->b", self.wins, loss) - at**2 @ self.precision / 2
            return total

        return np.maximum(2.0 * (likelihood(self.strength[None]) - likelihood(strength)), 0.0)

    def step(
        self, strength: NDArray[np.float64], contrasts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The Newton step that leaves each contrast as it is, (B, N); the way that changes it by one; its price."""
        hessian, gradient = self.hessian(strength)
        solved = np.linalg.solve(hessian, np.stack([gradient, contrasts], axis=2))
        ascent, way = solved[..., 0], solved[..., 1]
        way = way / np.sum(contrasts * way, axis=1, keepdims=True)
        # The gradient along the contrast: at the maximum under a given value, what a larger value would gain.
        slope = np.sum(gradient * way, axis=1)
        return ascent - np.sum(contrasts * ascent, axis=1, keepdims=True) * way, way, slope


class _Blocks(NamedTuple):
    """Instructions, or blocks of them, and what the fit would be without each."""

    inverse: NDArray[np.float64]
    """(N, N): of the Hessian at the maximum."""
    change: NDArray[np.float64]
    """(K, N): change of the strengths if the block were left out, with the sign turned."""
    own: NDArray[np.float64]
    """(K, N N): the part of the Hessian that comes from the block."""
    shared: NDArray[np.float64]
    """(N, N): variance of the strengths if all players' votes spread alike."""
    most: NDArray[np.float64]
    """(N, N): by how much the scores of a pair's battles, added up, may be other than expected on one side."""
    battles: int
    """Beyond those that the strengths themselves take."""

    @classmethod
    def of(cls, battles: Battles, model: _Model) -> _Blocks | None:
        """The blocks; None for fewer than two instructions: one cannot tell how others would go."""
        size = battles.players
        names, rank = np.unique(battles.instruction, return_inverse=True)
        number = min(len(names), _BLOCKS)
        if number < 2:
            return None
        block = rank * number // len(names)
        a, b = battles.player_a, battles.player_b
        probability = expit(model.strength[a] - model.strength[b])
        scores = Scores(block, a, b, battles.score - probability, probability * (1.0 - probability))
        own = scores.information(scores.weight, size, number)
        hessian = model.hessian(model.strength[None])[0][0]
        inverse = np.linalg.inv(hessian)
        return cls(
            inverse=inverse,
            change=np.linalg.solve(hessian - own, scores.sums(scores.residual, size, number)[..., None])[..., 0],
            own=own.reshape(number, size**2),
            shared=shared_variance(scores, inverse, number),
            most=(model.wins + model.wins.T) * expit(np.abs(model.strength[:, None] - model.strength[None, :])),
            battles=max(len(a) - size + 1, 0),
        )

    def critical(
        self, contrasts: NDArray[np.float64], unbounded: NDArray[np.bool_], error: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(B,): how much deviance is within the interval, and the contrast's variance by the likelihood.

        Args:
            contrasts: (B, N).
            unbounded: (B,): no vote bounds it on one side.
            error: (B,): chance that the interval may miss.
        """
        blocks = len(self.change)
        least = np.finfo(np.float64).tiny
        effect = contrasts @ self.inverse
        variance = np.maximum(np.sum(effect * contrasts, axis=1), least)
        jackknife = np.sum((self.change @ contrasts.T) ** 2, axis=0) * (blocks - 1) / blocks
        expected = self.own @ (effect[:, :, None] * effect[:, None, :]).reshape(len(effect), effect.shape[1] ** 2).T
        freedom = expected.sum(axis=0) ** 2 / np.maximum(np.sum(expected**2, axis=0), least)
        freedom = np.clip(freedom, 1.0, blocks - 1)
        shared = np.sum((contrasts @ self.shared) * contrasts, axis=1)
        more = np.maximum(min(_ENOUGH, self.battles) - freedom, 0.0)
        spread = (freedom * jackknife + more * shared) / (freedom + more) / variance
        # As a difference of one strength from a mean of others: half a gap is no better known than the gap.
        scale = np.maximum(np.sum(np.maximum(contrasts, 0.0), axis=1), np.finfo(np.float32).tiny)
        share = 1.0 / (1.0 + variance / scale**2 / 4.0)
        measured = spread * stdtrit(freedom + more, 1.0 - error / 2) ** 2
        fill = np.sqrt(np.clip(shared / variance, _LEAST_SPREAD, 1.0))
        coin = np.where(unbounded, -2.0 * np.log(error), fill * ndtri(1.0 - error / 2) ** 2)
        found = share * measured + (1.0 - share) * coin
        moved = np.einsum("bij,ij->b", np.abs(effect[:, :, None] - effect[:, None, :]), self.most) / 2.0
        hidden = np.minimum(((1.0 - error ** (1.0 / blocks)) * moved) ** 2 / variance, -2.0 * np.log(error))
        still = (spread < _NOTHING) & ~unbounded
        return np.where(still, np.maximum(found, hidden), found), variance


def _ends(
    model: _Model,
    contrasts: NDArray[np.float64],
    critical: NDArray[np.float64],
    variance: NDArray[np.float64],
    closed: NDArray[np.bool_],
    side: float,
) -> NDArray[np.float64]:
    """(B,): the value on this side (-1 or 1) of each estimate at which the deviance is critical."""
    estimate = contrasts @ model.strength
    ends = np.full(len(contrasts), side * np.inf)
    live = np.flatnonzero(closed & contrasts.any(axis=1))
    c, root = contrasts[live], np.sqrt(critical[live])
    distance = np.minimum(root * np.sqrt(variance[live]), _FAR)
    way = np.linalg.solve(model.hessian(model.strength[None])[0][0], c.T).T
    way /= np.sum(c * way, axis=1, keepdims=True)
    strength = model.strength + side * distance[:, None] * way
    for _ in range(_MAX_STEPS):
        step, way, slope = model.step(strength, c)
        reach = np.ptp(step, axis=1)
        strength += step * bt.damping(reach)[:, None]
        now = np.sqrt(model.deviance(strength))
        # Newton on the root of the deviance, which is almost straight; no step more than doubles the distance.
        wanted = (root - now) * now / np.maximum(np.abs(slope), _RIDGE)
        wanted = np.clip(wanted, -distance / 2, distance + _LAST_STEP)
        wanted = np.minimum(distance + wanted, 2 * _FAR) - distance
        strength += side * wanted[:, None] * way
        distance = distance + wanted
        if max(reach.max(initial=0.0), np.abs(wanted).max(initial=0.0)) < _LAST_STEP:
            break
    ends[live] = np.where(distance < _FAR, estimate[live] + side * distance, side * np.inf)
    return ends


def _told(model: _Model, blocks: _Blocks) -> NDArray[np.bool_]:
    """(N, N): see `Intervals.above`. Equal strength has a deviance beyond the critical one."""
    size = len(model.strength)
    higher = model.strength[:, None] > model.strength[None, :]
    first, second = np.nonzero(higher & model.same)
    unit = np.eye(size)
    c = unit[first] - unit[second]
    error = ERROR / np.maximum(model.same.sum(axis=1)[first] - 1, 1)
    critical, _ = blocks.critical(c, ~model.bounded[first, second], error)
    strength = np.tile(model.strength, (len(c), 1))
    middle = (strength[np.arange(len(c)), first] + strength[np.arange(len(c)), second]) / 2
    strength[np.arange(len(c)), first] = strength[np.arange(len(c)), second] = middle
    for _ in range(_MAX_STEPS):
        step, _, _ = model.step(strength, c)
        reach = np.ptp(step, axis=1)
        strength += step * bt.damping(reach)[:, None]
        if reach.max(initial=0.0) < _LAST_STEP:
            break
    above = np.zeros((size, size), dtype=np.bool_)
    above[first, second] = model.deviance(strength) > critical
    return above
