"""Benchmarks of the base and the trained model, and of the competitors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import Sha256, TextsUri, TokenLimit
from tiltyard.api.serving import ModelServing
from tiltyard.api.shapes import Distinct, Whole
from tiltyard.api.texts import TEXTS_IN_CLUSTER

Benchmark = Literal["humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "cruxeval_input", "cruxeval_output"]

TASKS: Mapping[Benchmark, int] = {
    "humaneval": 164,
    "humaneval_plus": 164,
    "mbpp": 500,
    "mbpp_plus": 378,
    "cruxeval_input": 800,
    "cruxeval_output": 800,
}
"""How many tasks each benchmark has, at most."""


class BenchmarkFile(ApiModel):
    """A benchmark's records in a file, for a place without the Hugging Face hub."""

    CLUSTER_RULES = (TEXTS_IN_CLUSTER,)

    benchmark: Benchmark
    """Which one."""
    uri: TextsUri
    """The records as its authors publish them: JSON lines or parquet at s3://BUCKET/KEY; on one machine also
    file:///PATH or file://./PATH beside the manifest."""
    sha256: Sha256 | None = None
    """The file's digest. Another file in its place is refused."""


def _code_allowed(evaluation: Evaluation) -> Iterator[Violation]:
    if not evaluation.allow_code_execution:
        yield Violation(("allowCodeExecution",), f"false with {', '.join(evaluation.benchmarks)}")


def _one_file(evaluation: Evaluation) -> Iterator[Violation]:
    named = [file.benchmark for file in evaluation.files]
    for position, benchmark in enumerate(named):
        if benchmark not in evaluation.benchmarks or benchmark in named[:position]:
            yield Violation(("files", position, "benchmark"), f'"{benchmark}"')


# Each benchmark known so far runs what the model wrote; one that does not will stand outside this rule.
CODE_EXECUTION: Rule[Evaluation] = Rule(
    sentence="these benchmarks run code that models wrote, so allowCodeExecution must be true",
    check=_code_allowed,
    cel="self.allowCodeExecution",
    field_path=".allowCodeExecution",
)
ONE_FILE: Rule[Evaluation] = Rule(
    sentence="must be one of evaluation.benchmarks that no other file is for",
    check=_one_file,
    cel="!has(self.files) || self.files.all(f, f.benchmark in self.benchmarks)",
    field_path=".files",
)


class Evaluation(ApiModel):
    """Benchmarks of the base and the trained model."""

    RULES = (CODE_EXECUTION, ONE_FILE)

    benchmarks: Annotated[tuple[Benchmark, ...], Field(min_length=1, max_length=16), Distinct()] = (
        "humaneval_plus",
        "mbpp_plus",
    )
    """What is run: one greedy solution for each task (pass@1). humaneval comes with Tiltyard; the others are read from
    the Hugging Face hub, which needs a network and the package datasets, or from `files`. Default: humaneval_plus,
    mbpp_plus."""
    files: Annotated[tuple[BenchmarkFile, ...], Field(max_length=16)] = ()
    """Benchmarks that are read from files of yours."""
    serving: ModelServing = ModelServing()
    """How the base and the trained model are served."""
    competitors: bool = False
    """Run them for the competitors too. Default: false."""
    allow_code_execution: bool = False
    """Code that models wrote may run: in a process without network, credentials or files. Default: false."""
    max_tokens: TokenLimit = 1024
    """Tokens of one solution. Default: 1024."""
    timeout_seconds: Annotated[int, Whole(1, 600)] = 10
    """How long one program may run. Default: 10."""
