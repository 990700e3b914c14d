"""The Tournament itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field, JsonValue

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import TOURNAMENT_NAME, AnnotationKey, Count, LabelKey, LabelValue, Line, ObjectName
from tiltyard.api.shapes import Text
from tiltyard.api.spec import TournamentSpec
from tiltyard.api.status import TournamentStatus

GROUP = "tiltyard.dev"
VERSION = "v1alpha1"
KIND: Final = "Tournament"
API_VERSION: Final = "tiltyard.dev/v1alpha1"

# kubectl keeps the whole manifest in one; 256 KiB is what Kubernetes takes of all together.
_ANNOTATIONS = 262144
_AnnotationText = Annotated[str, Text("a text of at most 262144 characters", None, 262144, min_length=0)]


def _too_long(meta: ObjectMeta) -> Iterator[Violation]:
    total = sum(len(text.encode("utf-8", "surrogatepass")) for entry in meta.annotations.items() for text in entry)
    if total > _ANNOTATIONS:
        yield Violation(("annotations",), f"{total} bytes")


ANNOTATIONS_TOGETHER: Rule[ObjectMeta] = Rule(
    f"must be at most {_ANNOTATIONS} bytes together, keys and values", _too_long
)


class ObjectMeta(ApiModel):
    """The object's metadata, as in Kubernetes. The operator ignores what it does not use."""

    RULES = (ANNOTATIONS_TOGETHER,)

    name: Line
    """The tournament's name, a DNS label. The names of its Jobs and models begin with it."""
    namespace: ObjectName | None = None
    """The tournament's namespace."""
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """The tournament's labels. With `kueue.x-k8s.io/queue-name` Kueue admits the Jobs and the pods of models; it is
    copied to them, as `kueue.x-k8s.io/priority-class` is, and to Jobs `kueue.x-k8s.io/max-exec-time-seconds`. Those of
    the chart's `children.copiedLabels` are copied to every child."""
    annotations: dict[AnnotationKey, _AnnotationText] = Field(default_factory=dict)
    """The tournament's annotations."""
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
    """Set by controllers that must act before the object is deleted."""
    owner_references: tuple[dict[str, JsonValue], ...] = ()
    """The objects that own this one."""
    managed_fields: tuple[dict[str, JsonValue], ...] = ()
    """Set by the API server."""


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
    """A tournament between language models. It yields a leaderboard and training data built from winning answers."""

    RULES = (NAME_IS_LABEL,)

    api_version: Literal["tiltyard.dev/v1alpha1"] = API_VERSION
    """The version of the API."""
    kind: Literal["Tournament"] = KIND
    """The kind of the object."""
    metadata: ObjectMeta
    """The object's metadata, as in Kubernetes."""
    spec: TournamentSpec
    """What the user requests."""
    status: TournamentStatus | None = None
    """What was last observed."""
