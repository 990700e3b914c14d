"""Benchmarks of the base and the trained model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.shapes import Distinct


def _code_allowed(evaluation: Evaluation) -> Iterator[Violation]:
    if not evaluation.allow_code_execution:
        yield Violation(("allowCodeExecution",), f"false with {', '.join(evaluation.benchmarks)}")


# Each benchmark known so far runs what the model wrote; one that does not will stand outside this rule.
CODE_EXECUTION: Rule[Evaluation] = Rule(
    sentence="these benchmarks run code that models wrote, so allowCodeExecution must be true",
    check=_code_allowed,
    cel="self.allowCodeExecution",
    field_path=".allowCodeExecution",
)


class Evaluation(ApiModel):
    """Benchmarks of the base and the trained model."""

    RULES = (CODE_EXECUTION,)

    benchmarks: Annotated[
        tuple[Literal["humaneval", "humaneval_plus", "mbpp", "mbpp_plus"], ...],
        Field(min_length=1, max_length=16),
        Distinct(),
    ] = ("humaneval_plus", "mbpp_plus")
    """What is run. Default: humaneval_plus, mbpp_plus."""
    competitors: bool = False
    """Run them for the competitors too. Default: false."""
    allow_code_execution: bool = False
    """Code that models wrote may run, in a Job without network, credentials or a writable root. Default: false."""
