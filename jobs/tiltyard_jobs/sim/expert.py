"""An expert: from a request to its reply, a pure function of the URI's parameters and the request."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from tiltyard_jobs.sim.answering import write_answer
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.fences import fenced_parts
from tiltyard_jobs.sim.judging import SIDES, Opinion, Side, compare, grade
from tiltyard_jobs.sim.mining import write_instruction
from tiltyard_jobs.sim.parameters import SimParameters
from tiltyard_jobs.sim.protocol import Generation, RequestError, unsupported_schema
from tiltyard_jobs.sim.request_log import RequestKind
from tiltyard_jobs.sim.solutions import solution_of
from tiltyard_jobs.sim.structured import UnsupportedSchemaError, instance_of
from tiltyard_jobs.sim.thinking import Thought, think
from tiltyard_jobs.sim.tokenizer import TURN_END, count_tokens, decode, encode

_BARE_TOKENS = 8  # a judge with no more room than this replies with the verdict alone
_OTHER_TOKENS = (("Nei", 0.4), ("The", 0.25), ("Ans", 0.15), ("Bot", 0.12), ("**", 0.08))
_OTHER_MASS, _OTHER_MASS_ABSTAINING = 0.012, 0.93  # of the first token's probability
_NEITHER = "Neither answer can be preferred with any confidence."
_LABEL = re.compile(r'"([12])"(?=\}$)')
_WINNER_NAMES = frozenset({"winner", "verdict", "better", "choice", "vote", "preferred"})
_GRADE_NAMES = frozenset({"grade", "difficulty", "score", "rating"})
_ALIASES: dict[Side, tuple[object, ...]] = {
    "1": ("1", "A", "a", "first", "answer_1", "Answer 1", 1),
    "2": ("2", "B", "b", "second", "answer_2", "Answer 2", 2),
    "T": ("T", "tie", "Tie", "TIE", "C", "c", "equal", "draw", 0),
}


class TokenLogprobs(NamedTuple):
    """The token that was written, and the likeliest ones in its place, with natural log-probabilities."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...]


class Reply(NamedTuple):
    """What the expert writes.

    Attributes:
        text: without the stop.
        finish_reason: `stop` or `length`.
        stop_reason: the text that ended it, where the request asked for that stop.
        prompt_tokens: read.
        completion_tokens: written; the end of the turn counts as one, as in vLLM.
        logprobs: one entry for each token, where asked for.
    """

    text: str
    finish_reason: str
    stop_reason: str | None
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[TokenLogprobs, ...] | None = None


class _Draft(NamedTuple):
    text: str
    first_token: tuple[tuple[str, float], ...] | None = None  # its distribution, where the draft is a bare verdict


class Expert:
    """A simulated expert.

    Args:
        parameters: who it is.
    """

    def __init__(self, parameters: SimParameters) -> None:
        self.parameters = parameters

    def reply(self, request: Generation) -> Reply:
        """Write the reply to a request.

        Raises:
            RequestError: 400: prompt and reply do not fit the context, or the schema cannot be satisfied.
        """
        prompt_tokens = count_tokens(request.prompt)
        room = self._room(request, prompt_tokens)
        draft = self._draft(request)
        thought = self._thought(request, room)
        answer = "" if thought.silent or not thought.ends else draft.text
        text, stop_reason = _stopped(thought.text + answer, request.stop)  # within a thought too, as servers do
        before = encode(text[: len(thought.text)])
        ids = before + encode(text[len(thought.text) :])
        finish_reason = "stop"
        written = len(ids) + 1
        if len(ids) >= room:
            ids, written, finish_reason, stop_reason = ids[:room], room, "length", None
            text = decode(ids)
        logprobs = None
        if request.top_logprobs is not None:
            chance = self._chance("logprobs", request)
            logprobs = _logprobs(ids, len(before), draft.first_token, request.top_logprobs, chance)
        if request.echo:
            text = request.prompt + text
        return Reply(text, finish_reason, stop_reason, prompt_tokens, written, logprobs)

    def _room(self, request: Generation, prompt_tokens: int) -> int:
        most = self.parameters.max_model_len
        wanted = request.max_tokens
        if prompt_tokens + max(wanted or 0, 1) > most:
            total = prompt_tokens + (wanted or 0)
            raise RequestError(
                400,
                f"This model's maximum context length is {most} tokens. However, you requested {wanted or 0} output"
                f" tokens and your prompt contains {prompt_tokens} input tokens, for a total of {total} tokens."
                " Please reduce the length of the input prompt or the number of requested output tokens.",
                "input_tokens",
            )
        return most - prompt_tokens if wanted is None else wanted

    def _chance(self, purpose: str, request: Generation) -> Chance:
        """The request's own stream. Greedy decoding draws nothing, so there the request's seed changes nothing."""
        seed = request.seed if request.temperature > 0 else None
        return Chance(self.parameters.seed, purpose, request.prompt, f"{request.temperature:g}", seed)

    def _thought(self, request: Generation, room: int) -> Thought:
        """What it thinks before it replies to a chat."""
        return (
            think(self.parameters.thoughts, self._chance("thought", request), room)
            if request.chat and request.thinks
            else Thought("")
        )

    def _draft(self, request: Generation) -> _Draft:
        if (solution := solution_of(self.parameters, request)) is not None:
            return _Draft(solution)
        chance = self._chance(request.kind, request)
        match request.kind:
            case RequestKind.MINE:
                return _Draft(write_instruction(self.parameters, chance, request.temperature))
            case RequestKind.JUDGE:
                return self._verdict(request, chance)
            case RequestKind.GRADE:
                return self._grade(request, chance)
        users = [turn.content for turn in request.turns if turn.role == "user"]
        answer = write_answer(self.parameters, users[-1] if users else request.prompt, chance, request.temperature)
        if request.schema is not None:
            return _Draft(_structure(request.schema, None, None, answer))
        return _Draft(answer)

    def _verdict(self, request: Generation, chance: Chance) -> _Draft:
        parts = fenced_parts(request.turns[-1].content)
        first, second = parts.get("ANSWER 1"), parts.get("ANSWER 2")
        if first is None or second is None:
            opinion = Opinion((0.0, 0.0, 0.0), abstains=True, seen=(0.0, 0.0))
        else:
            opinion = compare(self.parameters, parts.get("INSTRUCTION", ""), first, second, chance)
        if request.schema is not None:
            side = "T" if opinion.abstains else _sampled_side(opinion, request.temperature, chance)
            return _Draft(self._written(_structure(request.schema, side, None, _reason(opinion))))
        bare = request.top_logprobs is not None or (request.max_tokens or _BARE_TOKENS + 1) <= _BARE_TOKENS
        if bare:
            distribution = _first_token(opinion)
            side = _sampled_side(opinion, request.temperature, chance)
            return _Draft(_NEITHER if opinion.abstains else side, distribution)
        if opinion.abstains:
            return _Draft(_NEITHER)
        verdict = orjson.dumps({"winner": _sampled_side(opinion, request.temperature, chance)}).decode()
        return _Draft(f"{_reason(opinion)}\n\n{verdict}")

    def _written(self, document: str) -> str:
        """JSON as this expert writes it."""
        if self.parameters.numbers:
            document = _LABEL.sub(r"\1", document)
        return f"```json\n{document}\n```" if self.parameters.fences else document

    def _grade(self, request: Generation, chance: Chance) -> _Draft:
        content = request.turns[-1].content
        value = grade(self.parameters, fenced_parts(content).get("INSTRUCTION", content), chance)
        if request.schema is not None:
            reason = "Judged by the number of demands that it makes."
            return _Draft(self._written(_structure(request.schema, None, value, reason)))
        if (request.max_tokens or _BARE_TOKENS + 1) <= _BARE_TOKENS:
            return _Draft(str(value))
        return _Draft(
            f"It makes demands of a level of {value} out of 10.\n\n" + orjson.dumps({"grade": value}).decode()
        )


def _sampled_side(opinion: Opinion, temperature: float, chance: Chance) -> Side:
    if temperature == 0:
        return opinion.winner
    return chance.weighted(SIDES, _softmax([logit / temperature for logit in opinion.logits]))


def _first_token(opinion: Opinion) -> tuple[tuple[str, float], ...]:
    """The distribution of the first token of a bare verdict, likeliest first."""
    other_mass = _OTHER_MASS_ABSTAINING if opinion.abstains else _OTHER_MASS
    weights = _softmax(opinion.logits)
    mass: list[tuple[str, float]] = [
        (side, (1 - other_mass) * weight) for side, weight in zip(SIDES, weights, strict=True)
    ]
    mass += [(token, other_mass * share) for token, share in _OTHER_TOKENS]
    return tuple((token, round(math.log(max(p, 1e-30)), 6)) for token, p in sorted(mass, key=lambda pair: -pair[1]))


def _softmax(logits: Sequence[float]) -> list[float]:
    top = max(logits)
    powers = [math.exp(logit - top) for logit in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _reason(opinion: Opinion) -> str:
    first, second = opinion.seen
    if abs(first - second) < 0.03:
        return "Both answers meet about the same part of the instruction, with the same care for edge cases."
    better, worse = ("first", "second") if first > second else ("second", "first")
    return f"The {better} answer has more steps that hold and names more edge cases than the {worse}."


def _structure(schema: Mapping[str, Any], side: Side | None, value: int | None, text: str) -> str:
    def suggest(name: str, member: Mapping[str, Any]) -> object:
        lowered = name.lower()
        if side is not None and (lowered in _WINNER_NAMES or ("enum" in member and not name)):
            choices = member.get("enum")
            if not choices:
                return side
            known = next((alias for alias in _ALIASES[side] if alias in choices), None)
            return choices[min(SIDES.index(side), len(choices) - 1)] if known is None else known
        if value is not None and lowered in _GRADE_NAMES:
            return value
        return text if member.get("type") == "string" else None

    try:
        return orjson.dumps(instance_of(schema, suggest)).decode()
    except UnsupportedSchemaError as error:
        raise unsupported_schema(error) from None
    except (TypeError, ValueError, AttributeError, RecursionError):
        raise unsupported_schema(UnsupportedSchemaError("the schema is malformed")) from None


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    """Cut `text`, which ends its turn, at the first of the stops; the end of the turn is one only where asked for."""
    whole = text + TURN_END
    place, reason = min(((whole.find(stop), stop) for stop in stops if stop in whole), default=(len(text), None))
    return text[:place], reason


def _logprobs(
    ids: list[int], begins: int, first: tuple[tuple[str, float], ...] | None, count: int, chance: Chance
) -> tuple[TokenLogprobs, ...]:
    entries = []
    for place, ident in enumerate(ids):
        token = decode([ident])
        if place == begins and first is not None:
            entries.append(TokenLogprobs(token, dict(first).get(token, first[0][1]), first[:count]))
            continue
        own = round(math.log(1 - 0.4 * chance.unit()), 6)
        rest = math.log(-math.expm1(own) + 1e-9)
        others = [(other, round(rest + math.log(share), 6)) for other, share in _OTHER_TOKENS if other != token]
        top = sorted([(token, own), *others], key=lambda pair: -pair[1])
        entries.append(TokenLogprobs(token, own, tuple(top[:count])))
    return tuple(entries)
