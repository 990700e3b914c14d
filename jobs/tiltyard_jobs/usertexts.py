"""Texts that the user brings: JSON Lines, CSV, text, parquet or Arrow, on this machine or in S3.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`). How a file is read, `userfiles` knows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple, TypedDict, Unpack

from tiltyard_jobs.contracts.conversation import BadConversationError, Turns, read_conversation, whole_text
from tiltyard_jobs.contracts.layout import readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfield import MISSING, Template, field_advice, value_at
from tiltyard_jobs.contracts.textfile import Records
from tiltyard_jobs.contracts.vocabulary import BadRowRule
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.userfiles import checked_bytes, listed, records_of

_SHOWN = 5  # bad rows
_KINDS = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


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
    """

    column: str
    template: str | None = None
    messages: str | None = None
    system: str | None = None
    also: str | None = None
    id: str | None = None
    keep: tuple[str, ...] = ()

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


class GivenText(NamedTuple):
    """One text of a file.

    Attributes:
        beside: what stands in the other column.
        history: the turns before it.
        row: its record's number, from 0.
        id: as in `Columns`.
        kept: what stands in the columns of `keep`, as text.
    """

    text: str
    beside: str | None
    history: Turns
    row: int
    id: str | None
    kept: dict[str, str | None]


def as_text(value: Any) -> str | None:
    """A value of the user's as it is kept: text as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


class BadRowError(ValueError):
    """A row holds what is no text; the sentence goes on from the file's name."""


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
        return f"{self._first} ({self.count} bad rows: {self.places}; onBadRow: Skip passes over those of instructions)"


class Texts:
    """The texts of a file in order, each with what stands beside it in another column.

    Attributes:
        notes: how the file was read, where that may surprise.
        blank: texts that were empty or null and passed over so far.
        missing: records so far that have none of the columns; they count as null.
        left_out: turns after the text so far.
        bad: rows so far that are not what they should be.
    """

    def __init__(self, uri: str, records: Records, columns: Columns, on_bad_row: BadRowRule) -> None:
        self._uri, self._records, self._columns = uri, records.rows, columns
        self._template = None if columns.template is None else Template(columns.template)
        self._paths = columns.texts
        self.notes, self._on_bad_row = records.notes, on_bad_row
        self.bad = BadRows()
        self.blank = self.missing = self.left_out = 0

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Texts that are not blank; raises as `given` does."""
        return ((one.text, one.beside) for one in self.given())

    def given(self) -> Iterator[GivenText]:
        """Texts that are not blank, with the turns before them.

        Raises:
            ConfigurationError: the file is damaged, no record has a column, or something in it is no text (after all
                rows that are good, unless such rows are passed over).
        """
        first: Mapping[str, Any] = {}
        columns = self._columns
        beside = [name for name in (columns.system, columns.id, *columns.keep) if name is not None]
        never = {*self._paths, *beside}
        for number, (place, row, bad) in enumerate(self._records):
            if bad is not None:
                self.bad.add(place, f": {place} {bad}")
                continue
            first = first or row
            values = {path: found for path in (*self._paths, *beside) if (found := value_at(row, path)) is not MISSING}
            never -= values.keys()
            also = None if columns.also is None else value_at(row, columns.also)
            if also is MISSING:
                raise ConfigurationError(f"{self._uri}: {place} has no {columns.also!r}; it has {listed(row)}")
            if values.keys().isdisjoint(self._paths):
                self.missing += 1
                continue
            try:
                text, history = self._asked(values, place, row)
                own_id = self._id(values, place)
            except BadRowError as error:
                self.bad.add(place, str(error))
                continue
            if not text or text.isspace():
                self.blank += 1
                continue
            kept = {name: as_text(values.get(name)) for name in columns.keep}
            yield GivenText(text, None if columns.also is None else str(also), history, number, own_id, kept)
        if self.bad.count and self._on_bad_row == "Refuse":
            raise ConfigurationError(f"{self._uri}{self.bad}")
        if first and never:
            advice = field_advice(first, min(never)) if never & {*self._paths} else ""
            raise ConfigurationError(f"{self._uri} has no {min(never)!r}; its first record has {listed(first)}{advice}")

    def _id(self, values: Mapping[str, Any], place: str) -> str | None:
        path = self._columns.id
        if path is None:
            return None
        if values.get(path) is None or isinstance(values[path], float | list | dict):
            raise BadRowError(f": {place} has no id in {path!r}: a text or a whole number")
        return str(values[path])

    def _asked(self, values: Mapping[str, Any], place: str, row: Mapping[str, Any]) -> tuple[str, Turns]:
        """The text, and the turns before it."""
        columns = self._columns
        history: Turns = ()
        if columns.messages is not None:
            try:
                text, history, left_out = read_conversation(values[columns.messages])
            except BadConversationError as error:
                raise BadRowError(f": {columns.messages!r} {error}, in {place}") from None
            self.left_out += left_out
        else:
            texts = {path: self._text(values.get(path), path, place, row) for path in self._paths}
            text = texts[self._paths[0]] if self._template is None else self._template.fill(texts)
        system = "" if columns.system is None else self._text(values.get(columns.system), columns.system, place, row)
        if system.strip():
            if history and history[0]["role"] == "system":
                both = f"{columns.system!r} and in {columns.messages!r}"
                raise BadRowError(f": {place} has a system message in {both}: keep one of them")
            history = [{"role": "system", "content": system}, *history]
        return text, history

    def _text(self, value: object, path: str, place: str, row: Mapping[str, Any]) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            kind = _KINDS.get(type(value), type(value).__name__)
            raise BadRowError(f": {path!r} is {kind} in {place}, but must be text{field_advice(row)}")
        return value


def read_texts(
    uri: str,
    column: str,
    store: StoreRef,
    *,
    sha256: str | None = None,
    on_bad_row: BadRowRule = "Refuse",
    **columns: Unpack[MoreColumns],
) -> Texts:
    """The texts of a file; blank ones are passed over and counted.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending as one of `textfile.KINDS`; it may be packed.
        column: as in `Columns`.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        on_bad_row: whether a row that is not what it should be is an error, or passed over and counted.
        columns: as in `Columns`.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    all_columns = Columns(column, **columns)
    data, uri = checked_bytes(uri, store, sha256)
    return Texts(uri, records_of(uri, data, all_columns.wanted), all_columns, on_bad_row)


class TextsFound(NamedTuple):
    """What a file holds.

    Attributes:
        texts: that are not blank.
        repeats: of these, how many are equal to one before them, in their normal form.
        blank: that are.
        missing: records without the column.
        bad: rows that are passed over.
        bad_places: where the first of them are.
        notes: how the file was read, where that may surprise.
    """

    texts: int
    repeats: int = 0
    blank: int = 0
    missing: int = 0
    bad: int = 0
    bad_places: str = ""
    notes: tuple[str, ...] = ()


def check_texts(
    uri: str,
    column: str,
    store: StoreRef,
    *,
    sha256: str | None = None,
    names: Collection[str] = (),
    on_bad_row: BadRowRule = "Refuse",
    **columns: Unpack[MoreColumns],
) -> TextsFound:
    """Read a whole file and say what it holds.

    Args:
        uri: as in `read_texts`.
        column: likewise.
        store: likewise.
        sha256: likewise.
        names: what may stand in the column `also`.
        on_bad_row: as in `read_texts`.
        columns: likewise.

    Raises:
        ConfigurationError: as in `read_texts`; or the file holds no text, something else stands in `also`, or two rows
            have one id.
    """
    texts = read_texts(uri, column, store, sha256=sha256, on_bad_row=on_bad_row, **columns)
    uri, count, also = readable(uri), 0, columns.get("also")
    distinct, ids = set(), set()
    for given in texts.given():
        count += 1
        distinct.add(digest_of(whole_text(given.text, given.history)))
        if also is not None and given.beside not in names:
            raise ConfigurationError(
                f"{uri}: {also!r} is {given.beside!r} beside text {count}, but must be one of {listed(names)}"
            )
        if given.id is not None and given.id in ids:
            raise ConfigurationError(f"{uri}: {columns.get('id')!r} is {given.id!r} in two rows; ids must differ")
        ids.add(given.id)
    if count == 0 and texts.bad.count:
        raise ConfigurationError(f"{uri}{texts.bad}")
    if count == 0:
        raise ConfigurationError(
            f"{uri} has no text in {columns.get('template') or columns.get('messages') or column!r}"
        )
    notes = texts.notes
    if texts.left_out:
        notes = (*notes, f"messages after the user's last one left out: {texts.left_out}")
    return TextsFound(
        count, count - len(distinct), texts.blank, texts.missing, texts.bad.count, texts.bad.places, notes
    )
