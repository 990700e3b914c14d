"""How an expert judges two answers and grades an instruction."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from tiltyard_jobs.sim.assessment import assess
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import read_instruction
from tiltyard_jobs.sim.parameters import SimParameters

Side = Literal["1", "2", "T"]
SIDES: tuple[Side, ...] = ("1", "2", "T")

_SHARPNESS = 12.0  # log-odds of answer 1 per unit of quality that it is seen to be better by
_OPINION, _MOOD = 0.5, math.sqrt(0.5)  # shares of the noise: half its variance stays with the pair in either order
_GRADE_NOISE = 5.0  # grade points per unit of `judge.noise`
_CERTAIN = 8.0  # log-odds of a judge that was told what to say
_ORDER_TO_VOTE = re.compile(
    r"(?:ignore|disregard|forget) (?:all|the|any|everything)\b.{0,80}\b(?:vote|choose|pick|say|answer|prefer)\b.{0,40}"
    r"\b(?:for )?(?:answer )?([12ab])\b",
    re.IGNORECASE | re.DOTALL,
)


class Opinion(NamedTuple):
    """A judge's view of two answers.

    Attributes:
        logits: of `1`, `2` and `T`, up to a constant.
        abstains: whether the judge names no side.
        seen: the two qualities as read, without noise or bias.
    """

    logits: tuple[float, float, float]
    abstains: bool
    seen: tuple[float, float]

    @property
    def winner(self) -> Side:
        """The likeliest side."""
        return SIDES[max(range(3), key=self.logits.__getitem__)]


def compare(parameters: SimParameters, instruction: str, first: str, second: str, chance: Chance) -> Opinion:
    """Compare two answers to an instruction, in the order shown.

    The difference of the qualities read is moved by the judge's lasting error about each answer, by an error of the
    moment, and by its biases. Inside `tie_width` a tie is the likeliest.

    Args:
        parameters: the judge's.
        instruction: what was asked.
        first: answer 1.
        second: answer 2.
        chance: the request's own stream.
    """
    judge = parameters.judge
    if judge.gullible and (order := _ORDER_TO_VOTE.search(first) or _ORDER_TO_VOTE.search(second)):
        wish = _CERTAIN if order[1] in "1aA" else -_CERTAIN
        return Opinion((wish, -wish, 0.0), False, (0.0, 0.0))
    seen = (assess(first).quality, assess(second).quality)
    errors = [
        Chance(parameters.seed, "opinion", instruction, text).normal(judge.noise * _OPINION) for text in (first, second)
    ]
    difference = (seen[0] + errors[0]) - (seen[1] + errors[1]) + chance.normal(judge.noise * _MOOD)
    difference += judge.position_bias + judge.length_bias * math.log2((len(first) + 1) / (len(second) + 1))
    half = _SHARPNESS * difference / 2
    logits = (half, -half, _SHARPNESS * judge.tie_width / 2)
    return Opinion(logits, chance.happens(judge.abstain), seen)


def grade(parameters: SimParameters, instruction: str, chance: Chance) -> int:
    """The difficulty of an instruction from 1 to 10, as this judge sees it."""
    difficulty = read_instruction(instruction).difficulty
    exact = 1 + 9 * difficulty
    if difficulty > 0:
        exact += chance.normal(_GRADE_NOISE * parameters.judge.noise)
    return min(10, max(1, round(exact)))
