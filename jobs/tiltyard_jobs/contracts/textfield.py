"""Where a text stands in a record: a path such as `messages[-1].content`, or a template of several.

A step of a path is a key, a place in a list (`[0]`, `[-1]`), or the first record of a list that has a value
(`[model=gpt-4]`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeGuard
from unicodedata import normalize

from tiltyard_jobs.contracts.conversation import listed_turns

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(?:(-?\d+)|([^.\[\]=]+)=([^\[\]]+))\]")
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|([{}])")

# Names that instructions have; conversations; what an instruction is about; system messages.
_COMMON = ("prompt", "instruction", "question", "query", "problem", "text", "input", "inputs")
_CONVERSATIONS = (
    "messages",
    "body.messages",
    "body.input",
    "params.messages",
    "prompt",
    "conversations",
    "conversation",
)
_BATCHES = ("body.input", "body.prompt")  # of OpenAI's batch files
_BESIDE = ("input", "context")
_SYSTEM = ("system", "system_prompt")

AS_ARRAY: Final = "`jq '[to_entries[] | {id: .key} + .value]' FILE > list.json`"
"""Makes an array of an object of records; their names become ids."""


class Missing:
    """What stands in a place that a record does not have."""


MISSING: Final = Missing()


class Having(NamedTuple):
    """The step to the first record of a list that has a value under a key."""

    key: str
    value: str


@lru_cache(maxsize=1024)
def steps_of(path: str) -> tuple[str | int | Having, ...]:
    """The keys and places of a path; a path that is none is the name of a column."""
    steps: list[str | int | Having] = []
    end = 0
    while end < len(path):
        found = _STEP.match(path, end)
        if found is None or (end == 0 and path[0] == "."):
            return (path,)
        key, place, *having = found.groups()
        steps.append(Having(*having) if having[0] is not None else key if place is None else int(place))
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
        elif isinstance(step, Having):
            records = value if isinstance(value, list) else []
            value = next((one for one in records if isinstance(one, dict) and _has(one, step)), MISSING)
        elif isinstance(value, dict) and step in value:
            value = value[step]
        else:
            return MISSING
    return value


def _has(record: Mapping[str, Any], step: Having) -> bool:
    value = record.get(step.key)
    return isinstance(value, str | int) and str(value) == step.value


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


def field_advice(row: Mapping[str, Any], wanted: str = "") -> str:
    """What to write for a record of a well-known shape, or with a name that is nearly `wanted`; empty for any other."""
    if (near := _near_advice(row, wanted)) is not None:
        return near
    advice = _text_advice(row)
    system = next((name for name in _SYSTEM if isinstance(row.get(name), str)), None)
    if system is None or not advice:
        return advice
    return f'{advice}, and systemField: "{system}" for the system messages'


def template_advice(row: Mapping[str, Any], wanted: str) -> str:
    """What to write in a template for a name that is nearly a record's; empty where there is none."""
    near = get_close_matches(_folded(wanted), [_folded(name) for name in row], 1)
    return next((f"; did you mean {{{name}}}?" for name in row if [_folded(name)] == near), "")


def _near_advice(row: Mapping[str, Any], wanted: str) -> str | None:
    near = next((name for name in row if _folded(name) == _folded(wanted)), wanted)
    return f'; write field: "{near}"' if near != wanted else None


def _folded(name: str) -> str:
    return normalize("NFC", name.strip().casefold())


def _text_advice(row: Mapping[str, Any]) -> str:
    for name in (*_CONVERSATIONS, *row):
        written = value_at(row, name)
        turns = listed_turns(written)
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            continue
        for role, user, text in (("from", "human", "value"), ("role", "user", "content")):
            asked = [place for place, turn in enumerate(turns) if turn.get(role) == user]
            if asked:
                place = asked[0] if role == "from" else asked[-1] - len(turns)
                part = "[0].text" if isinstance(turns[place].get(text), list) else ""
                more = f'or messagesField: "{name}" for whole conversations'
                path = f"{name}[{place}].{text}{part}" if turns is written else f"{name}.{text}[{place}]{part}"
                return f'; write field: "{path}", {more}'
    turns = row.get("turns")
    if isinstance(turns, list):
        return f'; write field: "turns[0]{".content" if _is_records(turns) and "content" in turns[0] else ""}"'
    if inside := next((path for path in _BATCHES if isinstance(value_at(row, path), str)), None):
        return f'; write field: "{inside}"'
    known = next((name for common in _COMMON for name in row if name.casefold() == common and row[name]), None)
    if known is not None and isinstance(row[known], str):
        beside = next((name for name in _BESIDE if known == "instruction" and isinstance(row.get(name), str)), None)
        return f'; write field: "{known}"' if beside is None else f'; write template: "{{{known}}}\\n\\n{{{beside}}}"'
    inside = next(
        (name for name, value in row.items() if _is_records(value) or (len(row) == 1 and _is_texts(value))), None
    )
    if inside is None:
        return _named_advice(row)
    kind = "records" if _is_records(row[inside]) else "texts"
    advice = f"write that list into a file of its own, for example by `jq .{inside} FILE > list.json`"
    return f"; its {inside!r} is a list of {kind}: {advice}"


def _named_advice(row: Mapping[str, Any]) -> str:
    """For an object whose values are the records."""
    values = list(row.values())
    if (
        len(values) < 2
        or not all(isinstance(value, dict) for value in values)
        or not set(values[0]).intersection(*values)
    ):
        return ""
    return f"; it is one object of {len(values)} records: write them as an array, for example by {AS_ARRAY}"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


def _is_records(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


# Names that answers have, and lists of several models' answers.
_ANSWERS = ("output", "response", "answer", "completion", "generation", "generated_text", "text")
_SEVERAL = ("completions", "responses", "outputs", "answers")


def answer_advice(row: Mapping[str, Any], wanted: str = "") -> str:
    """As `field_advice`, for a file of answers."""
    if (near := _near_advice(row, wanted)) is not None:
        return near
    known = (
        "choices[0].turns[0].content",
        "choices[0].turns[0]",
        "choices[0].message.content",
        "response.body.choices[0].message.content",
        "messages[-1].content.answer",
        "messages[-1].content",
        "conversations[-1].value",
        *_ANSWERS,
    )
    found = next((path for path in known if isinstance(value_at(row, path), str)), None)
    if found is not None:
        return f'; write field: "{found}"'
    for name in _SEVERAL:
        several = row.get(name)
        if not _is_records(several):
            continue
        text = next((key for key in _ANSWERS if isinstance(several[0].get(key), str)), None)
        by = next((key for key in ("model", "generator", "name") if isinstance(several[0].get(key), str)), None)
        if text is not None:
            which = "0" if by is None else f"{by}={several[0][by]}"
            return f'; write field: "{name}[{which}].{text}"' + ("" if by is None else f", or another {by}")
    return _named_advice(row)
