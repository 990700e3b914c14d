"""Dot products and distances without rounding, for decisions that must not hang on the machine.

A float32 matrix product differs in its last bits between BLAS libraries, numbers of threads and block shapes. It serves
as an estimate with a known error; where the error could decide, the vectors are taken on a grid of 2^-25 of the largest
norm. There every coordinate is a whole number, every sum of products stays below 2^53, and float64 arithmetic is exact
in whatever order it runs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_GRID_BITS = 25
FLOAT32_ROUNDING = 2.0**-24
"""The largest relative error of one float32 operation."""

_SPREAD = 8.0


class Grid:
    """The grid for a set of vectors.

    Attributes:
        scale: Whole units of the grid in 1.0, a power of two.
        square: The square of a power of two that no norm exceeds.
        slack: A bound of the error of a float32 dot product of two of the vectors, against the exact one on the grid.
    """

    def __init__(self, *sets: Vectors) -> None:
        """Measure the vectors.

        Args:
            *sets: (n, d) float32 each, of one d.

        Raises:
            ValueError: a value is not finite.
        """
        largest = max((_largest_norm(vectors) for vectors in sets if vectors.size), default=0.0)
        if not math.isfinite(largest):
            raise ValueError("the vectors hold values that are not finite")
        # 2^exponent is the first power of two that no norm exceeds.
        exponent = math.frexp(largest)[1] if largest > 0 else 0
        self.scale = 2.0 ** (_GRID_BITS - exponent)
        dimension = sets[0].shape[1]
        # Rounding errors of a dot product add up as sqrt(d), not d, but with a vanishing probability (Higham and Mary
        # 2019, "A new approach to probabilistic rounding error analysis": failure below 2 exp(-8^2 / 2) for each).
        # The grid itself moves a vector by at most sqrt(d) / 2 units.
        self.square = 4.0**exponent
        self.slack = self.square * FLOAT32_ROUNDING * (_SPREAD + 1.0) * math.sqrt(dimension)

    def place(self, vectors: Vectors) -> NDArray[np.float64]:
        """The vectors on the grid: whole numbers as float64, shape kept."""
        return np.rint(vectors.astype(np.float64) * self.scale)

    def squared_distances(self, vectors: Vectors, point: Vectors) -> NDArray[np.float64]:
        """Exact squared distances in squared units of the grid: (n, d) and (d,) give (n,)."""
        placed, centre = self.place(vectors), self.place(point)
        return squared_norms(placed) + float(centre @ centre) - 2.0 * (placed @ centre)

    def dots(self, vectors: Vectors, point: Vectors) -> NDArray[np.float64]:
        """Exact dot products in squared units of the grid: (n, d) and (d,) give (n,)."""
        return self.place(vectors) @ self.place(point)


def squared_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The squared norm of each row: (n, d) gives (n,)."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows), dtype=np.float64)


def row_blocks(count: int, size: int = 8192) -> list[slice]:
    """Slices of at most `size` rows that cover `count` rows, so that copies of them stay small."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _largest_norm(vectors: Vectors) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        norms = [squared_norms(vectors[rows].astype(np.float64)).max() for rows in row_blocks(len(vectors))]
    return math.sqrt(float(np.max(norms)))
