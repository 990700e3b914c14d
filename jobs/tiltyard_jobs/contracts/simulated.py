"""What a `sim://` URI may say: the parameters of a simulated expert, and the values that each takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

DOMAINS = ("generation", "debugging", "refactoring", "algorithms", "explanation", "testing", "data")
"""The kinds of task; see `tiltyard_jobs.sim.domains`."""
REFUSALS = ("max_tokens", "seed", "long_seed", "temperature", "top_p", "system")
"""`long_seed` is one of more than 31 bits; `temperature` one other than 1; `system` a system message."""
THOUGHT_FORMS = ("none", "inline", "unopened", "reasoning", "reasoning_content", "channels")
"""See `tiltyard_jobs.sim.thinking`."""

_WHOLE = re.compile(r"[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,9})?")


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


_SHARE = _Range(0, 1)
_FLAG = _Range(0, 1, whole=True)
RANGES: Mapping[str, _Range | _OneOf | _SomeOf | _Text] = {
    "seed": _Range(0, 10**15, whole=True),
    "skill": _SHARE,
    **{f"skill.{domain}": _SHARE for domain in DOMAINS},
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
"""Each parameter of a URI with the values it takes."""


class Parameter(NamedTuple):
    """One parameter of a URI.

    Attributes:
        key: its name.
        value: what its text says; None where it is wrong.
        problem: what is wrong with it, as the end of a sentence; empty where nothing is.
        unknown: there is no parameter of this name.
    """

    key: str
    value: Any
    problem: str = ""
    unknown: bool = False


def parameters_of(uri: str) -> Iterator[Parameter]:
    """Each parameter of `sim://NAME?parameter=value&…`, right or wrong."""
    _, mark, query = uri.partition("?")
    seen: set[str] = set()
    for item in query.split("&") if mark else ():
        key, equals, text = item.partition("=")
        key, text = unquote(key), unquote(text)
        if not equals:
            yield Parameter(key, None, f"{item!r} has no value: write parameter=value")
        elif key not in RANGES:
            yield Parameter(key, None, f"unknown parameter {key!r}; known are {', '.join(RANGES)}", unknown=True)
        elif key in seen:
            yield Parameter(key, None, f"parameter {key!r} is given twice")
        elif (value := RANGES[key](text)) is None:
            yield Parameter(key, None, f"parameter {key!r} is {text!r}, but must be {RANGES[key].allowed}")
        else:
            yield Parameter(key, value)
        seen.add(key)
