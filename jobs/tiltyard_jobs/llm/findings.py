"""How a model was found to be asked: kept beside the artifacts, so that no later shard finds it again by refusals.

Preflight finds it for endpoints, the first shard of a served model for that model (`stages.findings`). It is part of no
key and changes no row: whoever does not have it finds the same.
"""

from __future__ import annotations

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.llm.manner import Manner


class Findings(Contract):
    """What one model and its server take.

    Attributes:
        forms: by path, and by the member of a request that is refused: how it is changed, see `llm.form`.
        system_role: whether system messages reach the model; None: not known.
        manner: how its thoughts come, where a short reply shows it; None: not known.
        warnings: sentences for the user about what cannot be had.
    """

    forms: dict[str, dict[str, int]] = Field(default_factory=dict)
    system_role: bool | None = None
    manner: Manner | None = None
    warnings: tuple[str, ...] = ()
