"""Gold answers: the best answer to each instruction, by local and global score together.

What is known of A against B puts together what the judges said of these two answers and what is known of their authors:
alpha X(A>B) + (1 - alpha) x(A>B) (WarriorCoder, arXiv 2412.17395). Three rules make it a choice among all answers:

- `Pairwise`: each defender against the attacker, whom alone it met. The attacker's answer is gold unless a defender's
  value against it exceeds one half; the largest wins. So an answer that lost to another never beats it by what it won
  against a third.
- `Mean`: the mean over an answer's opponents. Where all pairs meet, each mean is over the same opponents; where an
  attacker meets every other and a defender the attacker alone, the attacker's is helped by every weak defender.
- `Sum`: the paper's sum over the opponents, which an attacker, having N - 1 of them, wins nearly always.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from tiltyard_jobs.contracts.vocabulary import GoldRule
from tiltyard_jobs.rating.battles import Battles, ratio, sum_by
from tiltyard_jobs.rating.elo import POINTS_PER_NAT

_TIE = 1e-9
"""Scores this close are tied: sums of the same votes in another order differ by less, different votes by far more."""


class Gold(NamedTuple):
    """One row for each of the I instructions."""

    player: NDArray[np.int64]
    """(I,): whose answer is the gold answer; -1 where no answer has a score."""
    margin: NDArray[np.float64]
    """(I,): its score less the second best; 0 for a tie, NaN without a second."""
    scores: NDArray[np.float64]
    """(I, N): score of each answer; NaN for one that is out or met nobody. Pairwise: a defender's against the attacker,
    and one half, the score that is to be exceeded, for the attacker."""


def gold_answers(
    battles: Battles,
    ratings: NDArray[np.float64],
    *,
    instructions: int,
    alpha: float = 0.7,
    answered: NDArray[np.bool_] | None = None,
    rule: GoldRule = "Pairwise",
    home: float | NDArray[np.float64] = 0.0,
) -> Gold:
    """Score every answer and pick the best of each instruction.

    Ties go to the attacker (Pairwise), then to the player with the higher rating, then to the one with the lower index.

    Args:
        battles: the judged battles, with instructions in 0..instructions-1; those without a score are left out before.
            Pairwise: player a is the attacker.
        ratings: (N,) in points.
        instructions: I, instructions without a battle included.
        alpha: weight of the global expectation X against the local score x, in [0, 1].
        answered: (I, N), False where the player's answer is void: it is out, and so are its battles. None: none is.
        rule: see the module.
        home: points that player a has above its rating in each battle, (M,) or one number, for X: what it is worth to
            answer one's own instruction; see `covariate.home_side`.

    Raises:
        ValueError: the battles are not battles, an instruction is out of range, `alpha` is outside [0, 1], a player
            with a battle has no rating, `answered` has another shape, or an instruction has several attackers.
    """
    battles.checked()
    size = battles.players
    _check(battles, ratings, instructions, alpha, answered)
    home = np.broadcast_to(home, np.shape(battles.score))
    if answered is not None:
        both = answered[battles.instruction, battles.player_a] & answered[battles.instruction, battles.player_b]
        battles, home = battles.select(both), home[both]
    instruction, a, b = battles.instruction, battles.player_a, battles.player_b
    expected = expit((ratings[a] - ratings[b] + home) / POINTS_PER_NAT)
    value = alpha * expected + (1.0 - alpha) * battles.score
    preference = np.argsort(-ratings, kind="stable")  # NaN is last, and the lower index first of equals
    if rule == "Pairwise":
        attacker = np.full(instructions, -1)
        attacker[instruction] = a
        if np.any(attacker[instruction] != a):
            raise ValueError("an instruction has several attackers: Pairwise compares each defender with the one")
        scores = np.full((instructions, size), np.nan)
        scores[instruction, b] = 1.0 - value
        scores[instruction, a] = 0.5
        return _best(scores, preference, attacker)
    place = np.concatenate([instruction * size + a, instruction * size + b])
    sums = sum_by(place, np.concatenate([value, 1.0 - value]), instructions * size)
    met = sum_by(place, np.ones(len(place)), instructions * size)
    scores = np.reshape(ratio(sums, met if rule == "Mean" else np.minimum(met, 1.0)), (-1, size))
    return _best(scores, preference, None)


def _best(scores: NDArray[np.float64], preference: NDArray[np.int64], attacker: NDArray[np.int64] | None) -> Gold:
    """The highest of each row; among equals the attacker, then the first of `preference`."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    highest = known.max(axis=1, keepdims=True, initial=-np.inf)
    tied = known >= highest - _TIE
    rows = np.arange(len(scores))
    player = preference[tied[:, preference].argmax(axis=1)] if scores.shape[1] else np.zeros(len(scores), np.int64)
    if attacker is not None:
        player = np.where(tied[rows, attacker], attacker, player)
    scored = np.isfinite(highest[:, 0])

    others = known.copy()
    others[rows, player] = -np.inf
    second = others.max(axis=1, initial=-np.inf)
    margin = np.full(len(scores), np.nan)
    paired = scored & np.isfinite(second)
    margin[paired] = highest[paired, 0] - second[paired]
    margin[margin < _TIE] = 0.0
    return Gold(np.where(scored, player, -1).astype(np.int64), margin, scores)


def _check(
    battles: Battles,
    ratings: NDArray[np.float64],
    instructions: int,
    alpha: float,
    answered: NDArray[np.bool_] | None,
) -> None:
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is {alpha}: a number from 0 to 1 is needed")
    if battles.players < 2 or np.shape(ratings) != (battles.players,):
        raise ValueError(
            f"{battles.players} players and ratings of shape {np.shape(ratings)}: one for each of two or more"
        )
    if answered is not None and np.shape(answered) != (instructions, battles.players):
        raise ValueError(f"answered has shape {np.shape(answered)}, not {(instructions, battles.players)}")
    if len(battles.score):
        if battles.instruction.min() < 0 or battles.instruction.max() >= instructions:
            raise ValueError(f"a battle's instruction is outside 0..{instructions - 1}")
        if np.isnan(ratings[battles.player_a]).any() or np.isnan(ratings[battles.player_b]).any():
            raise ValueError("a player with a battle has no rating")
