"""Controls beside the gold answers: what simpler rules would pick, and how much of the gold comes from the votes.

A jury that picks what the longest answer, the leader alone or chance would pick as well is not worth its price. The
share of gold answers that the ratings alone would have picked, without a vote on the instruction itself, is the
*zero-verdict agreement*.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.battles import Battles, ratio, sum_by

RATINGS, VOTES, LEADER, LONGEST, AGREED, RANDOM = "Ratings", "Votes", "Leader", "Longest", "MostAgreed", "Random"
_DIGITS = 9  # equal likeness of equal texts, however a machine adds


class Control(NamedTuple):
    """What a rule would have picked, over the instructions that have a gold answer."""

    name: str
    same: float
    """Share of them in which it picks the gold answer."""
    win_rate: float
    """Mean share of the votes that its picks won in their battles."""


def shares_of(battles: Battles, instructions: int) -> NDArray[np.float64]:
    """(I, N): the mean share of the votes that each answer won in its battles; NaN where it met nobody."""
    size = battles.players
    place = np.concatenate([battles.instruction * size + side for side in (battles.player_a, battles.player_b)])
    won = sum_by(place, np.concatenate([battles.score, 1.0 - battles.score]), instructions * size)
    return ratio(won, sum_by(place, np.ones(len(place)), instructions * size)).reshape(instructions, size)


def controls(
    gold: NDArray[np.int64], shares: NDArray[np.float64], picks: dict[str, NDArray[np.int64]]
) -> tuple[Control, ...]:
    """Each rule beside the gold, and chance.

    Args:
        gold: (I,) whose answer is the gold answer; -1 for none.
        shares: (I, N), see `shares_of`.
        picks: (I,) by rule: whose answer it picks; -1 for none.
    """
    rows = np.flatnonzero(gold >= 0)
    if not len(rows):
        return ()
    found = []
    for name, picked in {"Gold": gold, **picks}.items():
        chosen = picked[rows]
        there = rows[chosen >= 0]
        won = shares[there, picked[there]]
        found.append(Control(name, float(np.mean(chosen == gold[rows])), _mean(won[~np.isnan(won)])))
    known = ~np.isnan(shares[rows])
    by_chance = np.nanmean(shares[rows], axis=1)
    found.append(Control(RANDOM, float(np.mean(1.0 / known.sum(axis=1))), float(np.mean(by_chance))))
    return tuple(found)


def longest(lengths: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(I,): whose answer is the longest of those that are there; the lower index of equals, -1 for none."""
    return _highest(np.where(there, lengths, -np.inf))


def most_agreed(vectors: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(I,): whose answer is most like the others, by the mean cosine; -1 where fewer than two are there.

    Args:
        vectors: (I, N, D), of unit norm.
        there: (I, N).
    """
    present = np.where(there[:, :, None], vectors, 0.0)
    likeness = np.einsum("ind,id->in", present, present.sum(axis=1))
    found = _highest(np.where(there, np.round(likeness, _DIGITS), -np.inf))
    return np.where(there.sum(axis=1) > 1, found, -1)


def _highest(values: NDArray[np.float64]) -> NDArray[np.int64]:
    best = values.argmax(axis=1) if values.shape[1] else np.zeros(len(values), dtype=np.int64)
    return np.where(np.isfinite(values.max(axis=1, initial=-np.inf)), best, -1).astype(np.int64)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
