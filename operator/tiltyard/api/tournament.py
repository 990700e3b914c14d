"""The Tournament itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import TOURNAMENT_NAME, Count, Line, LooseLine, Message, ObjectName
from tiltyard.api.spec import TournamentSpec
from tiltyard.api.status import TournamentStatus

GROUP = "tiltyard.dev"
VERSION = "v1alpha1"
KIND: Final = "Tournament"
API_VERSION: Final = "tiltyard.dev/v1alpha1"


class ObjectMeta(ApiModel):
    """Kubernetes' metadata. What the operator does not read is passed over."""

    name: Line
    """The tournament's name, also the stem of its children's names."""
    namespace: ObjectName | None = None
    """Its namespace."""
    labels: dict[Line, LooseLine] = Field(default_factory=dict)
    """`kueue.x-k8s.io/queue-name` is copied to every child Job."""
    annotations: dict[Line, Message] = Field(default_factory=dict)
    """Notes."""
    uid: Line | None = None
    """Set by the API server."""
    generation: Count | None = None
    """Set by the API server."""
    resource_version: Line | None = None
    """Set by the API server."""
    creation_timestamp: AwareDatetime | None = None
    """Set by the API server."""
    deletion_timestamp: AwareDatetime | None = None
    """Set by the API server."""
    deletion_grace_period_seconds: Count | None = None
    """Set by the API server."""
    finalizers: tuple[Line, ...] = ()
    """Who must agree to its deletion."""
    owner_references: tuple[dict[str, JsonValue], ...] = ()
    """What it belongs to."""
    managed_fields: tuple[dict[str, JsonValue], ...] = ()
    """Who set which field."""


def _label(tournament: Tournament) -> Iterator[Violation]:
    name = tournament.metadata.name
    if len(name) > TOURNAMENT_NAME.max_length or not re.fullmatch(TOURNAMENT_NAME.pattern or "", name, re.ASCII):
        yield Violation(("metadata", "name"), f'"{name}"')


NAME_IS_LABEL: Rule[Tournament] = Rule(
    sentence=f"must be {TOURNAMENT_NAME.allowed}",
    check=_label,
    cel=f"self.metadata.name.size() <= {TOURNAMENT_NAME.max_length}"
    f" && self.metadata.name.matches('^{TOURNAMENT_NAME.pattern}$')",
)


class Tournament(ApiModel):
    """A tournament between language models: a leaderboard, and training data made of the winners' answers."""

    RULES = (NAME_IS_LABEL,)

    api_version: Literal["tiltyard.dev/v1alpha1"] = API_VERSION
    """The version of this schema."""
    kind: Literal["Tournament"] = KIND
    """Tournament."""
    metadata: ObjectMeta
    """Kubernetes' metadata."""
    spec: TournamentSpec
    """What is asked for."""
    status: TournamentStatus | None = None
    """What was last observed."""

    def to_object(self) -> dict[str, Any]:
        """The tournament as a Kubernetes object in plain JSON types, defaults filled in and nulls left out."""
        return self.model_dump(mode="json", exclude_none=True)
