"""Texts that the user brings: JSON Lines, CSV, text, parquet or Arrow, on this machine or in S3.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`). How a file of text is written, `contracts.textfile` knows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.layout import readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfield import MISSING, Template, column_of, value_at
from tiltyard_jobs.contracts.textfile import BadTextFileError, Record, Records
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store

_BATCH_ROWS = 1024
_COMMON = ("prompt", "instruction", "question", "query", "problem", "text", "input")  # names that instructions have
_KINDS = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


class Texts:
    """The texts of a file in order, each with what stands beside it in another column.

    Attributes:
        notes: how the file was read, where that may surprise.
        blank: texts that were empty or null and passed over so far.
        missing: records so far that have none of the columns; they count as null.
    """

    def __init__(self, uri: str, records: Records, column: str, also: str | None, template: str | None) -> None:
        self._uri, self._records, self._also = uri, records.rows, also
        self._template = None if template is None else Template(template)
        self._paths = (column,) if self._template is None else self._template.paths
        self.notes = records.notes
        self.blank = self.missing = 0

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Texts that are not blank.

        Raises:
            ConfigurationError: the file is damaged, no record has a column, or something in it is no text.
        """
        first: Mapping[str, Any] = {}
        never = set(self._paths)
        for place, row in self._records:
            first = first or row
            values = {path: found for path in self._paths if (found := value_at(row, path)) is not MISSING}
            never -= values.keys()
            beside = None if self._also is None else value_at(row, self._also)
            if beside is MISSING:
                raise ConfigurationError(f"{self._uri}: {place} has no {self._also!r}; it has {_listed(row)}")
            if not values:
                self.missing += 1
                continue
            texts = {path: self._text(values.get(path), path, place, row) for path in self._paths}
            text = texts[self._paths[0]] if self._template is None else self._template.fill(texts)
            if not text or text.isspace():
                self.blank += 1
                continue
            yield text, None if self._also is None else str(beside)
        if first and never:
            advice = field_advice(first)
            raise ConfigurationError(
                f"{self._uri} has no {min(never)!r}; its first record has {_listed(first)}{advice}"
            )

    def _text(self, value: object, path: str, place: str, row: Mapping[str, Any]) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            kind = _KINDS.get(type(value), type(value).__name__)
            raise ConfigurationError(f"{self._uri}: {path!r} is {kind} in {place}, but must be text{field_advice(row)}")
        return value


def field_advice(row: Mapping[str, Any]) -> str:
    """What to write for a record of a well-known shape; empty for any other one."""
    for name, role, user, text in (
        ("messages", "role", "user", "content"),
        ("body.messages", "role", "user", "content"),
        ("prompt", "role", "user", "content"),
        ("conversations", "from", "human", "value"),
        ("conversations", "role", "user", "content"),
        ("conversation", "role", "user", "content"),
    ):
        turns = value_at(row, name)
        if isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns):
            asked = [place for place, turn in enumerate(turns) if turn.get(role) == user]
            if asked:
                place = asked[0] if role == "from" else asked[-1] - len(turns)
                part = "[0].text" if isinstance(turns[place].get(text), list) else ""
                return f'; write field: "{name}[{place}].{text}{part}"'
    if isinstance(row.get("turns"), list):
        return '; write field: "turns[0]"'
    if isinstance(row.get("instruction"), str) and isinstance(row.get("input"), str):
        return '; write template: "{instruction}\\n\\n{input}"'
    known = next((name for name in _COMMON if isinstance(row.get(name), str)), None)
    if known is not None:
        return f'; write field: "{known}"'
    inside = next((name for name, value in row.items() if _is_records(value)), None)
    return "" if inside is None else f"; its {inside!r} is a list of records: write that list into a file of its own"


def _is_records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def read_texts(
    uri: str,
    column: str,
    store: StoreRef,
    *,
    sha256: str | None = None,
    also: str | None = None,
    template: str | None = None,
) -> Texts:
    """The texts of a file; blank ones are passed over and counted.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending as one of `textfile.KINDS`; it may be packed.
        column: holds the texts, or a path to them.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        also: another column.
        template: makes the texts of several columns, instead of `column`.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    paths = (column,) if template is None else Template(template).paths
    data, uri = _checked_bytes(uri, store, sha256)
    wanted = [*paths, *([] if also is None else [also])]
    return Texts(uri, _records(uri, data, wanted), column, also, template)


def read_records(uri: str, store: StoreRef, *, sha256: str | None = None) -> Iterator[dict[str, Any]]:
    """The records of a file, whole.

    Args:
        uri: as in `read_texts`.
        store: likewise.
        sha256: likewise.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    data, uri = _checked_bytes(uri, store, sha256)
    return (record.row for record in _records(uri, data, []).rows)


class TextsFound(NamedTuple):
    """What a file holds.

    Attributes:
        texts: that are not blank.
        repeats: of these, how many are equal to one before them, in their normal form.
        blank: that are.
        missing: records without the column.
        notes: how the file was read, where that may surprise.
    """

    texts: int
    repeats: int = 0
    blank: int = 0
    missing: int = 0
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

    Raises:
        ConfigurationError: as in `read_texts`; or the file holds no text, or something else stands in `also`.
    """
    texts = read_texts(uri, column, store, sha256=sha256, also=also, template=template)
    uri, count = readable(uri), 0
    distinct = set()
    for text, name in texts:
        count += 1
        distinct.add(digest_of(text))
        if also is not None and name not in names:
            raise ConfigurationError(
                f"{uri}: {also!r} is {name!r} beside text {count}, but must be one of {_listed(names)}"
            )
    if count == 0:
        raise ConfigurationError(f"{uri} has no text in {template or column!r}")
    return TextsFound(count, count - len(distinct), texts.blank, texts.missing, texts.notes)


def _checked_bytes(uri: str, store: StoreRef, sha256: str | None) -> tuple[bytes, str]:
    """A file, and its URI for people."""
    data, uri = _bytes(uri, store), readable(uri)
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise ConfigurationError(f"{uri} has the SHA-256 digest {found}, not {sha256}: another file, or a changed one")
    return data, uri


def _bytes(uri: str, store: StoreRef) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    bucket = open_store(store.model_copy(update={"uri": f"{parts.scheme}://{parts.netloc}"}))
    try:
        data = bucket.get(parts.path.lstrip("/"))
    finally:
        bucket.close()
    if data is None:
        raise ConfigurationError(f"{uri} does not exist")
    return data


def _records(uri: str, data: bytes, wanted: list[str]) -> Records:
    """The records of a file; what is wrong with it is told under its name."""
    try:
        kind = textfile.kind_of(uri)
        data = textfile.unpack(data, lambda packed: pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read())
        if kind == "parquet" or kind in textfile.ARROW:
            return Records((), _table_rows(uri, kind, data, wanted))
        records = textfile.read_records(kind, data)
    except BadTextFileError as error:
        raise ConfigurationError(f"{uri}{error}") from None
    return records._replace(rows=_named(uri, records.rows))


def _named(uri: str, rows: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from rows
    except BadTextFileError as error:
        raise ConfigurationError(f"{uri}{error}") from None


class _Table(NamedTuple):
    """A parquet or Arrow file: its columns, and how to read some of them (None: all) in batches."""

    names: list[str]
    batches: Callable[[list[str] | None], Iterator[pa.RecordBatch]]


def _table(kind: str, data: bytes) -> _Table:
    if kind == "parquet":
        file = pq.ParquetFile(io.BytesIO(data))
        return _Table(file.schema_arrow.names, lambda columns: file.iter_batches(_BATCH_ROWS, columns=columns))
    opened = pa.ipc.open_file if data.startswith(textfile.ARROW_FILE) else pa.ipc.open_stream
    table = opened(pa.BufferReader(data)).read_all()
    return _Table(
        table.column_names, lambda columns: iter(table.select(columns or table.column_names).to_batches(_BATCH_ROWS))
    )


def _table_rows(uri: str, kind: str, data: bytes, wanted: list[str]) -> Iterator[Record]:
    """Only the columns that are wanted are read; all of them where none is named."""
    number = 0
    try:
        table = _table(kind, data)
        columns = list(dict.fromkeys(column_of(path, table.names) for path in wanted))
        for name in columns:
            if name not in table.names:
                # The first record, whole, shows a shape that is known.
                first = next((row for batch in table.batches(None) for row in batch.slice(0, 1).to_pylist()), {})
                listed = _listed(table.names)
                raise ConfigurationError(f"{uri} has no column {name!r}; it has {listed}{field_advice(first)}")
        for batch in table.batches(columns or None):
            for row in batch.to_pylist():
                number += 1
                yield Record(f"row {number}", row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if kind == "parquet" and not data.startswith(textfile.PARQUET):
            sentence = f"{uri} is not a parquet file by its first bytes: let its name end in what it is"
            raise ConfigurationError(sentence) from None
        name = "a complete parquet" if kind == "parquet" else "a complete Arrow"
        raise ConfigurationError(
            f"{uri} is not {name} file ({type(error).__name__}): fetch or write it again"
        ) from None


def _listed(names: Collection[object]) -> str:
    """Sorted, and not more of them than a sentence bears."""
    shown = sorted(map(str, names))
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") or "nothing"
