"""The methods by which a judge is asked for a verdict: how it is told to reply, what a server is asked, how it is read.

What the operator must know of each stands in `tiltyard_jobs.contracts.verdicts`. A vote is for the answer shown first,
in [0, 1]; a tie is a half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import orjson

from tiltyard_jobs.errors import RecordVoidError, VoidReason

TOP_LOGPROBS = 20
MIN_MASS = 0.5  # of the first token's probability that must lie on 1, 2 and T: less is no verdict
_VOTES = {"1": 1.0, "2": 0.0, "T": 0.5}


class Verdict(NamedTuple):
    """A judge's vote for the answer shown first, in [0, 1], and its reason where it was asked for one."""

    vote: float
    reason: str | None = None


class JudgeReply(Protocol):
    """What is read of a judge's reply."""

    @property
    def text(self) -> str:
        """What the judge wrote."""
        ...

    @property
    def first_token_logprobs(self) -> Mapping[str, float] | None:
        """Natural log-probability by token text, of the likeliest first tokens; None where they were not asked for."""
        ...


class VerdictMethod(NamedTuple):
    """One method.

    Attributes:
        instruction: how to reply; the judge's system message ends with it.
        max_tokens: of one reply.
        read: the verdict in a reply; raises RecordVoidError where there is none.
        schema: JSON schema of the reply; None: it is free.
        top_logprobs: how many of the likeliest first tokens are asked for; None: none.
    """

    instruction: str
    max_tokens: int
    read: Callable[[JudgeReply], Verdict]
    schema: dict[str, Any] | None = None
    top_logprobs: int | None = None


def parse_logprobs(first_token: Mapping[str, float] | None) -> Verdict:
    """The vote in the first token's distribution: P(1) + P(T)/2, over the mass on 1, 2 and T.

    Args:
        first_token: natural log-probability by token text; tokens that differ by white space are added.

    Raises:
        RecordVoidError: Malformed without log-probabilities, Undecided where less than `MIN_MASS` lies on the three.
    """
    if not first_token:
        raise RecordVoidError(VoidReason.MALFORMED, "no log-probabilities in the reply")
    mass = dict.fromkeys(_VOTES, 0.0)
    for token, value in first_token.items():
        word = token.strip()
        if word in mass and math.isfinite(value):
            mass[word] += math.exp(min(value, 0.0))
    total = sum(mass.values())
    if total < MIN_MASS:
        raise RecordVoidError(VoidReason.UNDECIDED, f"only {total:.2f} of the probability is on a verdict")
    return Verdict(round((mass["1"] + mass["T"] / 2) / total, 6))


def parse_choice(text: str) -> Verdict:
    """The vote in a JSON reply. Only the reply's own whole JSON counts; nothing is searched for in prose.

    Raises:
        RecordVoidError: Malformed where the reply is no JSON object, Undecided where it names no side.
    """
    try:
        document = orjson.loads(text.strip())
    except orjson.JSONDecodeError:
        raise RecordVoidError(VoidReason.MALFORMED, "the verdict is no JSON") from None
    if not isinstance(document, dict):
        raise RecordVoidError(VoidReason.MALFORMED, "the verdict is no JSON object")
    vote = _VOTES.get(document["winner"]) if isinstance(document.get("winner"), str) else None
    if vote is None:
        raise RecordVoidError(VoidReason.UNDECIDED, "the verdict names no side")
    reason = document.get("reason")
    return Verdict(vote, reason if isinstance(reason, str) else None)


def _object(**members: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these members, all required, in this order."""
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


_WINNER = {"type": "string", "enum": ["1", "2", "T"]}

VERDICT_METHODS: Mapping[str, VerdictMethod] = {
    "Logprobs": VerdictMethod(
        "Reply with one character: 1 if the first answer is better, 2 if the second is, T if they are equal.",
        max_tokens=1,
        read=lambda reply: parse_logprobs(reply.first_token_logprobs),
        top_logprobs=TOP_LOGPROBS,
    ),
    "Choice": VerdictMethod(
        'Reply with JSON alone: {"winner": "1"}, {"winner": "2"}, or {"winner": "T"} for a tie.',
        max_tokens=24,
        read=lambda reply: parse_choice(reply.text),
        schema=_object(winner=_WINNER),
    ),
    "Reasoned": VerdictMethod(
        'Reply with JSON alone: {"reason": "at most three sentences", "winner": "1" or "2" or "T" for a tie}.',
        max_tokens=512,
        read=lambda reply: parse_choice(reply.text),
        schema=_object(reason={"type": "string", "maxLength": 1200}, winner=_WINNER),
    ),
}
"""By the names that a manifest has for them; `contracts.verdicts` has the same names."""
