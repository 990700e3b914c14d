"""Recipes: what makes an artifact. An artifact's key is the digest of its recipe.

A recipe names the stage, the version of the code that can change the result, the model's identity, the sampling, and
its inputs as references (which hold their keys), so keys follow from the manifest alone, before anything runs, as
derivations do in Nix. What cannot change a result (parallelism, resources, retries, names) is not in a recipe.

A version is raised by hand when the stage's code changes what it makes; a prompt's version stands in the recipe too.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainSerializer

from tiltyard_jobs.contracts.frozen import Contract, key_of
from tiltyard_jobs.contracts.identity import ModelIdentity


def _plain(value: Decimal) -> str:
    """A decimal without trailing zeros or exponent: 0.70 and 0.7 are one recipe."""
    text = format(value.normalize(), "f")
    return "0" if text in ("-0", "0") else text


Fraction = Annotated[Decimal, PlainSerializer(_plain, return_type=str)]

Stage = Literal[
    "mine",
    "prompts",
    "filter",
    "grade",
    "curate",
    "answer",
    "judge",
    "rate",
    "dataset",
    "train",
    "solve",
    "score",
    "report",
]


class ArtifactRef(Contract):
    """A reference to an artifact: enough to find and to verify it.

    Attributes:
        stage: the stage that makes it; also the first folder of its place in the store.
        key: 32 hex digits.
        shards: how many parts it has; it is complete when each part is sealed.
    """

    stage: Stage
    key: str
    shards: int = Field(default=1, ge=1)


class SamplingRecipe(Contract):
    """How a reply is sampled."""

    temperature: Fraction
    top_p: Fraction
    max_tokens: int


class Recipe(Contract):
    """Base of the recipes.

    Attributes:
        shard_size: rows in one part; part i holds rows [i·size, (i+1)·size). In the recipe since it shapes the files.
    """

    STAGE: ClassVar[Stage]
    stage: Stage
    version: int = 1

    @property
    def shards(self) -> int:
        """How many parts the artifact has."""
        return 1

    @cached_property
    def ref(self) -> ArtifactRef:
        """The reference to the artifact that this recipe makes."""
        return ArtifactRef(stage=self.stage, key=key_of(self), shards=self.shards)


def parts(rows: int, size: int) -> int:
    """Parts of `size` rows that hold `rows`; at least one, so that an empty artifact has a place."""
    return max(1, -(-rows // size))


class MineRecipe(Recipe):
    """Instructions that a model writes when its own template's prefix is all that it sees (paper, section 3.2).

    Attributes:
        prefix: the manifest's own prefix; None: derived from the served model's template.
        settings: the sampling grid, in order; row i uses setting i mod len(settings).
        rows: how many completions are asked for.
        seed: the tournament's seed; each row's own seed derives from it and the row's id.
    """

    stage: Literal["mine"] = "mine"
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
    """

    stage: Literal["grade"] = "grade"
    grader: ModelIdentity
    prompt: str
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
    """One model's answers to one attacker's curated instructions."""

    stage: Literal["answer"] = "answer"
    model: ModelIdentity
    instructions: ArtifactRef
    sampling: SamplingRecipe
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
        round: verdicts may come in rounds; round 0 asks for all that `previous` (none) left.
        previous: the artifact that decided what this round asks for.
    """

    stage: Literal["judge"] = "judge"
    judge: ModelIdentity
    player_a: ModelIdentity
    player_b: ModelIdentity
    instructions: ArtifactRef
    answers_a: ArtifactRef
    answers_b: ArtifactRef
    orders: Literal["Both", "Alternate"]
    method: Literal["Logprobs", "Choice", "Reasoned"]
    prompt: str
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
    """

    stage: Literal["dataset"] = "dataset"
    lineup: Lineup
    sources: tuple[StagedArtifact, ...]
    ratings: ArtifactRef
    formats: tuple[Literal["Sft", "Preference"], ...]
    min_margin: Fraction
    benchmarks: tuple[BenchmarkRecipe, ...]
    tournament: str


class LoraRecipe(Contract):
    """Low-rank adapters on all linear layers (arXiv 2106.09685), merged into the weights in the end."""

    rank: int
    alpha: int


class SelectRecipe(Contract):
    """Which rows are trained on.

    Attributes:
        fraction: of them.
        by: Margin: those whose gold answer leads by most. Random: drawn by the seed, as the control.
    """

    fraction: Fraction
    by: Literal["Margin", "Random"]


class TrainRecipe(Recipe):
    """A base model fine-tuned on a tournament's rows (paper, section 3.4 and appendix).

    Attributes:
        base: the model to start from.
        chat_template: in place of the base tokenizer's own.
        dataset: its `sft` rows, and its `preference` rows for SftThenDpo.
        select: absent: all rows.
        lora: absent: all weights are trained.
        global_batch_size: packed sequences of one optimiser step, over all devices.
        max_length: tokens of one sequence.
    """

    stage: Literal["train"] = "train"
    base: ModelIdentity
    chat_template: str | None
    dataset: ArtifactRef
    select: SelectRecipe | None
    method: Literal["Sft", "SftThenDpo"]
    lora: LoraRecipe | None
    learning_rate: Fraction
    epochs: int
    global_batch_size: int
    warmup_ratio: Fraction
    weight_decay: Fraction
    max_length: int
    packing: bool
    precision: Literal["Bfloat16", "Float32"]
    gradient_checkpointing: bool
    seed: int


class TaskSetRecipe(Contract):
    """A benchmark of programming tasks.

    Attributes:
        name: says how its records are read.
        uri: a file of the user's that holds them; None: they come with a package, or from the hub.
        sha256: the file's digest, where it is known.
        rows: tasks, at most.
    """

    name: Literal["humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "cruxeval_input", "cruxeval_output"]
    uri: str | None = None
    sha256: str | None = None
    rows: int


class SolveRecipe(Recipe):
    """One model's solutions of a benchmark's tasks, one for each, greedily decoded.

    Attributes:
        style: Chat: the task is the user's turn. Completion: the model goes on with the task's text.
    """

    stage: Literal["solve"] = "solve"
    model: ModelIdentity
    tasks: TaskSetRecipe
    style: Literal["Chat", "Completion"]
    max_tokens: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows."""
        return parts(self.tasks.rows, self.shard_size)


class ScoreRecipe(Recipe):
    """What became of solutions when they ran, each in a sandbox of its own.

    Attributes:
        style: as in `SolveRecipe`: how a reply becomes a program.
        seconds: that one program may take.
        memory: bytes that it may use.
    """

    stage: Literal["score"] = "score"
    tasks: TaskSetRecipe
    solutions: ArtifactRef
    style: Literal["Chat", "Completion"]
    seconds: int
    memory: int


BASE_MODEL, TRAINED_MODEL = "base-model", "trained-model"
"""Under which names the target of a training is served and scored; no competitor and no judge has them."""


class ScoredModel(Contract):
    """One model's scores on one benchmark, by names in the manifest."""

    model: str
    benchmark: str
    scores: ArtifactRef


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
    | SolveRecipe
    | ScoreRecipe
    | ReportRecipe,
    Field(discriminator="stage"),
]
