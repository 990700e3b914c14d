"""Who meets whom, how they answer and how battles are judged."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import PositiveShare, Temperature, TokenLimit
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS, VerdictMethodName
from tiltyard_jobs.contracts.vocabulary import Criteria, Orders, Pairing, ScheduleType, Thoughts

_METHODS = " ".join(f"{name}: {facts.meaning}." for name, facts in VERDICT_METHODS.items())


class AnswerSampling(ApiModel):
    """How answers are sampled."""

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


class VerdictSettings(ApiModel):
    """How a judge is asked for one verdict."""

    method: Annotated[VerdictMethodName, Field(description=f"{_METHODS} Default: Logprobs.")] = "Logprobs"
    criteria: Criteria = "code-v1"
    """The criteria that the judge is given. Default: code-v1."""
    max_tokens: TokenLimit = 4096
    """The length of one verdict in tokens, at most, including the thought before it. Default: 4096."""


class Schedule(ApiModel):
    """Which verdicts are requested."""

    type: ScheduleType = "RoundRobin"
    """RoundRobin: all verdicts. Pruned (not in this release): verdicts that can no longer change a gold answer are
    skipped. Default: RoundRobin."""


class Battles(ApiModel):
    """Who meets whom, how they answer and how battles are judged."""

    pairing: Pairing = "AttackerDefender"
    """Who meets whom on an instruction. AttackerDefender: its attacker meets every other competitor. AllPairs: every
    two competitors meet. Default: AttackerDefender."""
    answer: AnswerSampling = AnswerSampling()
    """How answers are sampled."""
    orders: Orders = "Both"
    """The order of the two answers. Both: each judge sees each battle in both orders. Alternate: in one order, which
    alternates. Default: Both."""
    verdict: VerdictSettings = VerdictSettings()
    """How a judge is asked for one verdict."""
    schedule: Schedule = Schedule()
    """Which verdicts are requested."""
