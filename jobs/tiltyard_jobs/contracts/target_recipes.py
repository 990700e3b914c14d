"""Recipes of the target model: it is trained, asked, and scored."""

from __future__ import annotations

from typing import Literal

from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, Fraction, Recipe, parts


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
    version: int = 2
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


Benchmark = Literal[
    "humaneval",
    "humaneval_plus",
    "mbpp",
    "mbpp_plus",
    "cruxeval_input",
    "cruxeval_output",
    "ds1000",
    "bigcodebench",
    "bigcodebench_hard",
]
"""Benchmarks of programming tasks, by the names that a manifest has for them."""


class TaskSetRecipe(Contract):
    """A benchmark of programming tasks.

    Attributes:
        name: says how its records are read.
        uri: a file of the user's that holds them; None: they come with a package, or from the hub.
        sha256: the file's digest, where it is known.
        rows: tasks, at most.
    """

    name: Benchmark
    uri: str | None = None
    sha256: str | None = None
    rows: int


class SplitFile(Contract):
    """One split of a task's data, in a file of the user's."""

    split: str
    uri: str
    sha256: str | None = None


class LmEvalRecipe(Contract):
    """A task of lm-evaluation-harness, or a group of them.

    Attributes:
        name: the harness's own name of it.
        harness: the harness's version; another one may ask otherwise.
        num_fewshot: solved examples before each question; None: as the task says.
        limit: only the first so many questions of each task.
        files: stand in for the data on the Hugging Face hub.
    """

    name: str
    harness: str
    num_fewshot: int | None = None
    limit: int | None = None
    files: tuple[SplitFile, ...] = ()


Style = Literal["Chat", "Completion"]
"""How a model is asked. Chat: the task is the user's turn. Completion: the model goes on with the task's text."""


class QuestionsRecipe(Recipe):
    """What a harness's task asks of any model, worded by the harness.

    Attributes:
        max_tokens: of one reply; where the task says otherwise, that holds.
    """

    stage: Literal["questions"] = "questions"
    tasks: LmEvalRecipe
    style: Style
    max_tokens: int


class QuestionSet(Contract):
    """Questions that a harness has worded.

    Attributes:
        name: the benchmark's.
        limit: of each of its tasks, where there is one; for estimates, since their number is the harness's to know.
    """

    name: str
    questions: ArtifactRef
    limit: int | None


class SolveRecipe(Recipe):
    """One model's replies to a benchmark's tasks, one for each, greedily decoded where a harness says nothing else."""

    stage: Literal["solve"] = "solve"
    version: int = 2
    model: ModelIdentity
    tasks: TaskSetRecipe | QuestionSet
    style: Style
    max_tokens: int
    shard_size: int

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows; one part of questions, whose number only the harness knows."""
        return parts(self.tasks.rows, self.shard_size) if isinstance(self.tasks, TaskSetRecipe) else 1


class ProgramsRecipe(Contract):
    """Replies are programs, and each runs in a sandbox of its own.

    Attributes:
        seconds: that one program may take.
        memory: bytes that it may use.
        environment: names what is installed where it runs; None: what the worker has.
    """

    seconds: int
    memory: int
    environment: str | None = None


class ReferencesRecipe(Recipe):
    """Which tasks of a benchmark can be solved where its programs run: the authors' own solutions are run there."""

    stage: Literal["references"] = "references"
    tasks: TaskSetRecipe
    by: ProgramsRecipe


class MetricRecipe(Contract):
    """Replies are measured by a metric of the harness: `NAME` or `NAME,FILTER`; None: the task's first."""

    metric: str | None


class ScoreRecipe(Recipe):
    """What a model's replies are worth, task by task.

    Attributes:
        style: how the model was asked: how a reply becomes a program.
        by: how they are judged.
        references: where tasks stand in it that cannot be solved where programs run, these are not scored.
    """

    stage: Literal["score"] = "score"
    version: int = 3
    tasks: TaskSetRecipe | LmEvalRecipe
    solutions: ArtifactRef
    style: Style
    by: ProgramsRecipe | MetricRecipe
    references: ArtifactRef | None = None


BASE_MODEL, TRAINED_MODEL = "base-model", "trained-model"
"""Under which names the target of a training is served and scored; no competitor and no judge has them."""


class ScoredModel(Contract):
    """One model's scores on one benchmark, by names in the manifest."""

    model: str
    benchmark: str
    scores: ArtifactRef
