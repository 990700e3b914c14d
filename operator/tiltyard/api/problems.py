"""Problems of a manifest: one clear sentence each, with the field's path, what is allowed and what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_LONGEST = 80


class Problem(NamedTuple):
    """One thing that is wrong with a manifest.

    Attributes:
        path: the field, `spec.competitors[2].model.uri`; empty for the file as a whole.
        message: one sentence: what is allowed, and what was given.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ManifestError(Exception):
    """A manifest that cannot be used.

    Attributes:
        source: the file's name, empty where there is none.
        problems: all that is wrong with it, in the order of the manifest's fields.
    """

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        prefix = f"{source}: " if source else ""
        super().__init__("\n".join(f"{prefix}{problem}" for problem in self.problems))


def path_text(path: Iterable[str | int]) -> str:
    """A path as people write it: `spec.competitors[2].name`, `metadata.labels["a.b/c"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
            text += f".{step}" if text else step
        else:
            text += f"[{_quoted(step)}]"
    return text


def given_text(value: Any, path: Iterable[str | int] = ()) -> str:
    """A value as a sentence can hold it: one line, short, and without a password that stands where none belongs."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    steps = [str(step).lower() for step in path]
    if isinstance(value, str) and any("secret" in step or step == "headers" for step in steps):
        return "a text (not shown)"
    if "headers" in steps:
        return "a value (not shown)"
    if isinstance(value, str):
        return _quoted(re.sub(r"//[^/\s]*@", "//…@", value))
    return _shortened(_json(value))


def _json(value: Any) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # an integer of more digits than Python writes
        return hex(value)
    except TypeError:  # none of JSON's types: YAML has bytes and dates
        return type(value).__name__


def _quoted(text: str) -> str:
    return _shortened(json.dumps(text[: _LONGEST * 2], ensure_ascii=False))


def _shortened(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def printable(text: str) -> str:
    """A text without what a terminal would not show as it is."""
    return "".join(character if character.isprintable() else "�" for character in text)


def as_yaml_reads(value: object) -> str:
    """Which words YAML has read as a boolean; nothing of any other value."""
    if not isinstance(value, bool):
        return ""
    return f", as YAML reads {'y, yes, on and true' if value else 'n, no, off and false'}"
