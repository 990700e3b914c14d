"""Which answers are compared, how they are requested and how battles are judged."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.rules import Rule, Violation
from tiltyard.api.scalars import CriteriaText, PositiveShare, RubricLine, SystemMessage, Temperature, TokenLimit
from tiltyard.api.shapes import Elsewhere, Whole
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS, VerdictMethodName
from tiltyard_jobs.contracts.vocabulary import Criteria, Orders, Pairing, ScheduleType, Thoughts

_METHODS = " ".join(f"{name}: {facts.meaning}." for name, facts in VERDICT_METHODS.items())


class AnswerSampling(ApiModel):
    """How answers are requested and sampled."""

    system: SystemMessage | None = None
    """A system message for every competitor, sent before the instruction. Judges do not see it, and training rows do
    not contain it. Absent: none is sent, and a model's template may add its own."""
    temperature: Temperature = Decimal("0.7")
    """The sampling temperature. Default: 0.7."""
    top_p: PositiveShare = Decimal("0.95")
    """The top-p of nucleus sampling. Default: 0.95."""
    max_tokens: TokenLimit = 2048
    """The length of one answer in tokens, at most, including the thought before it. An answer that is cut is judged as
    it is and gives no training row. Default: 2048."""
    thoughts: Thoughts = "Drop"
    """What happens to the thoughts of models that think. A thought is never judged. Drop: it is not kept. Keep: it
    goes into a column `thought`, and in training rows into the message's `reasoning_content`. Default: Drop."""


class RubricPoint(ApiModel):
    """One thing that a judge weighs."""

    text: RubricLine
    """The point in one line, such as `The code runs as it stands`."""
    weight: Annotated[int, Whole(1, 100)] = 1
    """How much it counts compared with the other points: 2 counts twice as much as 1. Default: 1."""


def _one_criteria(verdict: VerdictSettings) -> Iterator[Violation]:
    given = {"criteria": verdict.criteria, "criteriaText": verdict.criteria_text, "rubric": verdict.rubric}
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        yield Violation((), f"{', '.join(named[:-1])} and {named[-1]}")


ONE_CRITERIA: Rule[VerdictSettings] = Rule(
    sentence="must have at most one of criteria, criteriaText and rubric (none: code-v1)",
    check=_one_criteria,
    cel="(has(self.criteria) ? 1 : 0) + (has(self.criteriaText) ? 1 : 0)"
    " + (has(self.rubric) && self.rubric.size() > 0 ? 1 : 0) <= 1",
)


class VerdictSettings(ApiModel):
    """How one verdict is requested from a judge."""

    RULES = (ONE_CRITERIA,)

    method: Annotated[VerdictMethodName, Field(description=f"{_METHODS} Default: Logprobs.")] = "Logprobs"
    criteria: Annotated[Criteria | None, Elsewhere("criteria of your own go into criteriaText or rubric")] = None
    """The criteria that the judge is given, by name. Absent: code-v1, unless `criteriaText` or `rubric` is given."""
    criteria_text: CriteriaText | None = None
    """Criteria in your own words, instead of named ones. The judge reads them before the instruction and the answers;
    how it is to reply is said after them."""
    rubric: Annotated[tuple[RubricPoint, ...], Field(max_length=32)] = ()
    """Criteria as points with weights, instead of named ones."""
    max_tokens: TokenLimit = 4096
    """The length of one verdict in tokens, at most, including the thought before it. Default: 4096."""


class Schedule(ApiModel):
    """Which verdicts are requested."""

    type: ScheduleType = "RoundRobin"
    """RoundRobin: all verdicts. Pruned (not in this release): verdicts that can no longer change a gold answer are
    skipped. Default: RoundRobin."""


class Battles(ApiModel):
    """Which answers are compared, how they are requested and how battles are judged."""

    pairing: Pairing = "AttackerDefender"
    """Which answers to an instruction are compared. AttackerDefender: its attacker's with every other competitor's.
    AllPairs: those of every two competitors. Default: AttackerDefender."""
    answer: AnswerSampling = AnswerSampling()
    """How answers are requested and sampled."""
    orders: Orders = "Both"
    """The order of the two answers. Both: each judge sees each battle in both orders. Alternate: in one order, which
    alternates. Default: Both."""
    verdict: VerdictSettings = VerdictSettings()
    """How one verdict is requested from a judge."""
    schedule: Schedule = Schedule()
    """Which verdicts are requested."""
