"""What is read of each record of a file of texts, and what becomes of records that are no such thing."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypedDict

from tiltyard_jobs.contracts.conversation import Turns
from tiltyard_jobs.contracts.textfield import Template
from tiltyard_jobs.contracts.textstream import LONGEST

_SHOWN = 5  # bad rows


class Columns(NamedTuple):
    """What is read of each record; all but `also` are names of columns or paths.

    Attributes:
        column: the text.
        template: makes the text of several columns, instead of `column`.
        messages: a conversation, instead of `column`: its last turn of the user is the text.
        system: a system message that goes before the text.
        also: another column.
        id: what no other record has.
        keep: what stands beside the text in these columns.
        answers: the texts are answers: a blank one is one too.
    """

    column: str
    template: str | None = None
    messages: str | None = None
    system: str | None = None
    also: str | None = None
    id: str | None = None
    keep: tuple[str, ...] = ()
    answers: bool = False

    @property
    def texts(self) -> tuple[str, ...]:
        """Where the text is."""
        if self.template is not None:
            return Template(self.template).paths
        return (self.messages or self.column,)

    @property
    def wanted(self) -> list[str]:
        """All of them."""
        return [*self.texts, *(name for name in (self.system, self.also, self.id, *self.keep) if name is not None)]


class MoreColumns(TypedDict, total=False):
    """All of `Columns` but the first."""

    template: str | None
    messages: str | None
    system: str | None
    also: str | None
    id: str | None
    keep: tuple[str, ...]
    answers: bool


class GivenText(NamedTuple):
    """One text of a file.

    Attributes:
        beside: what stands in the other column.
        history: the turns before it.
        row: its record's number in its file, from 0.
        place: the same for people.
        file: the name of its file among several; empty where there is one.
        id: as in `Columns`.
        kept: what stands in the columns of `keep`, as text.
    """

    text: str
    beside: str | None
    history: Turns
    row: int
    place: str
    file: str
    id: str | None
    kept: dict[str, str | None]


def as_text(value: Any) -> str | None:
    """A value of the user's as it is kept: text as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class BadRowError(ValueError):
    """A row holds what is no text; the sentence goes on from the file's name."""


def refuse_unreadable(text: str, place: str) -> None:
    """Refuse a text that a line of a file cannot hold, wherever it stands: in a table, or escaped.

    Raises:
        BadRowError: it holds a NUL character, or is too long.
    """
    if "\0" in text:
        raise BadRowError(f": {place} holds a NUL character: the text is damaged; write it again")
    if len(text) > LONGEST:
        raise BadRowError(f": {place} has a text of more than {LONGEST >> 20} Mi characters: shorten it")


class BadRows:
    """Rows that are not what they should be: all are counted, few are shown."""

    def __init__(self) -> None:
        self.count = 0
        self._first = ""
        self._places: list[str] = []

    def add(self, place: str, sentence: str) -> None:
        """Count a row."""
        self._first = self._first or sentence
        self.count += 1
        if self.count <= _SHOWN:
            self._places.append(place)

    @property
    def places(self) -> str:
        """Where they are."""
        return ", ".join(self._places) + (", …" if self.count > len(self._places) else "")

    def __str__(self) -> str:
        """What is wrong with the first, and where the others are."""
        if self.count < 2:
            return self._first
        advice = "onBadRow: Skip skips those of instructions and answers"
        return f"{self._first} ({self.count} bad rows: {self.places}; {advice})"
