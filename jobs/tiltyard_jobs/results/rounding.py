"""Numbers as they are written down.

The last bits of a float hang on the order in which a machine adds; a fixed number of digits makes the bytes of a table
the same wherever it is made. What is written is what everything that follows reads, so that nothing contradicts it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

POINTS = 3
"""Digits of a rating, in points."""
SHARES = 6
"""Digits of a score, a rate or a sum of votes."""


def fixed(value: float, digits: int = SHARES) -> float:
    """`value` with so many digits after the point, and never -0.0."""
    return round(float(value), digits) + 0.0


def rounded(value: float, digits: int = SHARES) -> float | None:
    """The same; None for what is no number."""
    return fixed(value, digits) if math.isfinite(value) else None


def points(value: float) -> float | None:
    """A rating; None where there is none."""
    return rounded(value, POINTS)


def column(values: NDArray[np.float64], digits: int = SHARES) -> list[float | None]:
    """A column of a table."""
    return [rounded(value, digits) for value in values.tolist()]
