"""k-center greedy (Gonzalez 1985; Sener and Savarese 2018 for core sets): k vectors that cover all the others.

Each pick is the vector farthest from those picked before. Distances to the picked set only shrink, so an old distance
bounds the present one. A pool of the farthest vectors is kept up to date at each pick; the others keep what was true
when they were last looked at, and those with the largest bounds are brought up to date, many vectors against many picks
in one matrix product, only when a bound among them reaches the farthest of the pool. Vectors that are covered early
are never looked at again. The picks are those of the step-by-step method.

Distances are estimated in float32. Vectors whose estimates lie closer together than their error are compared exactly
(`grid.Grid`), and of equally far ones the first is taken: neither the BLAS library nor the number of threads decides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.grid import FLOAT32_ROUNDING, Grid, Vectors, row_blocks, squared_norms

_POOL = 2048  # vectors kept up to date: their float32 copies fit a second- or third-level cache
_REFRESH = 8192  # vectors brought up to date together
_ROWS, _CENTRES = 512, 1024  # the sides of one product, whose result fits a second-level cache


class KCenters(NamedTuple):
    """The centres picked.

    Attributes:
        indices: (min(k, n),) int64, in the order of picking.
        radius: The largest Euclidean distance from any vector to its nearest centre; 0.0 where there is no vector.
    """

    indices: NDArray[np.int64]
    radius: float


def k_center_greedy(vectors: Vectors, k: int, *, covered: Vectors | None = None) -> KCenters:
    """Pick k vectors, each the farthest from all picked before, ties to the lowest index.

    The first pick is the vector nearest to the mean of all, so that the result does not hang on the order; with
    `covered` it is the one farthest from those.

    Args:
        vectors: (n, d) float32, finite, of any norm.
        k: How many to pick; all are picked, in greedy order, where k is at least n.
        covered: (m, d) float32, centres that exist already and are not to be picked, e.g. of other attackers.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, or k is negative.
    """
    if vectors.ndim != 2 or (covered is not None and (covered.ndim != 2 or covered.shape[1] != vectors.shape[1])):
        raise ValueError("vectors and covered must be matrices with the same number of columns")
    if k < 0:
        raise ValueError(f"k must not be negative, not {k}")
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    covered = vectors[:0] if covered is None else np.ascontiguousarray(covered, dtype=np.float32)
    if not len(vectors):
        return KCenters(np.zeros(0, dtype=np.int64), 0.0)
    grid = Grid(vectors, covered)
    search = _Farthest(vectors, covered, min(k, len(vectors)), grid)
    picks: list[int] = []
    if k > 0 and not len(covered):
        picks.append(nearest_to_mean(vectors, grid))
        search.add(picks[0])
    while len(picks) < min(k, len(vectors)):
        picks.append(search.farthest())
        search.add(picks[-1])
    return KCenters(np.array(picks, dtype=np.int64), search.radius() if len(covered) or picks else float("inf"))


def nearest_to_mean(vectors: Vectors, grid: Grid) -> int:
    """The index of the vector nearest to the mean, rounded to the grid; the lowest of equally near ones."""
    total = np.zeros(vectors.shape[1], dtype=np.float64)
    for rows in row_blocks(len(vectors)):
        total += grid.place(vectors[rows]).sum(axis=0)
    mean = (np.rint(total / len(vectors)) / grid.scale).astype(np.float32)
    distances = [grid.squared_distances(vectors[rows], mean) for rows in row_blocks(len(vectors))]
    return int(np.argmin(np.concatenate(distances)))


class _Exact(NamedTuple):
    """An exact squared distance to the nearest of the first `seen` centres, in squared units of the grid."""

    distance: float
    seen: int


class _Farthest:
    """The vector farthest from a growing set of centres.

    Squared distances are float32 and at most `error` away from the exact ones. A vector is in the pool, or picked, or
    at rest with `bound` and the number `seen` of centres that the bound takes into account.
    """

    def __init__(self, vectors: Vectors, covered: Vectors, picks: int, grid: Grid) -> None:
        count, dimension = vectors.shape
        self._vectors, self._grid = vectors, grid
        # Twice the dot product's error, and the rounding of two norms and two sums.
        self._error = np.float32(2.0 * grid.slack + 16.0 * FLOAT32_ROUNDING * grid.square)
        self._centres = np.empty((len(covered) + picks, dimension), dtype=np.float32)
        self._half_norms = np.empty(len(self._centres), dtype=np.float32)
        self._centre_count = len(covered)
        self._centres[: len(covered)] = covered
        self._half_norms[: len(covered)] = _norms(covered) / 2
        self._norms = _norms(vectors)
        self._bound = np.full(count, np.inf, dtype=np.float32)
        self._seen = np.zeros(count, dtype=np.int32)
        self._picked = np.zeros(count, dtype=np.bool_)
        self._largest_bound = np.float32(np.inf)
        self._pool = np.zeros(0, dtype=np.int64)
        self._pool_vectors = vectors[:0]
        self._pool_norms = np.zeros(0, dtype=np.float32)
        self._pool_distances = np.zeros(0, dtype=np.float32)
        self._exact: dict[int, _Exact] = {}

    def add(self, index: int) -> None:
        """Make a vector a centre."""
        centre, norm = self._vectors[index], self._norms[index]
        self._centres[self._centre_count] = centre
        self._half_norms[self._centre_count] = norm / 2
        self._centre_count += 1
        self._picked[index] = True
        self._bound[index] = -np.inf
        self._exact.pop(index, None)
        distances = self._pool_norms + norm - 2 * (self._pool_vectors @ centre)
        np.minimum(self._pool_distances, distances, out=self._pool_distances)
        self._pool_distances[self._pool == index] = -np.inf

    def farthest(self) -> int:
        """The vector with the largest distance to the centres, not picked yet; the lowest index of several."""
        rivals = self._rivals()
        if rivals.size == 1:
            return int(rivals[0])
        return int(rivals[np.argmax([self._exact_distance(rival) for rival in rivals.tolist()])])

    def radius(self) -> float:
        """The largest distance of any vector to its nearest centre."""
        if self._picked.all():
            return 0.0
        return math.sqrt(max(self._exact_distance(rival) for rival in self._rivals().tolist())) / self._grid.scale

    def _rivals(self) -> NDArray[np.int64]:
        """The vectors that may be the farthest, ascending: their estimates differ by no more than the error."""
        while not self._settled():
            self._refresh()
        near = self._pool_distances >= self._pool_distances.max() - 2 * self._error
        return np.compress(near, self._pool)

    def _settled(self) -> bool:
        """Whether no vector at rest can be as far as the farthest of the pool, errors included."""
        if not self._pool.size:
            return False
        return bool(self._pool_distances.max() - 2 * self._error > self._largest_bound)

    def _refresh(self) -> None:
        """Bring the vectors at rest with the largest bounds up to date, and let the farthest be the pool."""
        self._bound[self._pool] = self._pool_distances
        self._seen[self._pool] = self._centre_count
        # All that could be the farthest, however many they are: else those beyond the batch would never be looked at.
        batch = np.flatnonzero(self._bound >= min(self._cut(_REFRESH), self._bound.max() - 4 * self._error))
        self._update(batch[self._seen[batch] < self._centre_count])
        # They must be in the pool too, by what is now known.
        cut = min(self._cut(_POOL), self._bound.max() - 4 * self._error)
        self._pool = np.flatnonzero((self._bound >= cut) & (self._seen == self._centre_count) & ~self._picked)
        self._pool_vectors = self._vectors[self._pool]
        self._pool_norms = self._norms[self._pool]
        self._pool_distances = self._bound[self._pool]
        self._bound[self._pool] = -np.inf
        self._largest_bound = self._bound.max()

    def _cut(self, count: int) -> np.float32:
        """The bound that about `count` vectors reach."""
        if count >= self._bound.size:
            return np.float32(-np.inf)
        return np.float32(np.partition(self._bound, self._bound.size - count)[self._bound.size - count])

    def _update(self, batch: NDArray[np.int64]) -> None:
        """Take all centres into account for these vectors."""
        if not batch.size:  # all are up to date, and numpy splits nothing into one part
            return
        batch = batch[np.argsort(self._seen[batch], kind="stable")]
        seen, first = np.unique(self._seen[batch], return_index=True)
        for group, begin in zip(np.split(batch, first[1:]), seen.tolist(), strict=True):
            for rows in row_blocks(group.size, _ROWS):
                some = group[rows]
                vectors, norms = self._vectors[some], self._norms[some]
                nearest = self._bound[some]
                for start in range(begin, self._centre_count, _CENTRES):
                    stop = min(start + _CENTRES, self._centre_count)
                    # |x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2): least where the bracket is largest.
                    closeness = vectors @ self._centres[start:stop].T
                    closeness -= self._half_norms[start:stop]
                    np.minimum(nearest, norms - 2 * closeness.max(axis=1), out=nearest)
                self._bound[some] = nearest
        self._seen[batch] = self._centre_count

    def _exact_distance(self, index: int) -> float:
        """The exact squared distance to the nearest centre, in squared units of the grid."""
        known = self._exact.get(index, _Exact(np.inf, 0))
        vector, new = self._vectors[index], slice(known.seen, self._centre_count)
        closeness = self._centres[new] @ vector - self._half_norms[new]
        near = np.flatnonzero(closeness >= closeness.max(initial=-np.inf) - self._error)
        exact = self._grid.squared_distances(self._centres[new][near], vector).min(initial=known.distance)
        self._exact[index] = _Exact(float(exact), self._centre_count)
        return float(exact)


def _norms(vectors: Vectors) -> NDArray[np.float32]:
    """Squared norms, summed in float64."""
    norms = np.empty(len(vectors), dtype=np.float32)
    for rows in row_blocks(len(vectors)):
        norms[rows] = squared_norms(vectors[rows].astype(np.float64))
    return norms
