"""Training data made of the winners' answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Distinct
from tiltyard_jobs.contracts.vocabulary import DatasetFormat


class Dataset(ApiModel):
    """Training data made of the winners' answers."""

    formats: Annotated[tuple[DatasetFormat, ...], Field(min_length=1, max_length=2), Distinct()] = (
        "Sft",
        "Preference",
    )
    """Sft: one row for an instruction and its gold answer. Preference: gold answer and the worst one. Default: both."""
    min_margin: Share = Decimal("0")
    """Rows whose gold answer leads the next one by less are left out. Default: 0."""
