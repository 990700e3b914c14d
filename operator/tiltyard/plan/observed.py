"""What was seen of the world, frozen at one moment. The planner reads this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from tiltyard_jobs.contracts.described import Described
from tiltyard_jobs.contracts.progress import Step, WorkerProgress
from tiltyard_jobs.contracts.summary import Standing
from tiltyard_jobs.contracts.tasks import LedgerRow


class WaitReason(Described):
    """Why something waits; those that somebody has to act upon first. A meaning says what waits."""

    REFUSED = (
        "Refused",
        "an object, or each of its pods, is refused: by a quota, a LimitRange, Pod Security, a policy or a webhook",
    )
    NOT_STARTING = "NotStarting", "a pod whose containers do not start"
    NOT_ENDING = "NotEnding", "a pod that stays after its worker has ended"
    UNSCHEDULABLE = (
        "Unschedulable",
        "a pod that fits no node; what the cluster autoscaler or Karpenter says of it is shown, too",
    )
    DOWNLOADING = (
        "Downloading",
        "a model of which KServe's cache does not have the weights on all nodes of the group yet",
    )
    QUEUED = "Queued", "a Job, or a pod of a model, that its queue has not admitted"
    GIVES_WAY = (
        "GivesWay",
        "the tournament: for a minute it held resources without being able to work, and it has released them for an"
        " older one, see below; or `output.s3.singleWriter` is set and another one writes below the same URI",
    )


class Wait(NamedTuple):
    """Why something waits.

    Attributes:
        reason: one word.
        message: a sentence that names the object and the next action.
    """

    reason: WaitReason
    message: str


class ModelPhase(StrEnum):
    """What a served model is doing."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    READY = "Ready"
    STOPPING = "Stopping"
    FAILED = "Failed"


@dataclass(frozen=True)
class ModelSeen:
    """A served model.

    Attributes:
        phase: what it is doing.
        version: `ModelNode.version` that it was started as.
        loads: times that it was started in this run.
        url: its address while it is up.
        message: why it failed, and what to do.
        wait: of one that is starting: why it waits.
        weights: bytes of its weights, where whoever has brought them says so.
        download_seconds: how long that took; None: they were there.
        load_seconds: from when it had a place to run until it answered; None: it has not answered yet.
        in_vain: of one that has held its nodes for too long while none of its Jobs ran: seconds that it is to stay
            down once it is stopped. None: it holds nothing in vain.
        resting: it was stopped for that, and is not to be started yet.
        placed: on a cluster: a node holds a pod of it.
    """

    phase: ModelPhase
    version: str = ""
    loads: int = 0
    url: str | None = None
    message: str = ""
    wait: Wait | None = None
    weights: int | None = None
    download_seconds: float | None = None
    load_seconds: float | None = None
    in_vain: float | None = None
    resting: bool = False
    placed: bool = False


class JobPhase(StrEnum):
    """What a bundle's Job is doing. A Job whose parts are all there is gone from the planner's sight."""

    ACTIVE = "Active"
    FAILED = "Failed"
    ENDED = "Ended"


class ShardSeen(NamedTuple):
    """A shard at work that has told how far it is.

    Attributes:
        parts: what it makes, as (artifact key, number).
        told: what it said last.
    """

    parts: tuple[tuple[str, int], ...]
    told: WorkerProgress


@dataclass(frozen=True)
class JobSeen:
    """A bundle's Job.

    Attributes:
        version: `Bundle.version` that it was started for.
        active: shards at work.
        failed: shards given up.
        message: of a failed one: which shard, why, and what to do.
        wait: of an active one: why it waits.
        shards: of those at work, the ones that have told how far they are.
    """

    phase: JobPhase
    version: str
    active: int = 0
    failed: int = 0
    message: str = ""
    wait: Wait | None = None
    shards: tuple[ShardSeen, ...] = ()


class PreflightPhase(StrEnum):
    """How far preflight is."""

    PENDING = "Pending"
    ACTIVE = "Active"
    PASSED = "Passed"
    FAILED = "Failed"


@dataclass(frozen=True)
class Observed:
    """All that is known.

    Attributes:
        preflight: how far it is; it is done anew for an edited manifest.
        preflight_message: why it failed.
        preflight_wait: why it waits.
        preflight_step: what it checks now, as far as it has told.
        done: parts that exist, by artifact key.
        reused: parts that preflight found, by artifact key.
        jobs: by bundle name.
        models: by model name; one that was never started is absent.
        voids: void records of this run, by stage.
        reasons: likewise, by `stage/reason`.
        records: records of shards that this run has completed, by stage.
        fresh: records that attempts of this run which have ended have done, by stage.
        ledger: what this run has cost, by stage and model.
        held: seconds that served models were up in this run, by name.
        seconds_per_token: what was measured of models in other runs, by `ModelNode.version`.
        leaderboard: once the ratings are there.
        notes: what a reader of the results should know, once they are there.
        outputs: URIs by name, once they are there.
        instructions: one line about them: how many there are, how many are used, and why the others are not.
        longest_given: bytes of the longest given instruction, as preflight has found it.
        failure: why this run failed, once it has: that is final, until the manifest's next run.
        elapsed: seconds that this run has been at work, times of rest left out; None: it has not begun.
        gives_way: why it gives way to another tournament; None: it does not.
    """

    preflight: PreflightPhase = PreflightPhase.PENDING
    preflight_message: str = ""
    preflight_wait: Wait | None = None
    preflight_step: Step | None = None
    done: Mapping[str, frozenset[int]] = field(default_factory=dict)
    reused: Mapping[str, frozenset[int]] = field(default_factory=dict)
    jobs: Mapping[str, JobSeen] = field(default_factory=dict)
    models: Mapping[str, ModelSeen] = field(default_factory=dict)
    voids: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    fresh: Mapping[str, int] = field(default_factory=dict)
    ledger: tuple[LedgerRow, ...] = ()
    held: Mapping[str, float] = field(default_factory=dict)
    seconds_per_token: Mapping[str, float] = field(default_factory=dict)
    leaderboard: tuple[Standing, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    instructions: str = ""
    longest_given: int = 0
    failure: str | None = None
    elapsed: float | None = None
    gives_way: Wait | None = None
