"""Where a text stands in a record: a path such as `messages[-1].content`, or a template of several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|([{}])")


class Missing:
    """What stands in a place that a record does not have."""


MISSING: Final = Missing()


@lru_cache(maxsize=1024)
def steps_of(path: str) -> tuple[str | int, ...]:
    """The keys and places of a path; a path that is none is the name of a column."""
    steps: list[str | int] = []
    end = 0
    while end < len(path):
        found = _STEP.match(path, end)
        if found is None or (end == 0 and path[0] == "."):
            return (path,)
        key, place = found.groups()
        steps.append(key if place is None else int(place))
        end = found.end()
    return tuple(steps)


def column_of(path: str, columns: Sequence[str]) -> str:
    """The column in which a path begins: the one that has this very name, before any other."""
    return path if path in columns else str(steps_of(path)[0])


def value_at(row: Mapping[str, Any], path: str) -> Any:
    """What stands in a record's place; `MISSING` where the record has no such place."""
    if path in row:
        return row[path]
    value: Any = row
    for step in steps_of(path):
        if isinstance(step, int):
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return MISSING
            value = value[step]
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return MISSING
    return value


class Template:
    """A text with paths in braces: `{instruction}` and so on; `{{` and `}}` stand for braces.

    Raises:
        ValueError: a brace is open, or no path is there.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[tuple[str, str]] = []  # text before a path, and the path
        literal, end = "", 0
        for piece in _PIECE.finditer(text):
            literal, end = literal + text[end : piece.start()], piece.end()
            path, stray = piece.groups()
            if stray is not None:
                raise ValueError(f"a single {stray!r}; write {stray * 2} for a brace")
            if path is None:
                literal += piece.group()[0]
            else:
                self._parts.append((literal, path))
                literal = ""
        self._rest = literal + text[end:]
        if not self._parts:
            raise ValueError("no column in braces")

    @property
    def paths(self) -> tuple[str, ...]:
        """All that it names."""
        return tuple(dict.fromkeys(path for _, path in self._parts))

    def fill(self, values: Mapping[str, str]) -> str:
        """The text. What stands before an empty value is left out with it; empty where all values are."""
        filled = "".join(before + values[path] for before, path in self._parts if values[path])
        return filled + self._rest if filled else ""
