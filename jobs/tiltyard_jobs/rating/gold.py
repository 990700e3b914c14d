"""Gold answers: the best answer to each instruction, by local and global score together.

The final score of A's answer (WarriorCoder, arXiv 2412.17395) puts together what the judges said of this answer and
what is known of its author: alpha X(A>B) + (1 - alpha) x(A>B). The paper sums over the opponents B; here it is the
mean, as an attacker meets every other player on its own instruction and a defender the attacker alone. Where all pairs
are played the order is the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.battles import Battles, ratio, sum_by
from tiltyard_jobs.rating.elo import expected_scores

_TIE = 1e-9
"""Scores this close are tied: sums of the same votes in another order differ by less, different votes by far more."""


class Gold(NamedTuple):
    """One row for each of the I instructions."""

    player: NDArray[np.int64]
    """(I,): whose answer is the gold answer; -1 where no answer has a score."""
    margin: NDArray[np.float64]
    """(I,): its score less the second best; 0 for a tie, NaN without a second."""
    scores: NDArray[np.float64]
    """(I, N): final score in [0, 1] of each answer; NaN for one that is out or met nobody."""


def gold_answers(
    battles: Battles,
    ratings: NDArray[np.float64],
    *,
    instructions: int,
    alpha: float = 0.7,
    answered: NDArray[np.bool_] | None = None,
) -> Gold:
    """Score every answer and pick the best of each instruction.

    Ties go to the player with the higher rating, then to the one with the lower index.

    Args:
        battles: the judged battles, with instructions in 0..instructions-1; those without a score are left out before.
        ratings: (N,) Elo ratings in points.
        instructions: I, instructions without a battle included.
        alpha: weight of the global expectation X against the local score x, in [0, 1].
        answered: (I, N), False where the player's answer is void: it is out, and so are its battles. None: none is.

    Raises:
        ValueError: the battles are not battles, an instruction is out of range, `alpha` is outside [0, 1], a player
            with a battle has no rating, or `answered` has another shape.
    """
    battles.checked()
    size = battles.players
    _check(battles, ratings, instructions, alpha, answered)
    if answered is not None:
        both = answered[battles.instruction, battles.player_a] & answered[battles.instruction, battles.player_b]
        battles = battles.select(both)
    instruction, a, b, score = battles.instruction, battles.player_a, battles.player_b, battles.score
    expected = expected_scores(ratings)
    place = np.concatenate([instruction * size + a, instruction * size + b])
    value = np.concatenate(
        [alpha * expected[a, b] + (1.0 - alpha) * score, alpha * expected[b, a] + (1.0 - alpha) * (1.0 - score)]
    )
    cells = instructions * size
    scores = np.reshape(ratio(sum_by(place, value, cells), sum_by(place, np.ones(len(place)), cells)), (-1, size))
    return _best(scores, ratings)


def _best(scores: NDArray[np.float64], ratings: NDArray[np.float64]) -> Gold:
    known = np.where(np.isnan(scores), -np.inf, scores)
    highest = known.max(axis=1, keepdims=True, initial=-np.inf)
    # Players in order of preference; -ratings sorts NaN last, and a stable sort keeps the lower index first.
    preference = np.argsort(-ratings, kind="stable")
    tied = (known >= highest - _TIE)[:, preference]
    rows = np.arange(len(scores))
    player = preference[tied.argmax(axis=1)] if scores.shape[1] else np.zeros(len(scores), dtype=np.int64)
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
