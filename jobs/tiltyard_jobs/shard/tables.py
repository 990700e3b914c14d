"""Parquet tables, written and read a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.errors import PermanentError

GROUP_ROWS = 1024
GROUP_BYTES = 8 << 20  # of text in UTF-8: a row group of very long replies ends early, so that memory stays bounded


class TableWriter:
    """A streaming parquet writer whose bytes depend on the rows, the schema and the parquet library alone.

    A row group ends at `GROUP_ROWS` rows or `GROUP_BYTES` of text, whichever comes first. A column that a row does not
    name is null. As a context manager it leaves no file behind where the block raises.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        schema = pa.schema([field.remove_metadata() for field in schema])  # what a column means is no part of the file
        self._path = path
        self._schema = schema
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        self._texts = [field.name for field in schema if _holds_text(field.type)]
        self._buffered = 0
        self._bytes = 0
        self._rows = 0
        self._writer = pq.ParquetWriter(
            path,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
            data_page_version="1.0",
            store_schema=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._writer.close()
            self._path.unlink(missing_ok=True)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row.

        Raises:
            KeyError: it names a column that the schema lacks.
            PermanentError: a value (of this row or of one not long before) does not fit its column.
        """
        if not row.keys() <= self._columns.keys():
            raise KeyError(", ".join(sorted(row.keys() - self._columns.keys())))
        for name, values in self._columns.items():
            values.append(row.get(name))
        self._bytes += sum(_size(row.get(name)) for name in self._texts)
        self._buffered += 1
        if self._buffered >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()

    def close(self) -> int:
        """Write what is left; returns the number of rows in the table. Closing twice does no harm."""
        self._flush()
        self._writer.close()
        return self._rows

    def _flush(self) -> None:
        if not self._buffered:
            return
        arrays = []
        for field in self._schema:
            try:
                arrays.append(pa.array(self._columns[field.name], type=field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                rows = f"rows {self._rows} to {self._rows + self._buffered - 1}"
                raise PermanentError(
                    f"{self._path.name}: a value in {rows} is no {field.type} ({field.name})."
                ) from error
            self._columns[field.name].clear()
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema), row_group_size=self._buffered)
        self._rows += self._buffered
        self._buffered = self._bytes = 0


def _holds_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_nested(kind)


def _size(value: object) -> int:
    """Bytes of a text, or of all texts in a list or a record."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    return sum(map(_size, value)) if isinstance(value, Sequence) else 0


def iter_rows(
    path: Path, columns: Sequence[str] | None = None, start: int = 0, stop: int | None = None
) -> Iterator[dict[str, Any]]:
    """Rows [start, stop) of a table, in order; row groups outside the range are not read.

    Memory is that of one row group of the columns asked for (all by default).
    """
    names = None if columns is None else list(columns)
    with pq.ParquetFile(path) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            low, high = max(start - first, 0), rows if stop is None else min(stop - first, rows)
            if high <= 0:
                return
            if low < high:
                yield from file.read_row_group(group, columns=names).slice(low, high - low).to_pylist()
            first += rows


def count_rows(path: Path) -> int:
    """Rows of a table, from its footer."""
    return int(pq.read_metadata(path).num_rows)
