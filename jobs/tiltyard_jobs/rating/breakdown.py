"""Ratings over a part of the instructions: of one kind, one difficulty, one attacker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating.battles import Battles, pair_wins, ratio
from tiltyard_jobs.rating.bradley_terry import bradley_terry
from tiltyard_jobs.rating.intervals import intervals

FEWEST = 5
"""Instructions of a part, at least; fewer have no interval that says anything."""
MOST = 16
"""Parts by one column, at most: those with the most instructions."""


class Part(NamedTuple):
    """The ratings over the instructions with one value; arrays have an entry for each of the N players."""

    value: str
    instructions: int
    ratings: NDArray[np.float64]
    """In points, centred on 1000 within the part; NaN without a battle."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    win_rate: NDArray[np.float64]
    battles: NDArray[np.int64]
    gold: NDArray[np.int64]
    """Instructions of the part of which it wrote the gold answer."""


def parts_by(battles: Battles, gold: NDArray[np.int64], values: Sequence[str | None]) -> Iterator[Part]:
    """Rate over the instructions of each value that has enough; the parts by their values. Nothing for a single value.

    Args:
        battles: over all instructions, numbered from 0.
        gold: (I,): whose answer is the gold answer; -1 for none.
        values: (I,): of each instruction; None for none.
    """
    counts = Counter(value for value in values if value is not None)
    if len(counts) < 2:
        return
    enough = sorted((value for value in counts if counts[value] >= FEWEST), key=lambda value: (-counts[value], value))
    number = {value: place for place, value in enumerate(sorted(enough[:MOST]))}
    part_of = np.array([number.get(value, -1) if value is not None else -1 for value in values], dtype=np.int64)
    for value, place in number.items():
        own = battles.select(part_of[battles.instruction] == place)
        between, fought = intervals(own), np.zeros(own.players, dtype=np.int64)
        for side in (own.player_a, own.player_b):
            fought += np.bincount(side, minlength=own.players)
        winners = gold[(part_of == place) & (gold >= 0)]
        yield Part(
            value=value,
            instructions=counts[value],
            ratings=bradley_terry(own).ratings,
            low=between.low,
            high=between.high,
            win_rate=ratio(pair_wins(own).sum(axis=1), fought.astype(np.float64)),
            battles=fought,
            gold=np.bincount(winners, minlength=own.players),
        )
