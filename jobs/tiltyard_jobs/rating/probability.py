"""Votes by probabilities, calibrated: each judge's scale and position, from its two orders.

The one-token probabilities of a small model lie near one half, however sure it is, and are moved by the place of an
answer. With x a judge's log-odds for the attacker in one order, +1 or -1 the sign s of that order, and y the side that
it takes in the other one (1 the attacker's, 0 the defender's, 1/2 a tie), both free of the shift,

    logit P(y) = scale (x - position s)

says how likely the judge is to take that side again: a vote that means what it says. `position` is the mean half
difference of the log-odds in the two orders; `scale`, the inverse of a temperature, is found by maximum likelihood. Its
standard error is a sandwich by instruction. What cannot be told stays as it is: a judge with too few battles in both
orders, one whose scale is not for sure above zero, and one that gives certainties (0, 1/2, 1) in place of
probabilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from tiltyard_jobs.rating.battles import sum_by
from tiltyard_jobs.rating.votes import Matches, Verdicts, group

FEWEST = 30
"""Battles in both orders, at least."""
_SURE = 3.0  # standard errors of the scale above zero
_LEAST = 1e-6  # from certainty: log-odds of 14
_STEPS = 100
_LAST_STEP = 1e-9
_MOST = 50.0  # a scale beyond: each side is taken again whatever the probability


class Scales(NamedTuple):
    """Of J judges; NaN: it cannot be told, and the judge's votes stay."""

    position: NDArray[np.float64]
    """Log-odds that the answer shown first has beyond its due."""
    scale: NDArray[np.float64]
    error: NDArray[np.float64]
    """Standard errors of the scales."""
    battles: NDArray[np.int64]
    """Judged in both orders."""


def scales(verdicts: Verdicts) -> Scales:
    """Each judge's position and scale."""
    matches = group(verdicts)
    first, second = _orders(verdicts, matches)
    judge = matches.seat_judge
    both = ~np.isnan(first) & ~np.isnan(second)
    rank = np.unique(verdicts.instruction, return_inverse=True)[1][matches.first][matches.seat_battle]
    position, scale, error = (np.full(verdicts.judges, np.nan) for _ in range(3))
    battles = np.bincount(judge[both], minlength=verdicts.judges)
    for one in range(verdicts.judges):
        rows = both & (judge == one)
        shares = np.concatenate([first[rows], second[rows]])
        if battles[one] < FEWEST or np.isin(shares, (0.0, 0.5, 1.0)).mean() > 0.5:
            continue
        ab, ba = _odds(first[rows]), _odds(second[rows])
        shift = float(np.mean(ab - ba)) / 2.0
        ab, ba = ab - shift, ba + shift
        x = np.concatenate([ab, ba])
        y = (np.sign(np.concatenate([ba, ab])) + 1.0) / 2.0
        found, spread = _fit(x, y, np.concatenate([rank[rows], rank[rows]]))
        if found > _SURE * spread:
            position[one], scale[one], error[one] = shift, found, spread
    return Scales(position, scale, error, battles)


def calibrated(verdicts: Verdicts, fitted: Scales) -> Verdicts:
    """The verdicts with the votes of judges that are calibrated."""
    position, scale = fitted.position[verdicts.judge], fitted.scale[verdicts.judge]
    shown = np.where(verdicts.attacker_first, position, -position)
    vote = expit(scale * (_odds(verdicts.vote) - shown))
    return verdicts._replace(vote=np.where(np.isnan(scale), verdicts.vote, vote))


def _orders(verdicts: Verdicts, matches: Matches) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(S,) each: the vote of each judge on each battle with the attacker first, and second; NaN for none."""
    votes = np.full((2, len(matches.seat_battle)), np.nan)
    votes[verdicts.attacker_first.astype(np.int64), matches.seat] = verdicts.vote
    return votes[1], votes[0]


def _odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(share, _LEAST, 1.0 - _LEAST)), dtype=np.float64)


def _fit(x: NDArray[np.float64], y: NDArray[np.float64], instruction: NDArray[np.int64]) -> tuple[float, float]:
    """Scale and standard error of a logistic regression without a constant, with x of unit spread on the way."""
    unit = float(np.sqrt(np.mean(x**2)))
    if unit == 0.0:
        return 0.0, np.inf
    z, scale = x / unit, 0.0
    for _ in range(_STEPS):
        p = expit(scale * z)
        # The prior of one battle of ties keeps a judge that never changes sides finite.
        step = (z @ (y - p) - (expit(scale) - 0.5)) / (z**2 @ (p * (1.0 - p)) + 0.25)
        scale = min(max(scale + float(np.clip(step, -1.0, 1.0)), -_MOST), _MOST)
        if abs(step) < _LAST_STEP:
            break
    p = expit(scale * z)
    clusters = sum_by(instruction, z * (y - p), int(instruction.max(initial=0)) + 1)
    bread = float(z**2 @ (p * (1.0 - p))) + 0.25
    return scale / unit, float(np.sqrt(np.sum(clusters**2))) / bread / unit
