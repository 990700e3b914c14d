"""From votes to ratings and gold answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Whole


class Rating(ApiModel):
    """From votes to ratings and gold answers."""

    alpha: Share = Decimal("0.7")
    """In an answer's final score, the weight of the players' Elo ratings against the votes on the instruction itself
    (paper, section 3.4). Default: 0.7."""
    k: Annotated[int, Whole(1, 400)] = 40
    """Elo's K, in points. Default: 40."""
    bootstrap: Annotated[int, Whole(1, 100_000)] = 1000
    """Resamples of the instructions for the confidence intervals. Default: 1000."""
