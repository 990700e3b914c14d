"""Texts that the user brings: JSON Lines, CSV, text, parquet or Arrow, on this machine or in S3.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`). How a file is read, `userfiles` knows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

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
    """

    column: str
    template: str | None = None
    messages: str | None = None
    system: str | None = None
    also: str | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Where the text is."""
        if self.template is not None:
            return Template(self.template).paths
        return (self.messages or self.column,)

    @property
    def wanted(self) -> list[str]:
        """All of them."""
        return [*self.texts, *(name for name in (self.system, self.also) if name is not None)]


class GivenText(NamedTuple):
    """One text of a file.

    Attributes:
        beside: what stands in the other column.
        history: the turns before it.
    """

    text: str
    beside: str | None
    history: Turns = ()


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
        self._paths, self._also = columns.texts, columns.also
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
        system = self._columns.system
        never = {*self._paths, *([] if system is None else [system])}
        for place, row, bad in self._records:
            if bad is not None:
                self.bad.add(place, f": {place} {bad}")
                continue
            first = first or row
            values = {path: found for path in self._paths if (found := value_at(row, path)) is not MISSING}
            never -= values.keys()
            if system is not None and (found := value_at(row, system)) is not MISSING:
                never.discard(system)
                values[system] = found
            beside = None if self._also is None else value_at(row, self._also)
            if beside is MISSING:
                raise ConfigurationError(f"{self._uri}: {place} has no {self._also!r}; it has {listed(row)}")
            if values.keys().isdisjoint(self._paths):
                self.missing += 1
                continue
            try:
                text, history = self._asked(values, place, row)
            except BadRowError as error:
                self.bad.add(place, str(error))
                continue
            if not text or text.isspace():
                self.blank += 1
                continue
            yield GivenText(text, None if self._also is None else str(beside), history)
        if self.bad.count and self._on_bad_row == "Refuse":
            raise ConfigurationError(f"{self._uri}{self.bad}")
        if first and never:
            advice = field_advice(first, min(never)) if never & {*self._paths} else ""
            raise ConfigurationError(f"{self._uri} has no {min(never)!r}; its first record has {listed(first)}{advice}")

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
    also: str | None = None,
    template: str | None = None,
    messages: str | None = None,
    system: str | None = None,
    on_bad_row: BadRowRule = "Refuse",
) -> Texts:
    """The texts of a file; blank ones are passed over and counted.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending as one of `textfile.KINDS`; it may be packed.
        column: as in `Columns`, likewise the others.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        also: another column.
        template: instead of `column`.
        messages: likewise.
        system: a system message.
        on_bad_row: whether a row that is not what it should be is an error, or passed over and counted.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    columns = Columns(column, template, messages, system, also)
    data, uri = checked_bytes(uri, store, sha256)
    return Texts(uri, records_of(uri, data, columns.wanted), columns, on_bad_row)


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
    also: str | None = None,
    names: Collection[str] = (),
    template: str | None = None,
    messages: str | None = None,
    system: str | None = None,
    on_bad_row: BadRowRule = "Refuse",
) -> TextsFound:
    """Read a whole file and say what it holds.

    Args:
        uri: as in `read_texts`.
        column: likewise.
        store: likewise.
        sha256: likewise.
        also: another column.
        names: what may stand in that one.
        template: as in `read_texts`.
        messages: likewise.
        system: likewise.
        on_bad_row: likewise.

    Raises:
        ConfigurationError: as in `read_texts`; or the file holds no text, or something else stands in `also`.
    """
    texts = read_texts(
        uri,
        column,
        store,
        sha256=sha256,
        also=also,
        template=template,
        messages=messages,
        system=system,
        on_bad_row=on_bad_row,
    )
    uri, count = readable(uri), 0
    distinct = set()
    for text, name, history in texts.given():
        count += 1
        distinct.add(digest_of(whole_text(text, history)))
        if also is not None and name not in names:
            raise ConfigurationError(
                f"{uri}: {also!r} is {name!r} beside text {count}, but must be one of {listed(names)}"
            )
    if count == 0 and texts.bad.count:
        raise ConfigurationError(f"{uri}{texts.bad}")
    if count == 0:
        raise ConfigurationError(f"{uri} has no text in {template or messages or column!r}")
    notes = texts.notes
    if texts.left_out:
        notes = (*notes, f"messages after the user's last one left out: {texts.left_out}")
    return TextsFound(
        count, count - len(distinct), texts.blank, texts.missing, texts.bad.count, texts.bad.places, notes
    )
