"""Who meets whom, how they answer and how a match is judged."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from tiltyard.api.base import ApiModel
from tiltyard.api.scalars import PositiveShare, Temperature, TokenLimit

Criteria = Literal["code-v1", "general-v1"]


class AnswerSampling(ApiModel):
    """How answers are sampled."""

    temperature: Temperature = Decimal("0.7")
    """Default: 0.7."""
    top_p: PositiveShare = Decimal("0.95")
    """Default: 0.95."""
    max_tokens: TokenLimit = 2048
    """Tokens of one answer and the thought before it, at most. An answer that is cut is judged as it is, and gives no
    training row. Default: 2048."""
    thoughts: Literal["Drop", "Keep"] = "Drop"
    """What becomes of the thoughts of models that think. They are never judged. Keep: a column `thought`, and in
    training rows the message's `reasoning_content`. Default: Drop."""


class Verdict(ApiModel):
    """How one verdict is asked for."""

    method: Literal["Logprobs", "Choice", "Reasoned"] = "Logprobs"
    """Logprobs: a fraction of a vote, from the probabilities of the two labels. Choice: one label. Reasoned: reasons,
    then a label. Default: Logprobs."""
    criteria: Criteria = "code-v1"
    """What a judge weighs. Default: code-v1."""
    max_tokens: TokenLimit = 4096
    """Tokens of one verdict and the thought before it, at most. Default: 4096."""


class Schedule(ApiModel):
    """Which verdicts are asked for."""

    type: Literal["RoundRobin", "Pruned"] = "RoundRobin"
    """RoundRobin: all. Pruned skips verdicts that can no longer change a gold answer. Default: RoundRobin."""


class Battles(ApiModel):
    """Who meets whom, how they answer and how a match is judged."""

    pairing: Literal["AttackerDefender", "AllPairs"] = "AttackerDefender"
    """AttackerDefender: an instruction's attacker against every other competitor. AllPairs: every two competitors.
    Default: AttackerDefender."""
    answer: AnswerSampling = AnswerSampling()
    """How answers are sampled."""
    orders: Literal["Both", "Alternate"] = "Both"
    """Both: each judge sees each pair of answers in both orders. Alternate: in one, by turns. Default: Both."""
    verdict: Verdict = Verdict()
    """How one verdict is asked for."""
    schedule: Schedule = Schedule()
    """Which verdicts are asked for."""
