"""How models are served: each one's own settings, and how many are up at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.pods import PodPatch, Quantities, Resources
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Argument, ObjectName
from tiltyard.api.shapes import Whole

# In vLLM's spellings: `--flag=value`, `--flag value`, `_` for `-`. The API server bounds what a rule costs, and what a
# pattern costs hangs on its length.
_TAKEN = "^--((model|revision|uri|host|port|uds|api.key)([= ]|$)|served.|root.|ssl.)"


def _taken(serving: ModelServing) -> Iterator[Violation]:
    for position, arg in enumerate(serving.args):
        if re.search(_TAKEN, arg):
            yield Violation(("args", position), f'"{arg}"')


TAKEN_ARGUMENTS: Rule[ModelServing] = Rule(
    sentence="must not say which model is served, under which name or where:"
    " that comes from model.uri, model.revision and name; remove the argument",
    check=_taken,
    cel=f"!has(self.args) || !self.args.exists(a, a.matches('{_TAKEN}'))",
    field_path=".args",
)


class ModelServing(ApiModel):
    """How one model is served.

    On one machine `args` go to the local vLLM process; `resources` and `replicas` only count against
    `spec.serving.budget`.
    """

    RULES = (TAKEN_ARGUMENTS,)

    runtime: ObjectName = "kserve-vllmserver"
    """The KServe ServingRuntime or ClusterServingRuntime that serves it. Default: kserve-vllmserver."""
    replicas: Annotated[int, Whole(1, 64)] = 1
    """How many copies are served behind one address. Default: 1."""
    args: Annotated[tuple[Argument, ...], Field(max_length=64)] = ()
    """Arguments of the server. Those that can change replies belong to the model's identity."""
    resources: Resources = Resources()
    """Resources of one replica."""
    pod: PodPatch = PodPatch()
    """What is added to its pods."""

    def demand(self) -> dict[str, Decimal]:
        """What the model takes from `spec.serving.budget` while it is up, all replicas together."""
        return {name: amount * self.replicas for name, amount in self.resources.demand().items()}


class Serving(ApiModel):
    """How many models are up at once, and how long one may take to start."""

    max_active: Annotated[int, Whole(1, 64)] | None = None
    """Models up at once; absent: as many as the cluster admits."""
    budget: Quantities = Field(default_factory=dict)
    """What models may take together: `nvidia.com/gpu: "8"`. A resource that it does not name is not bounded."""
    startup_deadline_seconds: Annotated[int, Whole(1, 86400)] = 1800
    """A model that is not ready after this time has failed. Default: 1800."""
