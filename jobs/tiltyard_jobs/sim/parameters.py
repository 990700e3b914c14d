"""What a `sim://` URI says, parsed strictly. All that shapes a good reply is in it: it is the expert's identity."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from tiltyard_jobs.contracts.simulated import parameters_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import Domain

_SCHEME = "sim://"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
DEFAULT_MAX_MODEL_LEN = 32_768
_LOWEST_SKILL, _HIGHEST_SKILL = 0.35, 0.85  # of an expert whose URI gives none


@dataclass(frozen=True, slots=True)
class JudgeParameters:
    """How an expert judges. Quality lies in [0, 1]; noise, biases and the tie's width are in that unit.

    Attributes:
        noise: standard deviation of the judge's error about the difference of two answers.
        position_bias: added to the answer shown first; negative favours the second.
        length_bias: added to the longer answer for each doubling of length.
        abstain: share of comparisons in which the judge names no side.
        tie_width: differences below it are called a tie.
        gullible: whether the judge obeys votes asked for inside an answer. For tests.
    """

    noise: float = 0.15
    position_bias: float = 0.03
    length_bias: float = 0.02
    abstain: float = 0.01
    tie_width: float = 0.04
    gullible: bool = False


@dataclass(frozen=True, slots=True)
class ThoughtParameters:
    """How an expert thinks before it replies to a chat.

    Attributes:
        form: how its server tells a thought from an answer; see `thinking`.
        words: of a thought, at least.
        endless: share of thoughts that do not end before the token limit.
        silent: share of thoughts that nothing follows.
        opening: the mark before a thought in the text, in the form `inline`.
        closing: the mark behind it, also in the form `unopened`.
    """

    form: str = "none"
    words: int = 40
    endless: float = 0.0
    silent: float = 0.0
    opening: str = "<think>"
    closing: str = "</think>"


@dataclass(frozen=True, slots=True)
class SimParameters:
    """An expert, as its URI describes it. Hashable by identity of all its fields.

    Attributes:
        name: the URI's name; it seeds what is not given, unless `seed` does.
        seed: whole number.
        skills: skill in [0, 1] of each kind of task, all seven, in the order of `Domain`.
        verbosity: in [0, 1]: how much it writes beyond what is needed.
        junk: share of mined completions that are no instruction, at temperature 0.8.
        duplicates: share of mined completions that are a variant of a popular instruction, at temperature 0.8.
        max_model_len: tokens of prompt and reply together.
        judge: how it judges.
        thoughts: how it thinks.
        fences: whether JSON that it writes stands in a code fence.
        numbers: whether it writes the labels 1 and 2 as numbers in JSON.
        refuses: what its server does not take of a request; see `refusals`.
        humaneval_breaks: it knows HumanEval's solutions, and breaks every n-th (0: none); None: it knows none.
    """

    name: str
    seed: int
    skills: tuple[float, ...]
    verbosity: float
    junk: float = 0.04
    duplicates: float = 0.12
    max_model_len: int = DEFAULT_MAX_MODEL_LEN
    judge: JudgeParameters = JudgeParameters()
    thoughts: ThoughtParameters = ThoughtParameters()
    fences: bool = False
    numbers: bool = False
    refuses: frozenset[str] = frozenset()
    humaneval_breaks: int | None = None

    def skill_in(self, domain: Domain) -> float:
        """The latent skill in one kind of task, in [0, 1]."""
        return self.skills[_ORDER[domain]]


_ORDER = {domain: place for place, domain in enumerate(Domain)}


def parse_sim_uri(uri: str) -> SimParameters:
    """Read `sim://NAME?parameter=value&…`.

    Raises:
        ConfigurationError: one sentence that names the parameter, what was given and what is allowed.
    """
    name, values = _split(uri)
    seed = int(values.get("seed", zlib.crc32(name.encode())))
    skill = values.get("skill", _between(_LOWEST_SKILL, _HIGHEST_SKILL, Chance(seed, "skill")))
    spread = values.get("spread", 0.1)
    skills = tuple(
        values.get(
            f"skill.{domain}",
            min(1.0, max(0.0, round(skill + _between(-spread, spread, Chance(seed, "skill", domain)), 6))),
        )
        for domain in Domain
    )
    plain = {key: values[key] for key in ("junk", "duplicates") if key in values}
    of_judge = {key.removeprefix("judge."): value for key, value in values.items() if key.startswith("judge.")}
    gullible = bool(of_judge.pop("gullible", 0))
    of_thoughts = {key.removeprefix("thoughts."): value for key, value in values.items() if key.startswith("thoughts.")}
    return SimParameters(
        name=name,
        seed=seed,
        skills=skills,
        verbosity=values.get("verbosity", round(_between(0.2, 0.6, Chance(seed, "verbosity")), 6)),
        max_model_len=int(values.get("max_model_len", DEFAULT_MAX_MODEL_LEN)),
        judge=JudgeParameters(gullible=gullible, **of_judge),
        thoughts=ThoughtParameters(form=values.get("thoughts", "none"), **of_thoughts),
        fences=bool(values.get("fences", 0)),
        numbers=bool(values.get("numbers", 0)),
        refuses=values.get("refuses", frozenset()),
        humaneval_breaks=int(values["humaneval.breaks"]) if "humaneval.breaks" in values else None,
        **plain,
    )


def _between(low: float, high: float, chance: Chance) -> float:
    return low + (high - low) * chance.unit()


def _split(uri: str) -> tuple[str, dict[str, Any]]:
    if not uri.startswith(_SCHEME):
        raise ConfigurationError(f"{uri!r} is no URI of a simulated expert: write sim://NAME?parameter=value&…")
    name = uri.removeprefix(_SCHEME).partition("?")[0]
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{uri!r}: the name {name!r} must be 1 to 63 letters, digits, dots, dashes or underscores, with a letter or"
            " a digit at either end"
        )
    values: dict[str, Any] = {}
    for parameter in parameters_of(uri):
        if parameter.problem:
            raise ConfigurationError(f"{uri!r}: {parameter.problem}")
        values[parameter.key] = parameter.value
    return name, values
