"""How far a worker is while it works: what bars, statuses and the live page are made of.

On one machine the worker writes it to the file `$TILTYARD_PROGRESS`. On a cluster it answers `GET /progress` with it,
at the pod's own address. It holds counts alone: no text of a model, of a user or of a file is in it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.reported import Number

MAX_BYTES: Final = 4096
"""No document is longer; a reader takes no more."""
PORT: Final = 9087
"""Where a worker in a pod tells its progress."""
PATH: Final = "/progress"
ADDRESS_VARIABLE: Final = "TILTYARD_POD_IP"
"""The variable with the pod's own address; where it is not set, nothing listens."""

Reason = Annotated[str, Field(pattern=r"^[A-Za-z]{1,64}$")]

Step = Literal["Files", "Store", "Endpoints", "Benchmarks", "Artifacts"]
"""What preflight checks: the files and secrets, the store, the endpoints, the harness, which artifacts exist."""


class WorkerProgress(Contract):
    """One look at a worker.

    Attributes:
        done: records that are done, void ones included; or steps, of a stage without records.
        total: of how many.
        records: whether records are counted.
        recalled: of the records that are done, those that an earlier attempt has left.
        asking: records that a model is asked for now.
        voids: void records by reason.
        prompt_tokens: tokens read by the model so far, in this attempt.
        cached_tokens: of those, the ones served from a prefix cache.
        completion_tokens: tokens written by the model so far, in this attempt.
        step: what preflight checks now.
    """

    done: Number = 0
    total: Number = 0
    records: bool = False
    recalled: Number = 0
    asking: Number = 0
    voids: dict[Reason, Number] = Field(default_factory=dict, max_length=64)
    prompt_tokens: Number = 0
    cached_tokens: Number = 0
    completion_tokens: Number = 0
    step: Step | None = None

    @property
    def share(self) -> float:
        """The part of the work that is done."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def fresh(self) -> int:
        """The records that this attempt has done."""
        return max(0, self.done - self.recalled) if self.records else 0
