"""Evaluation of the base model, the trained model and the competitors on benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import MAP_BY_NAME, ApiModel
from tiltyard.api.request import ExtraRequest
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Sha256, TextsUri, TokenLimit
from tiltyard.api.serving import ModelServing
from tiltyard.api.shapes import Distinct, Text, Whole
from tiltyard.api.texts import DIGEST_OF_ADDRESS, TEXTS_IN_CLUSTER
from tiltyard.api.thoughts import ThoughtMarks
from tiltyard_jobs.contracts.benchmarks import BENCHMARKS, BenchmarkName

_WITH_LIBRARIES = [name for name, facts in BENCHMARKS.items() if facts.libraries]

ImageName = Annotated[str, Text("the name of a container image, REGISTRY/NAME:TAG", r"[A-Za-z0-9][^\s]*", 512)]
InterpreterPath = Annotated[str, Text("a command or a path in the image", r"[^\s-][^\s]*", 253)]
TaskName = Annotated[
    str,
    Text("a name of at most 128 characters (letters, digits, '_', '-', '+', '.')", r"[A-Za-z0-9][A-Za-z0-9_.+-]*", 128),
]
Metric = Annotated[
    str, Text("a metric of the harness, NAME or NAME,FILTER", r"[A-Za-z0-9_.+-]+(,[A-Za-z0-9_.+-]+)?", 128)
]


class BenchmarkFile(ApiModel):
    """A benchmark's records in a file, where the Hugging Face hub cannot be reached."""

    RULES = (DIGEST_OF_ADDRESS,)
    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    benchmark: BenchmarkName
    """The benchmark."""
    uri: TextsUri
    """The records as the benchmark's authors publish them, JSON Lines or parquet, at s3://BUCKET/KEY,
    hf://datasets/ORG/NAME@REVISION/PATH or https://HOST/PATH; on one machine also a path, relative to the manifest,
    with ~/ or in full, or file:///PATH."""
    sha256: Sha256 | None = None
    """The file's SHA-256 digest. A file with another digest is refused. Required for https://."""


class ProgramEnvironment(ApiModel):
    """The environment in which a benchmark's programs run. It need not contain Tiltyard."""

    benchmark: BenchmarkName
    """The benchmark."""
    image: ImageName
    """The container image, with Python 3.10 or later and the libraries that the programs use. On one machine the
    image is not run, but its name still identifies the environment; give the interpreter with --programs-python."""
    python: InterpreterPath = "python3"
    """The interpreter in the image that has the libraries. Default: python3."""


class TaskFile(ApiModel):
    """One split of a harness task's data in a file, where the Hugging Face hub cannot be reached."""

    RULES = (DIGEST_OF_ADDRESS,)
    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    split: TaskName = "test"
    """The split, under the task's own name for it. Default: test."""
    uri: TextsUri
    """The records as on the hub, JSON Lines, CSV or parquet, at s3://BUCKET/KEY, hf://datasets/ORG/NAME@REVISION/PATH
    or https://HOST/PATH; on one machine also a path, relative to the manifest, with ~/ or in full, or file:///PATH."""
    sha256: Sha256 | None = None
    """The file's SHA-256 digest. A file with another digest is refused. Required for https://."""


def _own_benchmark(task: LmEvalTask) -> Iterator[Violation]:
    if task.name in BENCHMARKS:
        yield Violation(("name",), f'"{task.name}"')


def _one_file_a_split(task: LmEvalTask) -> Iterator[Violation]:
    splits = [file.split for file in task.files]
    for position, split in enumerate(splits):
        if split in splits[:position]:
            yield Violation(("files", position, "split"), f'"{split}"')


NOT_OUR_OWN: Rule[LmEvalTask] = Rule(
    sentence="must not be a benchmark that Tiltyard runs itself; name it in evaluation.benchmarks",
    check=_own_benchmark,
    cel=f"!(self.name in {list(BENCHMARKS)})",
    field_path=".name",
)
ONE_FILE_A_SPLIT: Rule[LmEvalTask] = Rule(
    sentence="must be a split for which no other file is given",
    check=_one_file_a_split,
    cel="!has(self.files) || self.files.all(f, self.files.exists_one(g, g.split == f.split))",
    field_path=".files",
)


class LmEvalTask(ApiModel):
    """A task of lm-evaluation-harness, or a group of them."""

    RULES = (NOT_OUR_OWN, ONE_FILE_A_SPLIT)

    name: TaskName
    """The task's or group's name in the harness, for example gsm8k, ifeval or mmlu. Tasks that run generated code
    are refused; see `benchmarks`."""
    metric: Metric | None = None
    """The metric, as the harness prints it, for example acc or exact_match,flexible-extract. It must be a mean over
    the questions between 0 and 1, and higher must be better. Absent: the task's first metric of this kind."""
    num_fewshot: Annotated[int, Whole(0, 64)] | None = None
    """The number of solved examples before each question. Absent: the task's own number."""
    limit: Annotated[int, Whole(1, 1_000_000)] | None = None
    """The number of questions of each task, at most; the first ones are taken. Absent: all questions."""
    files: Annotated[tuple[TaskFile, ...], Field(max_length=8)] = ()
    """Files with the task's data, one for each split that it reads. Absent: the data is read from the Hugging Face
    hub."""


def _code_allowed(evaluation: Evaluation) -> Iterator[Violation]:
    if evaluation.benchmarks and not evaluation.allow_code_execution:
        yield Violation(("allowCodeExecution",), f"false with {', '.join(evaluation.benchmarks)}")


def _one_file(evaluation: Evaluation) -> Iterator[Violation]:
    named = [file.benchmark for file in evaluation.files]
    for position, benchmark in enumerate(named):
        if benchmark not in evaluation.benchmarks or benchmark in named[:position]:
            yield Violation(("files", position, "benchmark"), f'"{benchmark}"')


def _one_environment(evaluation: Evaluation) -> Iterator[Violation]:
    named = [environment.benchmark for environment in evaluation.environments]
    for position, benchmark in enumerate(named):
        if benchmark not in evaluation.benchmarks or benchmark in named[:position]:
            yield Violation(("environments", position, "benchmark"), f'"{benchmark}"')


def _libraries_somewhere(evaluation: Evaluation) -> Iterator[Violation]:
    named = {environment.benchmark for environment in evaluation.environments}
    for position, benchmark in enumerate(evaluation.benchmarks):
        if benchmark in _WITH_LIBRARIES and benchmark not in named:
            yield Violation(("benchmarks", position), f'"{benchmark}"')


def _asked_once(evaluation: Evaluation) -> Iterator[Violation]:
    names = [task.name for task in evaluation.lm_eval]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield Violation(("lmEval", position, "name"), f'"{name}"')


def _something_asked(evaluation: Evaluation) -> Iterator[Violation]:
    if not evaluation.benchmarks and not evaluation.lm_eval:
        yield Violation(("benchmarks",), "none")


CODE_EXECUTION: Rule[Evaluation] = Rule(
    sentence="must be true if benchmarks run code that models wrote; set benchmarks to [] to run none",
    check=_code_allowed,
    cel="self.allowCodeExecution || (has(self.benchmarks) && size(self.benchmarks) == 0)",
    field_path=".allowCodeExecution",
)
ONE_FILE: Rule[Evaluation] = Rule(
    sentence="must be one of evaluation.benchmarks for which no other file is given",
    check=_one_file,
    cel="!has(self.files) || self.files.all(f, f.benchmark in self.benchmarks"
    " && self.files.exists_one(g, g.benchmark == f.benchmark))",
    field_path=".files",
)
ONE_ENVIRONMENT: Rule[Evaluation] = Rule(
    sentence="must be one of evaluation.benchmarks for which no other environment is given",
    check=_one_environment,
    cel="!has(self.environments) || self.environments.all(e, e.benchmark in self.benchmarks"
    " && self.environments.exists_one(f, f.benchmark == e.benchmark))",
    field_path=".environments",
)
LIBRARIES_SOMEWHERE: Rule[Evaluation] = Rule(
    sentence="must have an image with its libraries: name one in evaluation.environments",
    check=_libraries_somewhere,
    cel=f"!has(self.benchmarks) || self.benchmarks.all(b, !(b in {_WITH_LIBRARIES}) ||"
    " (has(self.environments) && self.environments.exists(e, e.benchmark == b)))",
    field_path=".benchmarks",
)
ASKED_ONCE: Rule[Evaluation] = Rule(
    sentence="must be a task that is named only once",
    check=_asked_once,
    cel="!has(self.lmEval) || self.lmEval.all(t, self.lmEval.exists_one(u, u.name == t.name))",
    field_path=".lmEval",
)
SOMETHING_ASKED: Rule[Evaluation] = Rule(
    sentence="must name at least one benchmark if evaluation.lmEval names no task",
    check=_something_asked,
    cel="!has(self.benchmarks) || size(self.benchmarks) > 0 || (has(self.lmEval) && size(self.lmEval) > 0)",
    field_path=".benchmarks",
)


class Evaluation(ApiModel):
    """Evaluation of the base model and the trained model, and of the competitors if asked, on benchmarks."""

    RULES = (CODE_EXECUTION, ONE_FILE, ONE_ENVIRONMENT, LIBRARIES_SOMEWHERE, ASKED_ONCE, SOMETHING_ASKED)

    benchmarks: Annotated[tuple[BenchmarkName, ...], Field(max_length=16), Distinct()] = ("humaneval_plus", "mbpp_plus")
    """The benchmarks that run code: one greedy solution per task (pass@1). humaneval comes with Tiltyard; the others
    are read from the Hugging Face hub, which needs a network and the package datasets, or from `files`. Default:
    humaneval_plus, mbpp_plus."""
    files: Annotated[tuple[BenchmarkFile, ...], Field(max_length=16)] = ()
    """Files from which benchmarks are read instead of the Hugging Face hub."""
    environments: Annotated[tuple[ProgramEnvironment, ...], Field(max_length=16)] = ()
    """The environments of benchmarks whose programs need one of their own. Required for ds1000, bigcodebench and
    bigcodebench_hard. Absent: the worker's Python."""
    lm_eval: Annotated[tuple[LmEvalTask, ...], Field(max_length=32, json_schema_extra=MAP_BY_NAME)] = ()
    """Tasks of lm-evaluation-harness. Replies are measured; no code that a model wrote is run."""
    serving: ModelServing = ModelServing()
    """How the base model and the trained model are served."""
    request: ExtraRequest | None = None
    """What is added to the requests to the base model and the trained model."""
    thought_marks: ThoughtMarks | None = None
    """The marks around the thoughts of the base model and the trained model, where they are none of the usual ones."""
    competitors: bool = False
    """Whether the competitors that are models are evaluated too. Default: false."""
    allow_code_execution: bool = False
    """Whether code that models wrote may run, in a process without network, credentials or files. Default: false."""
    max_tokens: TokenLimit = 1024
    """The length of one reply in tokens, at most. A limit that a harness task sets itself is used instead. Default:
    1024."""
    timeout_seconds: Annotated[int, Whole(1, 600)] = 10
    """The time in seconds that one program may run. Default: 10."""
