"""The methods by which a judge is asked for a verdict: how it is told to reply, what a server is asked, how it is read.

What the operator must know of each stands in `tiltyard_jobs.contracts.verdicts`. A vote is for the answer shown first,
in [0, 1]; a tie is a half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import orjson

from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.prompts.whole import unwrapped

TOP_LOGPROBS = 20
MIN_MASS = 0.5  # of the first token's probability that must lie on 1, 2 and T: less is no verdict
_VOTES = {"1": 1.0, "2": 0.0, "T": 0.5}
_WORDS = {"TIE": "T"}  # what the instructions for JSON call a label, which some models write in its place
_BLANKS = " \t\r\n\ufeff▁Ġ"


class Verdict(NamedTuple):
    """A judge's vote for the answer shown first, in [0, 1], and its reason where it was asked for one."""

    vote: float
    reason: str | None = None


class JudgeReply(Protocol):
    """What is read of a judge's reply."""

    @property
    def answer(self) -> str:
        """What the judge wrote, without its thought."""
        ...

    @property
    def first_token_logprobs(self) -> Mapping[str, float] | None:
        """Natural log-probability by token text, of the answer's likeliest first tokens; None: not sent."""
        ...


class VerdictMethod(NamedTuple):
    """One method.

    Attributes:
        instruction: how to reply; the judge's system message ends with it.
        enough: tokens of a verdict without a thought.
        read: the verdict in a reply; raises RecordVoidError where there is none.
        schema: JSON schema of the answer; None: it is free.
        top_logprobs: how many of the likeliest first tokens are asked for; None: none.
    """

    instruction: str
    enough: int
    read: Callable[[JudgeReply], Verdict]
    schema: dict[str, Any] | None = None
    top_logprobs: int | None = None


def parse_logprobs(first_token: Mapping[str, float] | None, answer: str) -> Verdict:
    """The vote in the distribution of an answer's first token: P(1) + P(T)/2, over the mass on 1, 2 and T.

    A first token that begins more than a label ("1." of a list) is no vote.

    Args:
        first_token: natural log-probability by token text; tokens that differ by case or blanks are added. None where
            none came, as some servers tell none behind a thought: the label that was written is then the whole vote.
        answer: what the judge wrote.

    Raises:
        RecordVoidError: Undecided, where less than `MIN_MASS` lies on the three, or the answer goes on.
    """
    written = _label(answer)
    if first_token is None:
        if written is None:
            raise RecordVoidError(VoidReason.UNDECIDED, "the answer is not a label")
        return Verdict(_VOTES[written])
    mass = dict.fromkeys(_VOTES, 0.0)
    for token, value in first_token.items():
        word = _label(token)
        if word is not None and math.isfinite(value):
            mass[word] += math.exp(min(value, 0.0))
    total = sum(mass.values())
    if total < MIN_MASS:
        raise RecordVoidError(VoidReason.UNDECIDED, f"only {total:.2f} of the probability is on 1, 2 and T")
    if written is None and _label(answer.strip()[:1]) is not None:
        raise RecordVoidError(VoidReason.UNDECIDED, "the answer goes on behind a label")
    return Verdict(round((mass["1"] + mass["T"] / 2) / total, 6))


def parse_choice(answer: str) -> Verdict:
    """The vote in a JSON answer. Only the answer's own whole JSON counts; nothing is searched for in prose.

    Accepted beside the exact form are what `unwrapped` takes off, numbers for the labels 1 and 2, the case of T and the
    blanks around a label, and `tie` for T.

    Raises:
        RecordVoidError: Malformed where the answer is no JSON object, Undecided where it names no side.
    """
    try:
        document = orjson.loads(unwrapped(answer))
    except orjson.JSONDecodeError:
        raise RecordVoidError(VoidReason.MALFORMED, "the verdict is not JSON") from None
    if not isinstance(document, dict):
        raise RecordVoidError(VoidReason.MALFORMED, "the verdict is not a JSON object")
    winner = document.get("winner")
    if type(winner) is float and winner.is_integer():
        winner = int(winner)
    label = _label(str(winner), _WORDS) if type(winner) in (str, int) else None
    if label is None:
        raise RecordVoidError(VoidReason.UNDECIDED, "its winner is none of 1, 2 and T")
    reason = document.get("reason")
    return Verdict(_VOTES[label], reason if isinstance(reason, str) else None)


def _label(text: str, words: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """The label that a text is, whatever its case and the blanks around it: also those of raw vocabularies."""
    word = text.strip(_BLANKS).upper()
    label = words.get(word, word)
    return label if label in _VOTES else None


def _object(**members: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these members, all required, in this order."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_WINNER = {"type": "string", "enum": ["1", "2", "T"]}

VERDICT_METHODS: Mapping[str, VerdictMethod] = {
    "Logprobs": VerdictMethod(
        "Reply with one character: 1 if the first answer is better, 2 if the second is, T if they are equal.",
        enough=4,  # a label, and room to see that nothing follows it
        read=lambda reply: parse_logprobs(reply.first_token_logprobs, reply.answer),
        top_logprobs=TOP_LOGPROBS,
    ),
    "Choice": VerdictMethod(
        'Reply with JSON alone: {"winner": "1"}, {"winner": "2"}, or {"winner": "T"} for a tie.',
        enough=24,
        read=lambda reply: parse_choice(reply.answer),
        schema=_object(winner=_WINNER),
    ),
    "Reasoned": VerdictMethod(
        'Reply with JSON alone: {"reason": "at most three sentences", "winner": "1" or "2" or "T" for a tie}.',
        enough=512,
        read=lambda reply: parse_choice(reply.answer),
        schema=_object(reason={"type": "string", "maxLength": 1200}, winner=_WINNER),
    ),
}
"""By the names that a manifest has for them; `contracts.verdicts` has the same names."""
