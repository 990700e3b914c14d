"""Who meets whom, how they answer and how a match is judged."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import PositiveShare, Temperature, TokenLimit
from tiltyard_jobs.contracts.verdicts import VERDICT_METHODS, VerdictMethodName
from tiltyard_jobs.contracts.vocabulary import Criteria, Orders, Pairing, ScheduleType

_METHODS = " ".join(f"{name}: {facts.meaning}." for name, facts in VERDICT_METHODS.items())


class AnswerSampling(ApiModel):
    """How answers are sampled."""

    temperature: Temperature = Decimal("0.7")
    """Default: 0.7."""
    top_p: PositiveShare = Decimal("0.95")
    """Default: 0.95."""
    max_tokens: TokenLimit = 2048
    """Tokens of one answer, at most. One that is cut is judged as it is, and gives no training row. Default: 2048."""


class VerdictSettings(ApiModel):
    """How one verdict is asked for."""

    method: Annotated[VerdictMethodName, Field(description=f"{_METHODS} Default: Logprobs.")] = "Logprobs"
    criteria: Criteria = "code-v1"
    """What a judge weighs. Default: code-v1."""


class Schedule(ApiModel):
    """Which verdicts are asked for."""

    type: ScheduleType = "RoundRobin"
    """RoundRobin: all. Pruned skips verdicts that can no longer change a gold answer. Default: RoundRobin."""


class Battles(ApiModel):
    """Who meets whom, how they answer and how a match is judged."""

    pairing: Pairing = "AttackerDefender"
    """AttackerDefender: an instruction's attacker against every other competitor. AllPairs: every two competitors.
    Default: AttackerDefender."""
    answer: AnswerSampling = AnswerSampling()
    """How answers are sampled."""
    orders: Orders = "Both"
    """Both: each judge sees each pair of answers in both orders. Alternate: in one, by turns. Default: Both."""
    verdict: VerdictSettings = VerdictSettings()
    """How one verdict is asked for."""
    schedule: Schedule = Schedule()
    """Which verdicts are asked for."""
