"""Recipes of a tournament's stages, and of its report; those of the target model stand in `target_recipes`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, Fraction, Recipe, parts
from tiltyard_jobs.contracts.target_recipes import (
    QuestionsRecipe,
    ReferencesRecipe,
    ScoredModel,
    ScoreRecipe,
    SolveRecipe,
    TrainRecipe,
)

Thoughts = Literal["Drop", "Keep"]
"""What becomes of the thoughts of models that think."""


class SamplingRecipe(Contract):
    """How a reply is sampled."""

    temperature: Fraction
    top_p: Fraction
    max_tokens: int


class MineRecipe(Recipe):
    """Instructions that a model writes when its own template's prefix is all that it sees (paper, section 3.2).

    Attributes:
        prefix: the manifest's own prefix; None: derived from the served model's template.
        settings: the sampling grid, in order; row i uses setting i mod len(settings).
        rows: how many completions are asked for.
        seed: the tournament's seed; each row's own seed derives from it and the row's id.
    """

    stage: Literal["mine"] = "mine"
    version: int = 2
    model: ModelIdentity
    prefix: str | None
    settings: tuple[SamplingRecipe, ...]
    rows: int
    seed: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)


class PromptsRecipe(Recipe):
    """Instructions read from a file of the user's instead of mined.

    Attributes:
        uri: JSON lines, CSV or parquet.
        field: the column that holds the instruction.
        sha256: the file's digest, where it is known: another file in its place is refused.
        attacker_field: the column that names the attacker; None: rows are dealt to the attackers in turn.
        attacker: the value looked for in `attacker_field`.
        attacker_id: the attacker's model.
        turn: this attacker's place in the dealing, of `turns`.
        rows: at most this many for this attacker; a file that holds more is refused.
    """

    stage: Literal["prompts"] = "prompts"
    uri: str
    field: str
    sha256: str | None = None
    attacker_field: str | None
    attacker: str | None
    attacker_id: str
    turn: int
    turns: int
    rows: int


class EmbedderRecipe(Contract):
    """What turns instructions into vectors.

    Attributes:
        method: HashedNgrams (no model), SentenceTransformers (by name or folder), Endpoint.
        model: the name or folder, or for an endpoint `URL#model`.
    """

    method: Literal["HashedNgrams", "SentenceTransformers", "Endpoint"] = "HashedNgrams"
    model: str | None = None


class FilterRecipe(Recipe):
    """Lint, then dedup within the attacker and against the attackers before it (first one keeps it).

    Attributes:
        source: the mined (or read) instructions.
        earlier: what the attackers before this one kept, in order.
    """

    stage: Literal["filter"] = "filter"
    source: ArtifactRef
    earlier: tuple[ArtifactRef, ...]
    dedup: Literal["MinHash", "Semantic", "None"]
    threshold: Fraction
    embedder: EmbedderRecipe | None


class GradeRecipe(Recipe):
    """The difficulty of instructions, from 1 to 10, by one grader.

    `rows` bounds the number of instructions (known beforehand); parts past the real number are empty.

    Attributes:
        max_tokens: of one grade, the thought before it included.
    """

    stage: Literal["grade"] = "grade"
    version: int = 2
    grader: ModelIdentity
    prompt: str
    max_tokens: int
    instructions: ArtifactRef
    rows: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)


class CurateRecipe(Recipe):
    """Instructions that battles are fought over: those of the wanted difficulty, compressed by k-center greedy.

    Attributes:
        keep: difficulty grades to keep; empty with no `grades`: no grading.
        limit: at most this many are kept; None: all.
    """

    stage: Literal["curate"] = "curate"
    instructions: ArtifactRef
    grades: tuple[ArtifactRef, ...]
    keep: tuple[str, ...]
    diversity: Literal["KCenterGreedy", "Random", "None"]
    embedder: EmbedderRecipe | None
    limit: int | None
    seed: int


class AnswerRecipe(Recipe):
    """One model's answers to one attacker's curated instructions.

    Attributes:
        thoughts: Keep: what the model thought stands beside its answer, in a column of its own.
    """

    stage: Literal["answer"] = "answer"
    version: int = 2
    model: ModelIdentity
    instructions: ArtifactRef
    sampling: SamplingRecipe
    thoughts: Thoughts = "Drop"
    rows: int
    seed: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.rows, self.shard_size)


class JudgeRecipe(Recipe):
    """One judge's verdicts on one match: two players' answers to one attacker's instructions.

    Attributes:
        player_a: the attacker, where pairing is AttackerDefender.
        orders: Both: two verdicts for an instruction (A first; B first). Alternate: one, by the parity of its row.
        max_tokens: of one verdict, the thought before it included.
        round: verdicts may come in rounds; round 0 asks for all that `previous` (none) left.
        previous: the artifact that decided what this round asks for.
    """

    stage: Literal["judge"] = "judge"
    version: int = 2
    judge: ModelIdentity
    player_a: ModelIdentity
    player_b: ModelIdentity
    instructions: ArtifactRef
    answers_a: ArtifactRef
    answers_b: ArtifactRef
    orders: Literal["Both", "Alternate"]
    method: Literal["Logprobs", "Choice", "Reasoned"]
    prompt: str
    max_tokens: int
    round: int = 0
    previous: ArtifactRef | None = None
    rows: int
    seed: int
    shard_size: int

    @property
    def instructions_per_shard(self) -> int:
        """Instructions in one part: `shard_size` counts verdicts."""
        return max(1, self.shard_size // (2 if self.orders == "Both" else 1))

    @property
    def shards(self) -> int:
        """Parts of `instructions_per_shard` instructions."""
        return parts(self.rows, self.instructions_per_shard)


class Match(Contract):
    """One judge's verdicts on one match, by names in the manifest.

    Attributes:
        attacker: whose instructions are fought over.
        player_a: the attacker, where pairing is AttackerDefender.
    """

    attacker: str
    player_a: str
    player_b: str
    judge: str
    verdicts: ArtifactRef


class PlayerRecipe(Contract):
    """A competitor as the final tables know it: here names and licences come in.

    Attributes:
        family: what makes two models kin (for a judge's preference of its own), from the uri.
    """

    name: str
    model: ModelIdentity
    license: str | None = None
    family: str = ""


class Lineup(Contract):
    """Who takes part, and where each one's artifacts are: the input of rating, dataset and report.

    Attributes:
        players: competitors in the manifest's order.
        judges: neutral judges in the manifest's order; empty: the players judge.
        instructions: curated instructions by player's name.
        answers: answers[competitor][attacker].
        matches: all verdict artifacts, in the manifest's order of (attacker, A, B, judge).
    """

    players: tuple[PlayerRecipe, ...]
    judges: tuple[PlayerRecipe, ...]
    instructions: dict[str, ArtifactRef]
    answers: dict[str, dict[str, ArtifactRef]]
    matches: tuple[Match, ...]


class RateRecipe(Recipe):
    """Elo, Bradley–Terry with intervals, gold answers, the judges' report card.

    Attributes:
        alpha: weight of the global score against the local one (paper, equation 4).
        k: Elo's K.
        bootstrap: resamples of the instructions for the intervals.
    """

    stage: Literal["rate"] = "rate"
    lineup: Lineup
    alpha: Fraction
    k: Fraction
    bootstrap: int
    seed: int


class BenchmarkRecipe(Contract):
    """A benchmark against which the data is decontaminated: known by name, or a file of the user's."""

    name: str
    uri: str | None = None
    field: str | None = None
    sha256: str | None = None


class StagedArtifact(Contract):
    """One artifact in a run's manifest.

    Attributes:
        role: what it is, by names in the manifest: `answer/qwen/llama` are qwen's to llama's instructions.
    """

    role: str
    ref: ArtifactRef


class DatasetRecipe(Recipe):
    """Training data made of the winners' answers, with provenance.

    Attributes:
        sources: where the curated instructions came from: `mine/NAME` or `prompts/NAME`, `filter/NAME` and
            `grade/GRADER/NAME`.
        min_margin: gold answers that lead the next one by less give no training row.
        benchmarks: what repeats one of their texts gives no training row.
        thoughts: as the answers were made. Keep: training rows have an answer's thought beside its content.
    """

    stage: Literal["dataset"] = "dataset"
    lineup: Lineup
    sources: tuple[StagedArtifact, ...]
    ratings: ArtifactRef
    formats: tuple[Literal["Sft", "Preference"], ...]
    min_margin: Fraction
    benchmarks: tuple[BenchmarkRecipe, ...]
    thoughts: Thoughts = "Drop"
    tournament: str


class ReportRecipe(Recipe):
    """The report and the run's manifest.

    Attributes:
        trained: the target model, where one is trained.
        scores: benchmarks of models: the base and the trained one, then the competitors.
    """

    stage: Literal["report"] = "report"
    tournament: str
    lineup: Lineup
    ratings: ArtifactRef
    dataset: ArtifactRef
    artifacts: tuple[StagedArtifact, ...]
    trained: ArtifactRef | None = None
    scores: tuple[ScoredModel, ...] = ()
    seed: int


AnyRecipe = Annotated[
    MineRecipe
    | PromptsRecipe
    | FilterRecipe
    | GradeRecipe
    | CurateRecipe
    | AnswerRecipe
    | JudgeRecipe
    | RateRecipe
    | DatasetRecipe
    | TrainRecipe
    | ReferencesRecipe
    | QuestionsRecipe
    | SolveRecipe
    | ScoreRecipe
    | ReportRecipe,
    Field(discriminator="stage"),
]
