"""Training data built from the winning answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import Share
from tiltyard.api.shapes import Distinct
from tiltyard_jobs.contracts.licenses import LicenseId
from tiltyard_jobs.contracts.vocabulary import DatasetFormat, Tied


class Licenses(ApiModel):
    """Licences of the training rows."""

    allow: Annotated[tuple[LicenseId, ...], Field(max_length=64), Distinct()] = ()
    """A training row is left out, and counted, unless the licences of its answers and of its instruction are all in
    this list, as models and `instructions.from` state them. other is any licence without an identifier here, unknown
    one that is not stated. Empty: no row is left out for its licences."""


class Dataset(ApiModel):
    """Training data built from the winning answers."""

    formats: Annotated[tuple[DatasetFormat, ...], Field(min_length=1, max_length=2), Distinct()] = (
        "Sft",
        "Preference",
    )
    """The formats to write. Sft: the instruction and its gold answer. Preference: the gold answer and the
    lowest-scored one. Default: both."""
    min_margin: Share = Decimal("0")
    """The lead in score that a gold answer must have over the second. Instructions with a smaller lead give no
    training row. Default: 0."""
    tied: Tied = "Skip"
    """What happens to an instruction whose gold answer leads no other, so that a rule and not the votes chose it. Skip:
    it gives no training row. Keep: it does. Default: Skip."""
    licenses: Licenses = Licenses()
    """Licences of the training rows."""
