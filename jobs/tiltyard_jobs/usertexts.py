"""Texts that the user brings: JSON Lines, CSV or parquet, on this machine or in S3.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`). How a file of text is written, `contracts.textfile` knows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.layout import readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfile import BadTextFileError, Record, Records
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store

_BATCH_ROWS = 1024
_KINDS = {bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


class Texts:
    """The texts in one column of a file in order, each with what stands beside it in another one.

    Attributes:
        notes: how the file was read, where that may surprise.
        blank: texts that were empty or null and passed over so far.
        missing: records without the column so far; they count as null.
    """

    def __init__(self, uri: str, records: Records, column: str, also: str | None) -> None:
        self._uri, self._records, self._column, self._also = uri, records.rows, column, also
        self.notes = records.notes
        self.blank = self.missing = 0

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        """Texts that are not blank.

        Raises:
            ConfigurationError: the file is damaged, no record has the column, or something in it is no text.
        """
        first: Mapping[str, Any] = {}
        count = 0
        for place, row in self._records:
            first, count = first or row, count + 1
            if self._also is not None and self._also not in row:
                raise ConfigurationError(f"{self._uri}: {place} has no {self._also!r}; it has {_listed(row)}")
            if self._column not in row:
                self.missing += 1
                continue
            text = row[self._column]
            if text is not None and not isinstance(text, str):
                kind = _KINDS.get(type(text), type(text).__name__)
                raise ConfigurationError(f"{self._uri}: {self._column!r} is {kind} in {place}, but must be text")
            if not text or text.isspace():
                self.blank += 1
                continue
            yield text, None if self._also is None else str(row[self._also])
        if count and self.missing == count:
            raise ConfigurationError(f"{self._uri} has no {self._column!r}; its first record has {_listed(first)}")


def read_texts(uri: str, column: str, store: StoreRef, *, sha256: str | None = None, also: str | None = None) -> Texts:
    """The texts in one column of a file; blank ones are passed over and counted.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending in .jsonl, .ndjson, .json, .csv, .tsv or .parquet; all but parquet
            may be packed.
        column: holds the texts.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        also: another column.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    wanted = [column] if also is None else [column, also]
    data, uri = _checked_bytes(uri, store, sha256)
    return Texts(uri, _records(uri, data, wanted), column, also)


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
) -> TextsFound:
    """Read a whole file and say what it holds.

    Args:
        uri: as in `read_texts`.
        column: likewise.
        store: likewise.
        sha256: likewise.
        also: another column.
        names: what may stand in that one.

    Raises:
        ConfigurationError: as in `read_texts`; or the file holds no text, or something else stands in `also`.
    """
    texts, uri, count = read_texts(uri, column, store, sha256=sha256, also=also), readable(uri), 0
    distinct = set()
    for text, name in texts:
        count += 1
        distinct.add(digest_of(text))
        if also is not None and name not in names:
            raise ConfigurationError(
                f"{uri}: {also!r} is {name!r} beside text {count}, but must be one of {_listed(names)}"
            )
    if count == 0:
        raise ConfigurationError(f"{uri} has no text in {column!r}")
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
        if kind == "parquet":
            return Records((), _parquet_rows(uri, data, wanted))
        records = textfile.read_records(kind, data)
    except BadTextFileError as error:
        raise ConfigurationError(f"{uri}{error}") from None
    return records._replace(rows=_named(uri, records.rows))


def _named(uri: str, rows: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from rows
    except BadTextFileError as error:
        raise ConfigurationError(f"{uri}{error}") from None


def _parquet_rows(uri: str, data: bytes, wanted: list[str]) -> Iterator[Record]:
    """Only the columns that are wanted are read; all of them where none is named."""
    number = 0
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        has = file.schema_arrow.names
        for name in wanted:
            if name not in has:
                raise ConfigurationError(f"{uri} has no column {name!r}; it has {_listed(has)}")
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted or None):
            for row in batch.to_pylist():
                number += 1
                yield Record(f"row {number}", row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{uri} is not a complete parquet file ({type(error).__name__})") from None


def _listed(names: Collection[object]) -> str:
    """Sorted, and not more of them than a sentence bears."""
    shown = sorted(map(str, names))
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") or "nothing"
