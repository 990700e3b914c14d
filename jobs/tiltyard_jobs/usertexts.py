"""Texts that the user brings, in one file or several.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`). How a file is read, `userfiles` knows; where it lies, `sources`. Of
each text no more than a digest is in memory, whatever the number.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Unpack

import numpy as np

from tiltyard_jobs.contracts.conversation import BadConversationError, Turns, read_conversation, whole_text
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.recipes import SampleRecipe
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textcsv import header_advice
from tiltyard_jobs.contracts.textfield import MISSING, Template, answer_advice, field_advice, template_advice, value_at
from tiltyard_jobs.contracts.textfile import kind_of
from tiltyard_jobs.contracts.vocabulary import BadRowRule
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sources import LocalFile, expanded, fetched
from tiltyard_jobs.textrows import BadRowError, BadRows, Columns, GivenText, MoreColumns, as_text, refuse_unreadable
from tiltyard_jobs.userfiles import listed, records_of

_KINDS = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


class Pick(NamedTuple):
    """Which of the texts are taken.

    Attributes:
        limit: the first ones, at most so many; None: all.
        sample: so many of all, by chance.
    """

    limit: int | None = None
    sample: SampleRecipe | None = None


ALL = Pick()


class Texts:
    """The texts of files in order, each with what stands beside it in another column.

    Attributes:
        blank: texts that were empty or null and passed over so far.
        missing: records so far that have none of the columns; they count as null.
        left_out: turns after the text so far.
        bad: rows so far that are not what they should be.
    """

    def __init__(
        self,
        files: Sequence[LocalFile],
        columns: Columns,
        on_bad_row: BadRowRule,
        pick: Pick,
        notes: Sequence[str] = (),
    ) -> None:
        self._files, self._columns, self._pick = files, columns, pick
        self._template = None if columns.template is None else Template(columns.template)
        otherwise = answer_advice if columns.answers else field_advice
        self._advice = otherwise if self._template is None else template_advice
        self._paths = columns.texts
        self._on_bad_row = on_bad_row
        self._notes: dict[str, None] = {} if len(files) == 1 else {f"{len(files)} files": None}
        self._notes |= dict.fromkeys(notes)
        if kept := [file.path for file in files if file.kept]:
            size = sum(path.stat().st_size for path in kept) / 1e6
            self._notes[f"kept in {kept[0].parent}, {max(size, 0.1):,.1f} MB"] = None
        self.bad = BadRows()
        self.blank = self.missing = self.left_out = 0

    @property
    def place(self) -> str:
        """Where the texts are, for people."""
        return self._files[0].place if len(self._files) == 1 else f"all {len(self._files)} files"

    @property
    def several(self) -> bool:
        """Whether there are several files."""
        return len(self._files) > 1

    def place_of(self, given: GivenText) -> str:
        """The file in which a text is, for people."""
        return next(file.place for file in self._files if file.name == given.file)

    @property
    def notes(self) -> tuple[str, ...]:
        """How the files were read so far, where that may surprise."""
        return tuple(self._notes)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Texts that are not blank; raises as `given` does."""
        return ((one.text, one.beside) for one in self.given())

    def given(self) -> Iterator[GivenText]:
        """Texts that are not blank, with the turns before them.

        Raises:
            ConfigurationError: a file is damaged, no record has a column, or something in it is no text (after all
                rows that are good, unless such rows are passed over).
        """
        if self._pick.sample is not None:
            return self._sampled(self._pick.sample)
        return islice(self._all(), self._pick.limit)

    def _sampled(self, sample: SampleRecipe) -> Iterator[GivenText]:
        """Each text has a rank of its own, so that another text in the file moves no more than one of the sample."""
        ranks = array("Q")
        for given in self._all():
            name = given.id.encode() if given.id is not None else digest_of(whole_text(given.text, given.history))
            ranks.append(number_of(b"%d/" % sample.seed + name))
        chosen = np.zeros(len(ranks), dtype=np.bool_)
        chosen[np.argsort(np.frombuffer(ranks, dtype=np.uint64), kind="stable")[: sample.rows]] = True
        self._notes[f"a sample of {chosen.sum()} of {len(ranks)}"] = None
        for taken, given in zip(chosen, self.again().given(), strict=True):
            if taken:
                yield given

    def again(self) -> Texts:
        """All of the texts, from the start."""
        return Texts(self._files, self._columns, self._on_bad_row, ALL)

    def _all(self) -> Iterator[GivenText]:
        for file in self._files:
            yield from self._texts_of(file)
        self._refuse_bad_rows()

    def _refuse_bad_rows(self) -> None:
        if self.bad.count and self._on_bad_row == "Refuse":
            raise ConfigurationError(str(self.bad))

    def _texts_of(self, file: LocalFile) -> Iterator[GivenText]:
        records = records_of(file, self._columns.wanted, self._advice)
        self._notes |= dict.fromkeys(records.notes)
        first: Mapping[str, Any] = {}
        columns = self._columns
        beside = [name for name in (columns.system, columns.id, *columns.keep) if name is not None]
        never = {*self._paths, *beside}
        several = f"{file.name} " if file.name else ""
        for number, (place, row, bad) in enumerate(records.rows):
            if bad is not None:
                self.bad.add(several + place, f"{file.place}: {place} {bad}")
                continue
            first = first or row
            values = {path: found for path in (*self._paths, *beside) if (found := value_at(row, path)) is not MISSING}
            never -= values.keys()
            also = None if columns.also is None else value_at(row, columns.also)
            if also is MISSING:
                raise ConfigurationError(f"{file.place}: {place} has no {columns.also!r}; it has {listed(row)}")
            if values.keys().isdisjoint(self._paths):
                self.missing += 1
                continue
            try:
                text, history = self._asked(values, place, row)
                blank = not columns.answers and (not text or text.isspace())
                own_id = None if blank else self._id(values, place)
            except BadRowError as error:
                self.bad.add(several + place, f"{file.place}{error}")
                continue
            if blank:
                self.blank += 1
                continue
            kept = {name: as_text(values.get(name)) for name in columns.keep}
            beside_it = None if columns.also is None else str(also)
            yield GivenText(text, beside_it, history, number, place, file.name, own_id, kept)
        if first and never:
            if columns.id not in never:  # else that is what is wrong with every row
                self._refuse_bad_rows()
            lacks = min(never.intersection(self._paths) or never)  # the text before what stands beside it
            advice = self._advice(first, lacks) if lacks in self._paths else ""
            what = "its first record has"
            if kind_of(file.uri) in ("csv", "tsv"):
                what = "the columns, by its first line, are"
                advice = advice or header_advice(kind_of(file.uri), list(first))
            raise ConfigurationError(f"{file.place} has no {lacks!r}; {what} {listed(first)}{advice}")

    def _id(self, values: Mapping[str, Any], place: str) -> str | None:
        path = self._columns.id
        if path is None:
            return None
        own_id = values.get(path)
        blank = own_id is None or (isinstance(own_id, str) and not own_id.strip() and not self._columns.answers)
        if blank or isinstance(own_id, bool | float | bytes | list | dict):
            raise BadRowError(f": {place} has no id in {path!r}: a text or a whole number")
        return str(own_id)

    def _asked(self, values: Mapping[str, Any], place: str, row: Mapping[str, Any]) -> tuple[str, Turns]:
        """The text, and the turns before it."""
        columns = self._columns
        history: Turns = ()
        if columns.messages is not None:
            try:
                text, history, left_out = read_conversation(values[columns.messages])
            except BadConversationError as error:
                raise BadRowError(f": {columns.messages!r} in {place} {error}") from None
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
        for said in (text, *(turn["content"] for turn in history)):
            refuse_unreadable(said, place)
        return text, history

    def _text(self, value: object, path: str, place: str, row: Mapping[str, Any]) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            kind = _KINDS.get(type(value), type(value).__name__)
            advice = self._advice(row, "")
            raise BadRowError(f": {path!r} is {kind} in {place}, but must be text{advice}")
        return value


def number_of(name: bytes) -> int:
    """What stands for a text or an id in memory: 64 bits of its digest."""
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "big")


def read_texts(
    uri: str,
    column: str,
    store: StoreRef,
    *,
    sha256: str | None = None,
    files: tuple[LocatedFile, ...] = (),
    on_bad_row: BadRowRule = "Refuse",
    pick: Pick = ALL,
    **columns: Unpack[MoreColumns],
) -> Texts:
    """The texts of a file, or of several; blank ones are passed over and counted.

    Args:
        uri: `file:///…`, `s3://bucket/key`, `hf://datasets/…` or `https://…`, ending as one of `textfile.KINDS`; it may
            be packed. In a bucket also a prefix that ends in /, or a pattern.
        column: as in `Columns`.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        files: several, instead of `uri`.
        on_bad_row: whether a row that is not what it should be is an error, or passed over and counted.
        pick: which of the texts are taken.
        columns: as in `Columns`.

    Raises:
        ConfigurationError: a file is not there, is no such file, or has another digest.
        TransientError: a file cannot be fetched now.
    """
    sources = files or (LocatedFile(uri=uri, sha256=sha256),)
    found = expanded(sources, store)
    local = [fetched(source, store) for source in found.files]
    return Texts(local, Columns(column, **columns), on_bad_row, pick, found.notes)


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
        longest: bytes of UTF-8 of the longest text, with the turns before it.
    """

    texts: int
    repeats: int = 0
    blank: int = 0
    missing: int = 0
    bad: int = 0
    bad_places: str = ""
    notes: tuple[str, ...] = ()
    longest: int = 0


def check_texts(
    uri: str,
    column: str,
    store: StoreRef,
    *,
    sha256: str | None = None,
    files: tuple[LocatedFile, ...] = (),
    names: Collection[str] = (),
    on_bad_row: BadRowRule = "Refuse",
    pick: Pick = ALL,
    **columns: Unpack[MoreColumns],
) -> TextsFound:
    """Read all texts and say what there is.

    Args:
        uri: as in `read_texts`.
        column: likewise.
        store: likewise.
        sha256: likewise.
        files: likewise.
        names: what may stand in the column `also`.
        on_bad_row: as in `read_texts`.
        pick: likewise.
        columns: likewise.

    Raises:
        ConfigurationError: as in `read_texts`; or there is no text, something else stands in `also`, or two rows have
            one id.
        TransientError: as in `read_texts`.
    """
    texts = read_texts(uri, column, store, sha256=sha256, files=files, on_bad_row=on_bad_row, pick=pick, **columns)
    also, id_column = columns.get("also"), columns.get("id")
    seen, ids, longest = array("Q"), array("Q"), 0
    for given in texts.given():
        text = whole_text(given.text, given.history)
        longest = max(longest, len(text.encode()))
        seen.append(number_of(digest_of(text)))
        if also is not None and given.beside not in names:
            raise ConfigurationError(
                f"{texts.place_of(given)}: {also!r} is {given.beside!r} beside text {len(seen)}, but must be one of"
                f" {listed(names)}"
            )
        if given.id is not None:
            ids.append(number_of(given.id.encode()))
    if repeated := set(_again(ids)):
        refuse_repeated_id(texts.again(), id_column, repeated)
    if not seen and texts.bad.count:
        raise ConfigurationError(str(texts.bad))
    if not seen:
        wanted = columns.get("template") or columns.get("messages") or column
        raise ConfigurationError(f"{texts.place} has no text in {wanted!r}")
    notes = texts.notes
    if texts.left_out:
        notes = (*notes, f"messages after the user's last one left out: {texts.left_out}")
    repeats = len(_again(seen))
    return TextsFound(len(seen), repeats, texts.blank, texts.missing, texts.bad.count, texts.bad.places, notes, longest)


def _again(numbers: array[int]) -> list[int]:
    """Each number as often as it stands there again; the array is sorted in its place."""
    values = np.frombuffer(numbers, dtype=np.uint64)
    values.sort()
    found: list[int] = values[1:][values[1:] == values[:-1]].tolist()
    return found


def refuse_repeated_id(texts: Texts, column: str | None, repeated: set[int]) -> None:
    """Refuse the first id that two rows have; `repeated` are the numbers of those that may be."""
    before: dict[str, str] = {}
    for given in texts.given():
        if given.id is not None and number_of(given.id.encode()) in repeated:
            place = texts.place_of(given)
            if given.id in before:
                rows = f"{before[given.id]} and {given.place}"
                raise ConfigurationError(f"{place}: {column!r} is {given.id!r} in two rows ({rows}); ids must differ")
            before[given.id] = f"{given.place} of {place}" if texts.several else given.place
