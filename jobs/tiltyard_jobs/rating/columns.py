"""Sums over columns, as the rest of the package needs them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sum_by(index: NDArray[np.integer], value: NDArray[np.float64 | np.bool_], size: int) -> NDArray[np.float64]:
    """(size,): sum of `value` over the rows of each `index` in 0..size-1; zero where there is none."""
    sums: NDArray[np.float64] = np.asarray(np.bincount(index, value, minlength=size), dtype=np.float64)
    return sums


def ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotient of two arrays of one shape, NaN where the denominator is not positive."""
    quotient = np.full(np.shape(numerator), np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
