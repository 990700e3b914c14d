"""Documents that the last stages pass to one another and to users. They hold no clock and no host name.

`rate` writes a `Standings` (`standings.json`) beside its tables, `dataset` a `DataSummary` (`summary.json`) beside its
own, `train` a list of `CurvePoint` (`curve.json`). `report` draws these with `BenchmarkScore` and `Gain`, and writes a
`Manifest`.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import Field

from tiltyard_jobs.contracts.calibration import Calibration
from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.summary import Standing
from tiltyard_jobs.contracts.vocabulary import GoldRule
from tiltyard_jobs.shard.artifacts import Artifacts

Document = TypeVar("Document", bound=Contract)


class PlayerStanding(Contract):
    """A row of the leaderboard; see `run_tables.RATINGS` for units."""

    name: str
    model_id: str
    uri: str
    rank: int
    rating: float | None
    low: float | None
    high: float | None
    best_rank: int | None = None
    worst_rank: int | None = None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    elo: float
    length_controlled: float | None
    win_rate: float | None
    matches: int
    gold: int
    answered: float | None = None
    plain: float | None = None
    calibrated: float | None = None
    component: int = 0
    group: int = 0


class Estimate(Contract):
    """A number with its 95% interval; None where the votes give none. Marked: it is a fault, for sure."""

    value: float
    low: float | None = None
    high: float | None = None
    marked: bool = False


class JudgeReportCard(Contract):
    """A judge's report card; see `rating.report_card`. None: there was nothing to tell it from.

    Attributes:
        voids: verdicts that it did not answer, by reason; those on void answers are not its own.
        shared: battles on which it is compared with two other judges or more, for `scale`, `length` and `family`.
        vote_scale: by which its log-odds are multiplied in calibrated votes, and `vote_position`, what is taken off
            for the answer shown first; None: they cannot be told (see `rating.probability`).
        votes_for: its votes by player.
    """

    name: str
    model_id: str
    verdicts: int  # that it answered
    voids: dict[str, int] = Field(default_factory=dict)
    first_position: Estimate | None = None
    consistency: float | None = None
    exchanged: int = 0
    flips: int = 0
    agreement: float | None = None
    compared: int = 0
    shared: int = 0
    scale: Estimate | None = None
    length: Estimate | None = None
    family: Estimate | None = None
    family_battles: int = 0
    vote_scale: float | None = None
    vote_position: float | None = None
    votes_for: dict[str, float] = Field(default_factory=dict)


class WithoutJudges(Contract):
    """The ratings without the votes of some judges; None for a player that then has no battle.

    Attributes:
        low: the ends of the 95% intervals; None: open.
        high: likewise.
    """

    judges: tuple[str, ...]
    ratings: dict[str, float | None]
    low: dict[str, float | None] = Field(default_factory=dict)
    high: dict[str, float | None] = Field(default_factory=dict)


class JuryWorth(Contract):
    """What the jury is worth where the higher-rated player's answer stands in for the better one; see `rating.jury`.

    Attributes:
        judges_each: judges in a battle, on average.
        votes: the effective number of votes.
        correlation: mean of two judges' errors.
        right: how often the jury prefers the higher-rated player's answer, and `independent`: if errors were.
        agreement: Krippendorff's alpha.
        adds: by judge, how much more often the jury is right with it. Nobody is marked: that takes labels.
    """

    judges_each: float | None
    votes: Estimate | None
    correlation: float | None
    right: Estimate | None
    independent: float | None
    agreement: float | None
    adds: dict[str, Estimate]


class PartStanding(Contract):
    """A player over a part of the instructions; see `run_tables.BREAKDOWNS` for units."""

    name: str
    rank: int
    rating: float | None
    low: float | None
    high: float | None
    win_rate: float | None
    matches: int
    gold: int


class Breakdown(Contract):
    """The ratings over the instructions with one value of a column; players by rank."""

    by: str
    value: str
    instructions: int
    players: tuple[PartStanding, ...]


class ControlPicks(Contract):
    """What a simpler rule would have picked.

    Attributes:
        rule: Gold: the gold answers themselves. Ratings: the same rule with alpha 1, so without a vote on the
            instruction. Votes: with alpha 0. Leader, Longest, MostAgreed (most like the others), Random.
        same: share of the instructions with a gold answer in which it picks that answer.
        win_rate: mean share of the votes that its picks won.
    """

    rule: str
    same: float
    win_rate: float | None


class Standings(Contract):
    """Where all players and judges of a tournament stand.

    Attributes:
        players: by rank; the matrices' rows and columns have the same order.
        judges: in the manifest's order.
        without: for each judge with a mark, and where there are several for all of them, the ratings without it.
        win_rates: win_rates[a][b]: mean share of the votes of a against b; None where they never met.
        win_counts: battles behind it.
        expected: X(a > b) from Elo.
        length_points: rating points that a length difference of one is worth (style control); with a 95% interval.
        home_points: rating points that it is worth to answer one's own instruction; with a 95% interval.
        instructions: all that were curated.
        matches: battles in which a judge voted.
        undecided: battles in which every verdict is void: asked for, never scored.
        verdicts: that were answered.
        without_quorum: battles in which fewer than two judges voted, where three could have.
        unjudged: instructions without a gold answer.
        best_alone: share of instructions whose gold answer is the leader's: what picking the best model would get.
        controls: simpler rules beside the gold.
        jury: what the judges are worth together.
        calibration: the judges by labelled pairs, where the manifest has some.
        breakdowns: the ratings by kind of instruction, difficulty, attacker and the user's own columns.
        gold: the rule that chose the gold answers.
        alpha: weight of the global score in the final scores; `k` is Elo's.
    """

    players: tuple[PlayerStanding, ...]
    judges: tuple[JudgeReportCard, ...]
    without: tuple[WithoutJudges, ...] = ()
    win_rates: tuple[tuple[float | None, ...], ...]
    win_counts: tuple[tuple[int, ...], ...]
    expected: tuple[tuple[float, ...], ...]
    length_points: float | None
    length_low: float | None = None
    length_high: float | None = None
    home_points: float | None = None
    home_low: float | None = None
    home_high: float | None = None
    instructions: int
    matches: int
    undecided: int = 0
    verdicts: int
    without_quorum: int
    unjudged: int
    best_alone: float | None
    controls: tuple[ControlPicks, ...] = ()
    jury: JuryWorth | None = None
    calibration: Calibration | None = Field(default=None, exclude_if=lambda found: found is None)
    breakdowns: tuple[Breakdown, ...] = ()
    gold: GoldRule = "Mean"
    alpha: float
    k: float


class Funnel(Contract):
    """What became of one attacker's instructions.

    Attributes:
        noted: what the linter says of instructions that were not dropped for it; left out where there is nothing.
        cut_off: of how many mined texts that passed lint and deduplication an `answer` behind the request, or a role
            `mark`, was cut off; left out where there is nothing.
    """

    attacker: str
    asked: int
    dropped: dict[str, int] = Field(default_factory=dict)  # by reason, voids among them
    noted: dict[str, int] = Field(default_factory=dict, exclude_if=lambda counts: not counts)
    cut_off: dict[str, int] = Field(default_factory=dict, exclude_if=lambda counts: not counts)
    curated: int
    scores: dict[str, int] = Field(default_factory=dict)  # how many were graded 1 … 10, before the cut
    task_types: dict[str, int] = Field(default_factory=dict)  # of the curated


class Overlap(Contract):
    """How near the curated instructions come to one known benchmark.

    Attributes:
        histogram: counts of overlap in [0, 0.1), [0.1, 0.2) … [0.9, 1].
        matched: instructions or answers cut as contaminated.
    """

    benchmark: str
    items: int
    histogram: tuple[int, ...]
    matched: int


class DataSummary(Contract):
    """How the training data came about.

    Attributes:
        cut: curated instructions that gave no training row, by the first reason that holds; with the rows they add up
            to all curated instructions.
        preference_cut: those of the others that gave no preference row, by reason.
        gold_by_player: training rows by who wrote the gold answer.
        gold_by_license: likewise by its author's licence.
        flagged: rows with secrets or personal data, by table, then by flag.
    """

    funnels: tuple[Funnel, ...]
    overlaps: tuple[Overlap, ...]
    voids: dict[str, dict[str, int]] = Field(default_factory=dict)  # by stage, then by reason
    tokens: dict[str, dict[str, tuple[int, int]]] = Field(default_factory=dict)  # stage → model → (read, written)
    sft: int
    preference: int
    cut: dict[str, int] = Field(default_factory=dict)
    preference_cut: dict[str, int] = Field(default_factory=dict)
    gold_by_player: dict[str, int] = Field(default_factory=dict)
    gold_by_license: dict[str, int] = Field(default_factory=dict)
    flagged: dict[str, dict[str, int]] = Field(default_factory=dict)


class BenchmarkScore(Contract):
    """One model on one benchmark, one reply for each task.

    Attributes:
        tasks: that have a reply; a void one is not scored.
        outcomes: what became of programs: Passed, Failed, TimedOut, Crashed; of other replies: the metric's name.
        voids: replies that were never written, by reason.
        replies: that were written.
        unanswered: those of them that hold no answer, by reason; they are scored, and are worth nothing.
        score: the mean, in [0, 1], of programs the share that passed (pass@1), with its 95% interval (see
            `evaluation.intervals`); None: no task has a reply.
    """

    model: str
    benchmark: str
    tasks: int
    outcomes: dict[str, int]
    voids: dict[str, int] = Field(default_factory=dict)
    replies: int = 0
    unanswered: dict[str, int] = Field(default_factory=dict)
    score: float | None
    low: float | None
    high: float | None


class Gain(Contract):
    """What training gave on one benchmark, on the tasks that both models have replied to.

    Attributes:
        before: the base model's score.
        after: the trained model's.
        difference: with the 95% interval of paired values, in [-1, 1].
    """

    benchmark: str
    tasks: int
    before: float
    after: float
    difference: float
    low: float
    high: float


class CurvePoint(Contract):
    """The loss at one step of training; `stage` is sft or dpo."""

    stage: str
    step: int
    epoch: float
    loss: float
    learning_rate: float


class ManifestFile(Contract):
    """One of the run's own files, relative to the manifest."""

    path: str
    sha256: str
    size: int
    rows: int = 0


class ManifestArtifact(Contract):
    """One artifact of the run: its role by names, where it lies, and its parts' digests in order."""

    role: str
    stage: str
    key: str
    sha256: tuple[tuple[str, ...], ...]
    rows: int


class Manifest(Contract):
    """What a run is made of. The last file to be written: where it is, the run is complete.

    Attributes:
        versions: of the packages that can change a result, and of the stages' code.
        notes: what a reader of the results should know, such as which models did badly.
        outputs: paths beside the manifest by name (manifest, report, dataset), so that a copy elsewhere is as good.
        instructions: one line: how many there were, how many are used, and why the others are not.
    """

    tournament: str
    run: str
    seed: int
    versions: dict[str, str]
    leaderboard: tuple[Standing, ...]
    notes: tuple[str, ...] = ()
    outputs: dict[str, str]
    instructions: str = ""
    files: tuple[ManifestFile, ...]
    artifacts: tuple[ManifestArtifact, ...]


def read_document(artifacts: Artifacts, ref: ArtifactRef, name: str, model: type[Document]) -> Document:
    """A JSON document of an artifact of one part."""
    (seal,) = artifacts.require(ref)
    return model.model_validate_json(artifacts.fetch(seal.files[name]).read_bytes())


def read_curve(artifacts: Artifacts, trained: ArtifactRef) -> tuple[CurvePoint, ...]:
    """The loss by step of a trained model."""
    (seal,) = artifacts.require(trained)
    points = json.loads(artifacts.fetch(seal.files["curve"]).read_bytes())
    return tuple(CurvePoint.model_validate(point) for point in points)
