"""What was last observed of a tournament."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from tiltyard.api.base import ATOMIC, MAP_BY_TYPE, ApiModel
from tiltyard.api.scalars import Count, DecimalText, Message, ParticipantName, Word
from tiltyard.api.shapes import Text

StageState = Literal["Pending", "Running", "Complete", "Failed"]
ModelState = Literal["Stopped", "Starting", "Ready", "Stopping", "Failed"]
ConditionStatus = Literal["True", "False", "Unknown"]

Address = Annotated[str, Text("an address of at most 1024 characters", r"\S+", 1024)]


class ShardCounts(ApiModel):
    """Shards of one stage."""

    total: Count = 0
    """All of them."""
    succeeded: Count = 0
    """Complete, those found from earlier included."""
    active: Count = 0
    """At work."""
    failed: Count = 0
    """Given up."""
    reused: Count = 0
    """Found complete when the run began."""


class StageStatus(ApiModel):
    """One stage."""

    name: Word
    """The stage's name."""
    state: StageState = "Pending"
    """How far it is."""
    shards: ShardCounts = ShardCounts()
    """Its shards."""
    void: Count = 0
    """Records that could not be made, each with its reason."""


class ModelStatus(ApiModel):
    """One model that is served for the tournament."""

    name: ParticipantName
    """The competitor's or judge's name."""
    state: ModelState = "Stopped"
    """What it is doing."""
    loads: Count = 0
    """Times that it was started."""
    url: Address | None = None
    """Its address while it is up."""


class LeaderboardRow(ApiModel):
    """One of the top rows of the leaderboard."""

    name: ParticipantName
    """The competitor's name."""
    rating: DecimalText
    """Its rating, in Elo points."""
    low: DecimalText | None = None
    """Lower end of the rating's 95 % interval."""
    high: DecimalText | None = None
    """Upper end of it."""
    win_rate: DecimalText | None = None
    """Its share of the votes in its matches."""


class UsageStatus(ApiModel):
    """What the tournament has cost so far."""

    prompt_tokens: Count = 0
    """Tokens read."""
    cached_tokens: Count = 0
    """Those of them that came from a prefix cache."""
    completion_tokens: Count = 0
    """Tokens written."""
    model_seconds: Count = 0
    """Time that models were up, summed over models."""


class Outputs(ApiModel):
    """Where the results are."""

    manifest: Address | None = None
    """The run's manifest: every artifact with its digest."""
    dataset: Address | None = None
    """The training data."""
    report: Address | None = None
    """The report."""
    model: Address | None = None
    """The trained model."""


class Condition(ApiModel):
    """A condition as Kubernetes' metav1 has it."""

    type: Annotated[str, Text("a condition's type", r"[A-Za-z]([-A-Za-z0-9_./]*[A-Za-z0-9])?", 316)]
    """Accepted, Preflighted, DatasetReady, Trained, Evaluated; Complete, Failed, Suspended; Ready, Reconciling,
    Stalled."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Text("a CamelCase reason", r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", 1024)]
    """Why, in one word."""
    message: Message = ""
    """Why, and what to do next."""
    last_transition_time: AwareDatetime
    """When its status last changed."""
    observed_generation: Count | None = None
    """The generation that it speaks of."""


class TournamentStatus(ApiModel):
    """What was last observed."""

    # The operator alone writes its lists, so they are atomic: the API server need not note the owner of each row.
    observed_generation: Count | None = None
    """The generation of the spec that this status speaks of."""
    phase: Word | None = None
    """One word for people."""
    progress: Word | None = None
    """Share of the work that is done: 61%."""
    eta: AwareDatetime | None = None
    """When the tournament will be done at its present pace."""
    run: Word | None = None
    """Hash of all of the spec that can change a result."""
    stages: Annotated[tuple[StageStatus, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """The stages, in order."""
    models: Annotated[tuple[ModelStatus, ...], Field(max_length=64, json_schema_extra=ATOMIC)] = ()
    """The models that are served."""
    leaderboard: Annotated[tuple[LeaderboardRow, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """The top rows; everything else is in the bucket."""
    usage: UsageStatus | None = None
    """What the tournament has cost so far."""
    outputs: Outputs | None = None
    """Where the results are."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32, json_schema_extra=MAP_BY_TYPE)] = ()
    """Conditions as Kubernetes has them."""
