"""What was last observed of a tournament."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from tiltyard.api.base import ATOMIC, ATOMIC_MAP, MAP_BY_TYPE, ApiModel
from tiltyard.api.scalars import Count, DecimalText, Message, ParticipantName, Word
from tiltyard.api.shapes import MAX_COUNT, Text, Whole

UNSEEN: Final = -1  # the generation that the CRD gives a Tournament which the operator has not seen

StageState = Literal["Pending", "Running", "Complete", "Failed"]
ModelState = Literal["Stopped", "Starting", "Ready", "Stopping", "Failed"]
ModelActivity = Literal["Loading", "Busy", "Idle"]
ConditionStatus = Literal["True", "False", "Unknown"]

Address = Annotated[str, Text("an address of at most 1024 characters", r"\S+", 1024)]


class ShardCounts(ApiModel):
    """The shards of one stage."""

    total: Count = 0
    """The number of shards."""
    succeeded: Count = 0
    """The number of complete shards, including reused ones."""
    active: Count = 0
    """The number of running shards."""
    failed: Count = 0
    """The number of failed shards, after all retries."""
    reused: Count = 0
    """The number of shards that were complete when the run began."""


class RecordCounts(ApiModel):
    """The records of one stage, those of reused shards left out."""

    total: Count = 0
    """The number of records. It is an upper bound: what curation will drop is counted until it is dropped."""
    done: Count = 0
    """The number of records that are done, including void ones. A shard whose pod was lost keeps the count that it
    had reached."""


class VoidCount(ApiModel):
    """The void records of one stage with one reason."""

    reason: Word
    """Why they are void."""
    records: Count
    """The number of records."""


class StageStatus(ApiModel):
    """One stage."""

    name: Word
    """The stage's name."""
    state: StageState = "Pending"
    """The stage's state."""
    shards: ShardCounts = ShardCounts()
    """The stage's shards."""
    records: RecordCounts | None = None
    """The stage's records. Absent: the stage asks no model."""
    records_per_second: DecimalText | None = None
    """The records that were done per second in the last minute. Absent: none were."""
    asking: Count | None = None
    """The number of records on which models work now. Absent: none, or no worker has reported it."""
    void: Count = 0
    """The number of void records: those that could not be made."""
    voids: Annotated[tuple[VoidCount, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """The void records by reason, the most first."""


class ModelStatus(ApiModel):
    """One model that is served for the tournament."""

    name: ParticipantName
    """The competitor's or judge's name."""
    state: ModelState = "Stopped"
    """The model's state."""
    activity: ModelActivity | None = None
    """What the model is doing. Loading: it starts. Busy: it is asked, or was in the last seconds. Idle: it is up and
    nothing asks it. Absent: it is not up."""
    asking: Count | None = None
    """The number of records on which the model works now. Absent: no worker has reported it."""
    queued: Count | None = None
    """The number of records that wait for the model: those that it could make now. It is an upper bound."""
    loads: Count = 0
    """How many times the model was started."""
    url: Address | None = None
    """The model's address while it runs."""
    weights_bytes: Count | None = None
    """The size of the model's weights in bytes, once they were downloaded or found."""
    download_seconds: Count | None = None
    """The time in seconds that their download took. Absent: this tournament has not downloaded them."""
    load_seconds: Count | None = None
    """The time in seconds of the last load that was measured: from when its pod had a node, or its process was started,
    until it answered."""
    up_seconds: Count = 0
    """The time in seconds that the model was up in this run before `upSince`: from each start to the end of its pods or
    its process. Time in which it waits for a node does not count."""
    up_since: AwareDatetime | None = None
    """Since when the model is up. Absent: it is not."""


class LeaderboardRow(ApiModel):
    """One of the top rows of the leaderboard."""

    name: ParticipantName
    """The competitor's name."""
    rating: DecimalText | None = None
    """The competitor's rating, in Elo points. Absent: no battle of it was decided."""
    low: DecimalText | None = None
    """The lower end of the rating's 95% confidence interval."""
    high: DecimalText | None = None
    """The upper end of the rating's 95% confidence interval."""
    best_rank: Count | None = None
    """The best rank that the votes leave possible: 1 for a competitor that may be first."""
    worst_rank: Count | None = None
    """The worst rank that the votes leave possible."""
    gap: DecimalText | None = None
    """The rating less that of the next competitor."""
    gap_low: DecimalText | None = None
    """The lower end of the gap's 95% confidence interval."""
    gap_high: DecimalText | None = None
    """The upper end of the gap's 95% confidence interval."""
    win_rate: DecimalText | None = None
    """The competitor's mean share of the votes in its battles."""
    answered: DecimalText | None = None
    """The share of the instructions that the competitor answered."""


class PlannedUsage(ApiModel):
    """What the run was expected to take, without what existed before it: an upper bound."""

    prompt_tokens: Count = 0
    """The number of prompt tokens."""
    completion_tokens: Count = 0
    """The number of completion tokens."""
    cost: DecimalText | None = None
    """The cost of these tokens by `spec.prices.endpoints`. Absent: there is no price for any of them."""


class UsageStatus(ApiModel):
    """What the tournament has cost so far."""

    prompt_tokens: Count = 0
    """The number of prompt tokens."""
    cached_tokens: Count = 0
    """The number of prompt tokens that were served from a prefix cache."""
    completion_tokens: Count = 0
    """The number of completion tokens."""
    prompt_tokens_per_second: DecimalText | None = None
    """The prompt tokens per second in the last minute. Absent: there were none."""
    completion_tokens_per_second: DecimalText | None = None
    """The completion tokens per second in the last minute. Absent: there were none."""
    model_seconds: Count = 0
    """The time in seconds that models were running, summed over models."""
    gpu_seconds: Count | None = None
    """The time in seconds that models were up, times their GPUs. Absent: no model that was up takes a GPU."""
    cost: DecimalText | None = None
    """The cost of tokens and GPU-hours by `spec.prices`; what has no price there is left out. Absent: there is no price
    for anything that was used."""
    currency: Word | None = None
    """The currency of the cost, planned and actual."""
    planned: PlannedUsage | None = None
    """What the run was expected to take. Absent on one machine, and until preflight has passed. GPU-hours are not
    planned on a cluster."""


class Outputs(ApiModel):
    """Where the results are."""

    manifest: Address | None = None
    """The address of the run's manifest: every artifact with its digest."""
    dataset: Address | None = None
    """The address of the training data."""
    report: Address | None = None
    """The address of the report."""
    model: Address | None = None
    """The address of the trained model."""


class Condition(ApiModel):
    """A condition, as in Kubernetes (metav1.Condition)."""

    type: Annotated[str, Text("a condition's type", r"[A-Za-z]([-A-Za-z0-9_./]*[A-Za-z0-9])?", 316)]
    """The condition's type: Accepted, Preflighted, DatasetReady, Trained, Evaluated; Complete, Failed, Suspended;
    Waiting, Ready, Reconciling or Stalled."""
    status: ConditionStatus
    """The condition's status: True, False or Unknown."""
    reason: Annotated[str, Text("a CamelCase reason", r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", 1024)]
    """The reason for the status, as one CamelCase word."""
    message: Message = ""
    """The reason for the status as a sentence, and what to do next."""
    last_transition_time: AwareDatetime
    """When the status last changed."""
    observed_generation: Count | None = None
    """The generation of the spec to which the condition refers."""


class TournamentStatus(ApiModel):
    """What was last observed."""

    # The operator alone writes its lists, so they are atomic: the API server need not note the owner of each row.
    observed_generation: Annotated[int, Whole(UNSEEN, MAX_COUNT)] | None = None
    """The generation of the spec to which this status refers; -1: the operator has not seen the Tournament yet."""
    phase: Word | None = None
    """The tournament's progress in one word, for people. Programs read the conditions."""
    progress: Word | None = None
    """The share of the work that is done, for example 61%."""
    step: Word | None = None
    """What preflight checks now: Files, Store, Endpoints, Benchmarks or Artifacts."""
    records: Word | None = None
    """The records of all stages that are done, of how many, for example 812/4000."""
    eta: AwareDatetime | None = None
    """When the tournament will be complete at the current rate. Absent: nothing was done in the last minute, or too
    little to estimate it."""
    run: Word | None = None
    """The digest of everything in the spec that can change a result."""
    stages: Annotated[tuple[StageStatus, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """The stages, in order."""
    models: Annotated[tuple[ModelStatus, ...], Field(max_length=64, json_schema_extra=ATOMIC)] = ()
    """The models that are served."""
    leaderboard: Annotated[tuple[LeaderboardRow, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """The top rows of the leaderboard. The rest is in the bucket."""
    instructions: Message | None = None
    """The number of instructions, how many of them are used, and why the others are not, in one line."""
    notes: Annotated[tuple[Message, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """What a reader of the results should know, a sentence each: which models did badly, and why."""
    # Atomic: of a map that loses its last key server-side apply makes null, which the schema refuses.
    usage: Annotated[UsageStatus | None, Field(json_schema_extra=ATOMIC_MAP)] = None
    """What the tournament has cost so far."""
    outputs: Annotated[Outputs | None, Field(json_schema_extra=ATOMIC_MAP)] = None
    """Where the results are."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32, json_schema_extra=MAP_BY_TYPE)] = ()
    """The tournament's conditions, as in Kubernetes."""
