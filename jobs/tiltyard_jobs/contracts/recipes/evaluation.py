"""Benchmarks: what models are asked, and what their replies are worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from tiltyard_jobs.contracts.benchmarks import BenchmarkName
from tiltyard_jobs.contracts.frozen import Contract
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.located import Located
from tiltyard_jobs.contracts.recipe import ArtifactRef, EngineName, Milestone, Phase, Recipe, Requests, parts
from tiltyard_jobs.contracts.recipes.training import TRAINED_SCHEME, TrainRecipe
from tiltyard_jobs.contracts.vocabulary import Style

# Tokens, for estimates.
TASK_TOKENS = 180
REPLY_SHARE = 0.5  # of `maxTokens` that a reply takes
LM_EVAL_QUESTIONS = 1000  # of a harness's task without a limit: only the harness knows


class TaskSetRecipe(Located):
    """A benchmark of programming tasks.

    Attributes:
        name: says how its records are read.
        uri: a file of the user's that holds them; None: they come with a package, or from the hub.
        sha256: the file's digest, where it is known.
        rows: tasks, at most.
    """

    name: BenchmarkName
    uri: str | None = None
    sha256: str | None = None
    rows: int


class SplitFile(Located):
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

    PHASE: ClassVar[Phase] = "Evaluating"

    stage: Literal["references"] = "references"
    tasks: TaskSetRecipe
    by: ProgramsRecipe

    @property
    def runs_programs(self) -> bool:
        """The authors' solutions."""
        return True


class QuestionsRecipe(Recipe):
    """What a harness's task asks of any model, worded by the harness.

    Attributes:
        max_tokens: of one reply; where the task says otherwise, that holds.
    """

    PHASE: ClassVar[Phase] = "Evaluating"

    stage: Literal["questions"] = "questions"
    tasks: LmEvalRecipe
    style: Style
    max_tokens: int

    @property
    def engine(self) -> EngineName | None:
        """The harness words them."""
        return "LmEval"


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

    PHASE: ClassVar[Phase] = "Evaluating"

    stage: Literal["solve"] = "solve"
    version: int = 3
    model: ModelIdentity
    tasks: TaskSetRecipe | QuestionSet
    style: Style
    max_tokens: int
    shard_size: int

    @property
    def asked(self) -> ModelIdentity:
        """Who makes it."""
        return self.model

    @property
    def shards(self) -> int:
        """Parts of `shard_size` rows; one part of questions, whose number only the harness knows."""
        return parts(self.tasks.rows, self.shard_size) if isinstance(self.tasks, TaskSetRecipe) else 1

    def reads(self, shard: int) -> Iterator[tuple[ArtifactRef, int]]:
        """A harness's questions, and the model where the tournament trains it."""
        yield from super().reads(shard)
        if self.model.uri.startswith(TRAINED_SCHEME):
            yield ArtifactRef(stage=TrainRecipe.STAGE, key=self.model.uri.removeprefix(TRAINED_SCHEME)), 0

    def requests(self, answer_tokens: int) -> Requests:
        """A reply to each task."""
        tasks = self.tasks
        calls = tasks.rows if isinstance(tasks, TaskSetRecipe) else tasks.limit or LM_EVAL_QUESTIONS
        return Requests(calls, TASK_TOKENS, round(REPLY_SHARE * self.max_tokens))


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

    PHASE: ClassVar[Phase] = "Evaluating"
    MILESTONE: ClassVar[Milestone] = Milestone("Evaluated", "all models are scored")

    stage: Literal["score"] = "score"
    version: int = 3
    tasks: TaskSetRecipe | LmEvalRecipe
    solutions: ArtifactRef
    style: Style
    by: ProgramsRecipe | MetricRecipe
    references: ArtifactRef | None = None

    @property
    def engine(self) -> EngineName | None:
        """The harness measures what it asked."""
        return "LmEval" if isinstance(self.tasks, LmEvalRecipe) else None

    @property
    def runs_programs(self) -> bool:
        """What a model wrote, unless its replies are measured."""
        return isinstance(self.by, ProgramsRecipe)


class ScoredModel(Contract):
    """One model's scores on one benchmark, by names in the manifest."""

    model: str
    benchmark: str
    scores: ArtifactRef
