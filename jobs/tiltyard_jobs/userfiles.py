"""Files that the user brings: JSON Lines, CSV, text, parquet or Arrow, on this machine or in S3.

What is in their columns is for `usertexts` to say; how a file of text is written, `contracts.textfile` knows.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.layout import readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfield import column_of, field_advice
from tiltyard_jobs.contracts.textfile import BadTextFileError, Record, Records
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store

_BATCH_ROWS = 1024


def read_records(uri: str, store: StoreRef, *, sha256: str | None = None) -> Iterator[dict[str, Any]]:
    """The records of a file, whole.

    Args:
        uri: as in `read_texts`.
        store: likewise.
        sha256: likewise.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    data, uri = checked_bytes(uri, store, sha256)
    return _good_rows(uri, records_of(uri, data, []).rows)


def _good_rows(uri: str, records: Iterator[Record]) -> Iterator[dict[str, Any]]:
    for place, row, bad in records:
        if bad is not None:
            raise ConfigurationError(f"{uri}: {place} {bad}")
        yield row


def checked_bytes(uri: str, store: StoreRef, sha256: str | None) -> tuple[bytes, str]:
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


def records_of(uri: str, data: bytes, wanted: list[str]) -> Records:
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
                names = listed(table.names)
                raise ConfigurationError(f"{uri} has no column {name!r}; it has {names}{field_advice(first, name)}")
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


def listed(names: Collection[object]) -> str:
    """Sorted, and not more of them than a sentence bears."""
    shown = sorted(map(str, names))
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") or "nothing"
