"""Near duplicates by meaning: cosine similarity of embeddings, the first of a group kept.

Every pair with a kept text is compared (no index, no approximation), in blocks of float32 products; similarities within
rounding of the threshold are decided exactly (`grid.Grid`). The cost is n^2 d / 2 multiplications: seconds for the
10,000 texts of one attacker, minutes for 100,000.
"""

from __future__ import annotations

import numpy as np

from tiltyard_jobs.curation.dedup import DedupResult
from tiltyard_jobs.curation.grid import Grid, Vectors, row_blocks

_BLOCK = 1024


def deduplicate_embeddings(embeddings: Vectors, *, threshold: float, earlier: Vectors | None = None) -> DedupResult:
    """Drop each text whose embedding is as near to an earlier text's, or to that of a kept one before it.

    Args:
        embeddings: (n, d) float32 of unit norm, in the order of the texts.
        threshold: Cosine similarity, in (0, 1], from which two texts are twins.
        earlier: (m, d) embeddings of texts that stay whatever they are; they come first.

    Returns:
        As `dedup.deduplicate`.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, or the threshold is out of range.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"the threshold must lie in (0, 1], not {threshold}")
    earlier = embeddings[:0] if earlier is None else earlier
    if embeddings.ndim != 2 or earlier.ndim != 2 or earlier.shape[1] != embeddings.shape[1]:
        raise ValueError("embeddings and earlier must be matrices with the same number of columns")
    count = len(embeddings)
    judge = _Twins(Grid(embeddings, earlier), threshold)
    twin = np.full(count, -1, dtype=np.int64)
    earlier_twin = np.full(count, -1, dtype=np.int64)
    kept = np.zeros(count, dtype=np.bool_)
    for rows in row_blocks(count, _BLOCK):
        block = embeddings[rows]
        for columns in row_blocks(len(earlier)):
            judge.find_first(block, earlier[columns], earlier_twin[rows], columns.start)
        undecided = earlier_twin[rows] < 0
        known = np.flatnonzero(kept[: rows.start])
        for columns in row_blocks(known.size):
            found = np.full(len(block), -1, dtype=np.int64)
            judge.find_first(block, embeddings[known[columns]], found, 0)
            first = undecided & (twin[rows] < 0) & (found >= 0)
            twin[rows][first] = known[columns][found[first]]
        judge.decide_within(block, undecided & (twin[rows] < 0), twin[rows], rows.start)
        kept[rows] = (twin[rows] < 0) & (earlier_twin[rows] < 0)
    return DedupResult(kept, twin, earlier_twin)


class _Twins:
    """Says which vectors are twins."""

    def __init__(self, grid: Grid, threshold: float) -> None:
        self._grid = grid
        self._sure = np.float32(threshold + grid.slack)
        self._possible = np.float32(threshold - grid.slack)
        self._threshold = threshold * grid.scale**2

    def find_first(self, vectors: Vectors, others: Vectors, found: np.ndarray, offset: int) -> None:
        """Where `found`, (n,), is -1, put the first of `others` that is a twin, plus `offset`."""
        similar = vectors @ others.T
        for row in np.flatnonzero((found < 0) & (similar.max(axis=1, initial=-np.inf) >= self._possible)).tolist():
            first = self._first(vectors[row], others, similar[row])
            if first >= 0:
                found[row] = offset + first

    def decide_within(self, block: Vectors, open_: np.ndarray, twin: np.ndarray, offset: int) -> None:
        """In order, give each open row its first twin among the kept open rows before it."""
        similar = block @ block.T
        keeping = np.zeros(len(block), dtype=np.bool_)
        for row in np.flatnonzero(open_).tolist():
            candidates = np.where(keeping[:row], similar[row, :row], np.float32(-np.inf))
            first = self._first(block[row], block[:row], candidates)
            if first >= 0:
                twin[row] = offset + first
            else:
                keeping[row] = True

    def _first(self, vector: Vectors, others: Vectors, similar: Vectors) -> int:
        """The first twin of a vector, or -1; `similar` holds the estimates."""
        for candidate in np.flatnonzero(similar >= self._possible).tolist():
            if similar[candidate] >= self._sure:
                return int(candidate)
            if self._grid.dots(others[candidate : candidate + 1], vector)[0] >= self._threshold:
                return int(candidate)
        return -1
