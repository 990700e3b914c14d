"""The scale that every rating is on: Elo's, 400 points for odds of ten to one, centred on 1000."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

CENTRE = 1000.0
"""The rating of an average player, and the one that every player starts from in Elo."""

POINTS_PER_NAT = 400.0 / math.log(10.0)
"""Rating points for one unit of log-odds."""


def expected_scores(ratings: NDArray[np.float64]) -> NDArray[np.float64]:
    """X(A>B) = 1 / (1 + 10^((R_B - R_A) / 400)) for every pair (WarriorCoder, arXiv 2412.17395).

    Args:
        ratings: (N,) in points.

    Returns:
        (N, N): row A, column B; X + X.T is 1 everywhere.
    """
    scores: NDArray[np.float64] = expit((ratings[:, None] - ratings[None, :]) / POINTS_PER_NAT)
    return scores
