"""Confidence intervals of Bradley-Terry ratings by the percentile bootstrap.

The outcomes on one instruction hang together (the same two answers before several judges, an instruction that suits one
player), so the product resamples whole instructions: `clustered`. `plain` resamples single outcomes, as Chatbot Arena
does, and is narrower than it should be whenever they hang together.

Only sums of wins per pair enter a fit, so no sample is ever drawn out: the clustered bootstrap draws how often each
instruction comes and multiplies these counts with the instructions' pair tables; the plain one draws how often each
distinct (pair, score) comes. All fits of a block of samples run at once, from the full data's maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.rating import bradley_terry as bt
from tiltyard_jobs.rating.battles import Battles, sum_by

PERCENTILES = (2.5, 97.5)

# Entries of a block's (samples, N, N) tables and of its (samples, units) counts: what fits the caches of a core
# is several times as fast as one large batch. Both depend on the data alone, so that the same data give the same draws.
_TABLE_ENTRIES = 65_536
_COUNT_ENTRIES = 2_097_152
# OpenBLAS keeps a product of at most so many multiplications on the calling thread. Waking its other threads for one so
# small gains little on an idle machine, and on a shared one, or under a CPU limit, costs ten times the product.
_ONE_THREAD = 262_144
_LEAST_DEPTH = 64


class Intervals(NamedTuple):
    """Percentile intervals of the ratings, in points."""

    low: NDArray[np.float64]
    """(N,): 2.5th percentile; NaN where there is nothing to resample or no rating."""
    high: NDArray[np.float64]
    """(N,): 97.5th percentile."""
    samples: NDArray[np.float64]
    """(B, N): the ratings of each sample; NaN where a sample does not hold the player's component together."""


def clustered(battles: Battles, *, seed: int, samples: int = 1000) -> Intervals:
    """Intervals by resampling instructions, each with all of its battles.

    Fewer than two instructions give NaN: one cannot tell how others would go.

    Args:
        battles: the outcomes.
        seed: of the resampling, not negative.
        samples: number of bootstrap samples, at least 1.

    Raises:
        ValueError: the battles are not battles, or `samples` is below 1.
    """
    battles.checked()
    blocks, instructions = _instruction_tables(battles)
    size = battles.players

    def draw(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        weight = np.empty((count, instructions))
        for row in weight:
            row[:] = np.bincount(rng.integers(0, instructions, instructions), minlength=instructions)
        return weight

    def tabulate(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        wins = np.zeros((len(weight), size * size))
        for block in blocks:
            wins[:, block.cell] += _product(weight[:, block.rows], block.wins)
        return np.reshape(wins, (-1, size, size))

    return _intervals(_Resampling(np.ones(instructions), draw, tabulate), size, samples, seed)


def plain(battles: Battles, *, seed: int, samples: int = 1000) -> Intervals:
    """Intervals by resampling single battles, as if none had anything to do with another.

    The cost grows with the number of distinct (pair, score) values, so this is for scores that take few values.

    Args:
        battles: the outcomes.
        seed: of the resampling, not negative.
        samples: number of bootstrap samples, at least 1.

    Raises:
        ValueError: the battles are not battles, or `samples` is below 1.
    """
    battles.checked()
    size = battles.players
    low = np.minimum(battles.player_a, battles.player_b)
    high = np.maximum(battles.player_a, battles.player_b)
    low_score = np.where(battles.player_a < battles.player_b, battles.score, 1.0 - battles.score)
    values = np.unique(low_score)
    distinct = max(len(values), 1)
    cells, counts = np.unique((low * size + high) * distinct + np.searchsorted(values, low_score), return_counts=True)
    score = values[cells % distinct]
    pairs, edges = np.unique(cells // distinct, return_index=True)  # the cells of a pair lie together
    mirrored = (pairs % size) * size + pairs // size
    total = len(battles.score)

    def draw(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        return rng.multinomial(total, counts / total, size=count).astype(np.float64)

    def tabulate(weight: NDArray[np.float64]) -> NDArray[np.float64]:
        wins = np.zeros((len(weight), size * size))
        wins[:, pairs] = np.add.reduceat(weight * score, edges, axis=1)
        wins[:, mirrored] = np.add.reduceat(weight * (1.0 - score), edges, axis=1)
        return np.reshape(wins, (-1, size, size))

    return _intervals(_Resampling(counts.astype(np.float64), draw, tabulate), size, samples, seed)


class _Resampling(NamedTuple):
    """What is drawn, and what a draw means for the pairs."""

    full: NDArray[np.float64]
    """(U,): how often each unit (instruction, or distinct battle) comes in the data."""
    draw: Callable[[np.random.Generator, int], NDArray[np.float64]]
    """So many samples of such counts, (samples, U)."""
    tabulate: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """Pair wins of each sample, (samples, N, N)."""


class _Block(NamedTuple):
    """Pair tables of the instructions that share their lowest attacker, and so mostly their pairs."""

    rows: slice
    """Which instructions, in the numbering of the counts."""
    cell: NDArray[np.int64]
    """(C,): flat place in the (N, N) table."""
    wins: NDArray[np.float64]
    """(instructions, C)."""


def _instruction_tables(battles: Battles) -> tuple[list[_Block], int]:
    """The pair tables of all instructions, in blocks that are dense, and the number of instructions.

    With attackers against defenders an instruction has N - 1 of the N (N - 1) / 2 pairs, all with its attacker: a
    block for each attacker holds no zeros, and a product with it is one call of BLAS.
    """
    size = battles.players
    names, rank = np.unique(battles.instruction, return_inverse=True)
    owner = np.full(len(names), size)
    np.minimum.at(owner, rank, battles.player_a)
    by_owner = np.argsort(owner, kind="stable")
    number = np.empty(len(names), dtype=np.int64)
    number[by_owner] = np.arange(len(names))
    row = number[rank]
    bounds = np.searchsorted(owner[by_owner], np.arange(size + 1))
    order = np.argsort(row, kind="stable")
    edges = np.searchsorted(row[order], bounds)
    blocks = []
    for player in range(size):
        own = order[edges[player] : edges[player + 1]]
        if not len(own):
            continue
        a, b, score = battles.player_a[own], battles.player_b[own], battles.score[own]
        cell, column = np.unique(np.concatenate([a * size + b, b * size + a]), return_inverse=True)
        height = int(bounds[player + 1] - bounds[player])
        flat = np.concatenate([row[own], row[own]]) - bounds[player]
        wins = sum_by(flat * len(cell) + column, np.concatenate([score, 1.0 - score]), height * len(cell))
        rows = slice(int(bounds[player]), int(bounds[player + 1]))
        blocks.append(_Block(rows, cell, np.reshape(wins, (height, len(cell)))))
    return blocks, len(names)


def _product(weight: NDArray[np.float64], wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """`weight @ wins`, (samples, C), in slices over the instructions that stay on one thread."""
    total = np.zeros((len(weight), wins.shape[1]))
    depth = max(_LEAST_DEPTH, _ONE_THREAD // total.size)
    for first in range(0, len(wins), depth):
        total += weight[:, first : first + depth] @ wins[first : first + depth]
    return total


def _intervals(resampling: _Resampling, size: int, samples: int, seed: int) -> Intervals:
    """Fit the resampled tables, in blocks with a random stream each, and take percentiles."""
    if samples < 1:
        raise ValueError(f"samples is {samples}: at least 1 is needed")
    ratings = np.full((samples, size), np.nan)
    if resampling.full.sum() < 2:
        return Intervals(np.full(size, np.nan), np.full(size, np.nan), ratings)
    full = resampling.tabulate(resampling.full[None])
    whole = bt.connectivity(full)
    start = bt.fit(full, whole)[0]
    at_once = max(1, min(_TABLE_ENTRIES // (size * size), _COUNT_ENTRIES // len(resampling.full)))
    for block, first in enumerate(range(0, samples, at_once)):
        part = slice(first, min(first + at_once, samples))
        wins = resampling.tabulate(resampling.draw(np.random.default_rng([seed, block]), part.stop - part.start))
        graph = bt.connectivity(wins)
        points = bt.to_points(bt.fit(wins, graph, start), graph.same)
        # A sample that lost the battles joining two parts of a component would centre each part by itself.
        intact = (graph.same == whole.same).all(axis=2) & bt.played(wins)
        ratings[part] = np.where(intact, points, np.nan)
    low, high = _percentiles(ratings)
    return Intervals(low, high, ratings)


def _percentiles(ratings: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """The percentiles of each column's numbers, NaN for a column that has none."""
    rated = ~np.isnan(ratings).all(axis=0)
    for percentile in PERCENTILES:
        value = np.full(ratings.shape[1], np.nan)
        value[rated] = np.nanpercentile(ratings[:, rated], percentile, axis=0)
        yield value
