"""Files that the user brings: JSON Lines, CSV, text, parquet or Arrow, read as they stream by.

Where they lie, `sources` knows; what is in their columns is for `usertexts` to say; how a file of text is written,
`contracts.textfile` knows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.located import LocatedFile
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.textfield import column_of, field_advice
from tiltyard_jobs.contracts.textfile import Records
from tiltyard_jobs.contracts.textstream import PIECE, BadTextFileError, Open, Record
from tiltyard_jobs.download import PATIENCE, Patience
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.sources import LocalFile, fetched

Advice = Callable[[Mapping[str, Any], str], str]
"""From a record and the name that it lacks to what to write instead."""

_BATCH_ROWS = 1024
_OUT_OF_RANGE = "<value out of range: "  # what Arrow writes for a time of no calendar
_PAGES = 1 << 20  # bytes of a column that are read at once


def read_records(
    uri: str, store: StoreRef, *, sha256: str | None = None, patience: Patience = PATIENCE
) -> Iterator[dict[str, Any]]:
    """The records of a file, whole.

    Args:
        uri: as in `read_texts`.
        store: likewise.
        sha256: likewise.
        patience: with a server that has it.

    Raises:
        ConfigurationError: the file is not there, is no such file, or has another digest.
    """
    file = fetched(LocatedFile(uri=uri, sha256=sha256), store, patience)
    return _good_rows(file, records_of(file, []).rows)


def _good_rows(file: LocalFile, records: Iterator[Record]) -> Iterator[dict[str, Any]]:
    for place, row, bad in records:
        if bad is not None:
            raise ConfigurationError(f"{file.place}: {place} {bad}")
        yield row


def records_of(file: LocalFile, wanted: list[str], advice: Advice = field_advice) -> Records:
    """The records of a file; what is wrong with it is reported under its name.

    Args:
        file: the file.
        wanted: what is read of a record, as columns or paths; empty: all of it.
        advice: what to write, for a record that lacks a column.
    """
    try:
        kind = textfile.kind_of(file.uri)
        opened, packed = textfile.unpacked(partial(_open, file.path), _zstandard)
        if kind == "parquet" or kind in textfile.ARROW:
            return Records((), _table_rows(file, kind, opened if packed else None, wanted, advice))
        records = textfile.read_records(kind, opened)
    except BadTextFileError as error:
        raise ConfigurationError(f"{file.place}{error}") from None
    return records._replace(rows=_named(file, records.rows))


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _zstandard(packed: Any) -> Any:
    return pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")


def _named(file: LocalFile, rows: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from rows
    except BadTextFileError as error:
        raise ConfigurationError(f"{file.place}{error}") from None


class _Table(NamedTuple):
    """A parquet or Arrow file: its columns, and how to read some of them (None: all) in batches."""

    names: list[str]
    batches: Callable[[list[str] | None], Iterator[pa.RecordBatch]]


def _table(kind: str, path: Path, files: ExitStack) -> _Table:
    if kind == "parquet":
        parquet = files.enter_context(pq.ParquetFile(path, buffer_size=_PAGES, pre_buffer=False))
        names = parquet.schema_arrow.names
        return _Table(names, lambda columns: parquet.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False))
    file = files.enter_context(pa.OSFile(str(path), "r"))
    if file.read(len(textfile.ARROW_FILE)) == textfile.ARROW_FILE:
        whole = pa.ipc.open_file(file)
        return _Table(
            whole.schema.names,
            lambda columns: _sliced((whole.get_batch(number) for number in range(whole.num_record_batches)), columns),
        )
    file.seek(0)
    names = pa.ipc.open_stream(file).schema.names

    def batches(columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        file.seek(0)
        return _sliced(pa.ipc.open_stream(file), columns)

    return _Table(names, batches)


def _sliced(batches: Iterator[pa.RecordBatch], columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    """Batches of no more rows than are turned into Python's objects at once."""
    for batch in batches:
        chosen = batch.select(columns) if columns else batch
        for start in range(0, chosen.num_rows, _BATCH_ROWS):
            yield chosen.slice(start, _BATCH_ROWS)


def _table_rows(file: LocalFile, kind: str, packed: Open | None, wanted: list[str], advice: Advice) -> Iterator[Record]:
    """Only the columns that are wanted are read; all of them where none is named.

    Args:
        file: the file.
        kind: what its name says.
        packed: opens what is in it, where it is packed.
        wanted: as in `records_of`.
        advice: likewise.
    """
    number = 0
    with ExitStack() as files:
        try:
            path = file.path if packed is None else _unpacked(packed, files)
            table = _table(kind, path, files)
            columns = list(dict.fromkeys(column_of(name, table.names) for name in wanted))
            for name in columns:
                if name not in table.names:
                    names = listed(table.names)
                    raise ConfigurationError(
                        f"{file.place} has no column {name!r}; it has {names}{advice(_first(table), name)}"
                    )
                if table.names.count(name) > 1:
                    raise BadTextFileError(f" names two columns {name!r}: give each a name of its own")
            for batch in table.batches(columns or None):
                for row in _rows(batch):
                    number += 1
                    yield Record(f"row {number}", row)
        except BadTextFileError as error:
            raise ConfigurationError(f"{file.place}{error}") from None
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{file.place}{_no_table(kind, file.path, error)}") from None


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = batch.schema.names
    columns = [_values(name, column) for name, column in zip(names, batch.columns, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _first(table: _Table) -> dict[str, Any]:
    """The first record, as far as it can be read: it shows a shape that is known."""
    row = dict[str, Any]()
    batch = next((batch for batch in table.batches(None) if batch.num_rows), None)
    for name, column in zip(batch.schema.names, batch.columns, strict=True) if batch is not None else ():
        with suppress(BadTextFileError):
            (row[name],) = _values(name, column.slice(0, 1))
    return row


def _values(name: str, column: Any) -> list[Any]:
    """The values of a column, with times as text where Python's cannot hold one: finer than microseconds, or far away.

    Raises:
        BadTextFileError: they cannot be read.
    """
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        pass
    try:
        values = list(column.cast(_times_as_text(column.type)).to_pylist())
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError, pa.ArrowException) as error:
        reason = type(error).__name__
        raise BadTextFileError(f" has a column {name!r} that cannot be read ({reason}): write it as text") from None
    if _OUT_OF_RANGE in str(values):
        raise BadTextFileError(f" has a time out of range in column {name!r}: correct it, or write it as text")
    return values


def _times_as_text(kind: Any) -> Any:
    if pa.types.is_struct(kind):
        return pa.struct([_with_text(field) for field in kind.fields])
    if pa.types.is_list(kind):
        return pa.list_(_with_text(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_with_text(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_with_text(kind.value_field), kind.list_size)
    if pa.types.is_map(kind):
        return pa.map_(_times_as_text(kind.key_type), _times_as_text(kind.item_type))
    if pa.types.is_dictionary(kind):
        return _times_as_text(kind.value_type)
    return pa.string() if pa.types.is_temporal(kind) else kind


def _with_text(field: pa.Field[Any]) -> pa.Field[Any]:
    return field.with_type(_times_as_text(field.type))


def _unpacked(packed: Open, files: ExitStack) -> Path:
    """A table that was packed as a whole, beside: it is not read from start to end."""
    beside = Path(files.enter_context(tempfile.TemporaryDirectory(prefix="tiltyard-"))) / "table"
    with packed() as inside, beside.open("wb") as table:
        while piece := inside.read(PIECE):
            table.write(piece)
    return beside


def _no_table(kind: str, path: Path, error: Exception) -> str:
    if kind == "parquet":
        with path.open("rb") as file:
            if file.read(len(textfile.PARQUET)) not in (textfile.PARQUET, textfile.ZSTANDARD):
                return " is not a parquet file by its first bytes: correct the end of its name"
    name = "a complete parquet" if kind == "parquet" else "a complete Arrow"
    return f" is not {name} file ({type(error).__name__}): fetch or write it again"


def listed(names: Collection[object]) -> str:
    """Sorted, and not more of them than a sentence bears."""
    shown = sorted(map(str, names))
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") or "nothing"
