"""What a `sim://` URI says, parsed strictly. All that shapes a good reply is in it: it is the expert's identity."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sim.chance import Chance
from tiltyard_jobs.sim.domains import Domain
from tiltyard_jobs.sim.refusals import REFUSALS

_SCHEME = "sim://"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,9})?")
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


class _Range:
    """A number between two bounds, whole or decimal."""

    def __init__(self, low: float, high: float, *, whole: bool = False) -> None:
        self.low, self.high = low, high
        self._pattern: re.Pattern[str] = _WHOLE if whole else _DECIMAL
        self._type: Callable[[str], float] = int if whole else float
        self.allowed = f"a {'whole ' if whole else ''}number from {low:.16g} to {high:.16g}"

    def __call__(self, text: str) -> float | None:
        """The number, or None where `text` is none or is out of bounds."""
        if not self._pattern.fullmatch(text):
            return None
        value = self._type(text)
        return value if self.low <= value <= self.high else None


class _OneOf:
    """One of some words."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.allowed = f"one of {', '.join(words)}"

    def __call__(self, text: str) -> str | None:
        """The word, or None where `text` is none of them."""
        return text if text in self._words else None


class _Text:
    """A text without line breaks."""

    allowed = "1 to 64 characters without a line break"

    def __call__(self, text: str) -> str | None:
        """The text, or None where it is blank, too long or more than a line."""
        return text if text.strip() and len(text) <= 64 and text.isprintable() else None


class _SomeOf:
    """Some of some words, between commas."""

    def __init__(self, *words: str) -> None:
        self._words = frozenset(words)
        self.allowed = f"one or more of {', '.join(words)}, with commas between them"

    def __call__(self, text: str) -> frozenset[str] | None:
        """The words, or None where one of them is unknown."""
        given = frozenset(text.split(","))
        return given if given <= self._words else None


THOUGHT_FORMS = ("none", "inline", "unopened", "reasoning", "reasoning_content", "channels")
"""See `thinking`."""

_SHARE = _Range(0, 1)
_FLAG = _Range(0, 1, whole=True)
RANGES: Mapping[str, _Range | _OneOf | _SomeOf | _Text] = MappingProxyType(
    {
        "seed": _Range(0, 10**15, whole=True),
        "skill": _SHARE,
        **{f"skill.{domain}": _SHARE for domain in Domain},
        "spread": _SHARE,
        "verbosity": _SHARE,
        "junk": _SHARE,
        "duplicates": _SHARE,
        "max_model_len": _Range(64, 10_000_000, whole=True),
        "judge.noise": _Range(0, 10),
        "judge.position_bias": _Range(-1, 1),
        "judge.length_bias": _Range(-1, 1),
        "judge.abstain": _SHARE,
        "judge.tie_width": _SHARE,
        "judge.gullible": _FLAG,
        "thoughts": _OneOf(*THOUGHT_FORMS),
        "thoughts.words": _Range(0, 100_000, whole=True),
        "thoughts.endless": _SHARE,
        "thoughts.silent": _SHARE,
        "thoughts.opening": _Text(),
        "thoughts.closing": _Text(),
        "fences": _FLAG,
        "numbers": _FLAG,
        "refuses": _SomeOf(*REFUSALS),
        "humaneval.breaks": _Range(0, 164, whole=True),
    }
)
"""Each parameter of a URI with the values it takes."""


def parse_sim_uri(uri: str) -> SimParameters:
    """Read `sim://NAME?parameter=value&…`.

    Raises:
        ConfigurationError: one sentence that names the parameter, what was given and what is allowed.
    """
    name, given = _split(uri)
    values = {key: _value(uri, key, text) for key, text in given.items()}
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


def _split(uri: str) -> tuple[str, dict[str, str]]:
    if not uri.startswith(_SCHEME):
        raise ConfigurationError(f"{uri!r} is no URI of a simulated expert: write sim://NAME?parameter=value&…")
    name, mark, query = uri.removeprefix(_SCHEME).partition("?")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{uri!r}: the name {name!r} must be 1 to 63 letters, digits, dots, dashes or underscores, with a letter or"
            " a digit at either end"
        )
    given: dict[str, str] = {}
    for item in query.split("&") if mark else ():
        key, equals, text = item.partition("=")
        key, text = unquote(key), unquote(text)
        if not equals:
            raise ConfigurationError(f"{uri!r}: {item!r} has no value: write parameter=value")
        if key not in RANGES:
            raise ConfigurationError(f"{uri!r}: unknown parameter {key!r}; known are {', '.join(RANGES)}")
        if key in given:
            raise ConfigurationError(f"{uri!r}: parameter {key!r} is given twice")
        given[key] = text
    return name, given


def _value(uri: str, key: str, text: str) -> Any:
    value = RANGES[key](text)
    if value is None:
        raise ConfigurationError(f"{uri!r}: parameter {key!r} is {text!r}, but must be {RANGES[key].allowed}")
    return value
