"""Parquet tables read at random: whole small columns, or the row group that one row is in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tiltyard_jobs.errors import PermanentError
from tiltyard_jobs.store.base import Store

_CACHED_BYTES = 64 << 20  # of decoded row groups, for each table
_READERS = 8  # files at once: in a bucket the store's latency is what they cost


class TableFile:
    """One parquet file of a store. Its footer is read once; it is open only while it is read.

    Args:
        store: where it lies.
        key: its key there.
        size: its bytes.

    Raises:
        PermanentError: it is gone, or is no parquet file.
    """

    def __init__(self, store: Store, key: str, size: int) -> None:
        self._store, self._key, self._size = store, key, size
        self._metadata: pq.FileMetaData | None = None
        with self._opened() as file:
            self._metadata = file.metadata
            self.schema: pa.Schema = file.schema_arrow
        groups = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]
        self.starts = np.concatenate([[0], np.cumsum(groups)]).astype(np.int64)
        self.rows = int(self.starts[-1])

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Whole columns."""
        with self._opened() as file:
            return file.read(columns=list(columns), use_threads=True)

    def group(self, number: int, columns: Sequence[str]) -> pa.Table:
        """One row group."""
        with self._opened() as file:
            return file.read_row_group(number, columns=list(columns), use_threads=False)

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with self._store.open(self._key, self._size) as data:
                yield pq.ParquetFile(data, metadata=self._metadata, pre_buffer=True)
        except (pa.ArrowInvalid, OSError) as error:
            raise PermanentError(f"{self._key} in {self._store.place} is damaged or cut short: {error}") from None


class Piece(NamedTuple):
    """A file as a part of a table, and columns that it lacks since they have one value in all of its rows."""

    file: TableFile
    same: Mapping[str, str] = {}


class Table:
    """A table that lies in one file or in many.

    Args:
        pieces: in order.
        aliases: names of columns in the files, by the names asked for.
    """

    def __init__(self, pieces: Sequence[Piece], aliases: Mapping[str, str] | None = None) -> None:
        self._pieces = tuple(pieces)
        self._aliases = dict(aliases or {})
        self._starts = np.concatenate([[0], np.cumsum([piece.file.rows for piece in pieces])]).astype(np.int64)
        self.rows = int(self._starts[-1])
        self._lock = threading.Lock()
        self._cached: OrderedDict[tuple[int, int, tuple[str, ...]], pa.Table] = OrderedDict()
        self._cached_bytes = 0

    @property
    def names(self) -> list[str]:
        """Columns of the first file."""
        return self._pieces[0].file.schema.names if self._pieces else []

    def has(self, column: str) -> bool:
        """Whether there is such a column."""
        return any(
            column in piece.same or self._aliases.get(column, column) in piece.file.schema.names
            for piece in self._pieces
        )

    def columns(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Whole columns, a file at a time; a column that a file lacks is null."""
        with ThreadPoolExecutor(min(_READERS, max(1, len(self._pieces)))) as pool:
            yield from pool.map(lambda piece: self._whole(piece, names, piece.file.read), self._pieces)

    def row(self, number: int, names: Sequence[str]) -> dict[str, Any]:
        """One row. Its row group is kept for the rows beside it."""
        place = int(np.searchsorted(self._starts, number, side="right")) - 1
        piece, inside = self._pieces[place], number - int(self._starts[place])
        group = int(np.searchsorted(piece.file.starts, inside, side="right")) - 1
        table = self._group(place, group, tuple(names))
        row: dict[str, Any] = table.slice(inside - int(piece.file.starts[group]), 1).to_pylist()[0]
        return row

    def scan(self, names: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
        """All rows, a row group at a time, each with the number of its first row. Nothing is kept."""
        for place, piece in enumerate(self._pieces):
            for group in range(len(piece.file.starts) - 1):
                first = int(self._starts[place] + piece.file.starts[group])
                yield first, self._whole(piece, names, lambda have, g=group, p=piece: p.file.group(g, have))

    def _group(self, place: int, group: int, names: tuple[str, ...]) -> pa.Table:
        key = (place, group, names)
        with self._lock:
            if key in self._cached:
                self._cached.move_to_end(key)
                return self._cached[key]
        piece = self._pieces[place]
        table = self._whole(piece, names, lambda have: piece.file.group(group, have))
        with self._lock:
            if key not in self._cached:
                self._cached[key] = table
                self._cached_bytes += table.nbytes
            while self._cached_bytes > _CACHED_BYTES and len(self._cached) > 1:
                self._cached_bytes -= self._cached.popitem(last=False)[1].nbytes
        return table

    def _whole(self, piece: Piece, names: Sequence[str], read: Any) -> pa.Table:
        """What `read` returns of the columns that there are, with those that there are not."""
        inside = {name: self._aliases.get(name, name) for name in names if name not in piece.same}
        have = [name for name in inside.values() if name in piece.file.schema.names]
        table: pa.Table = read(have or piece.file.schema.names[:1])
        columns: dict[str, Any] = {}
        for name in names:
            if name in piece.same:
                columns[name] = pa.DictionaryArray.from_arrays(np.zeros(table.num_rows, np.int32), [piece.same[name]])
            elif inside[name] in have:
                columns[name] = table[inside[name]]
            else:
                columns[name] = pa.nulls(table.num_rows, pa.string())
        return pa.table(columns)


class Vocabulary:
    """Words by number, in the order in which they are met."""

    def __init__(self, words: Sequence[str] = ()) -> None:
        self.words = list(words)
        self._numbers = {word: number for number, word in enumerate(words)}

    def number(self, word: str | None) -> int:
        """A word's number, a new one where it is new; -1 for null."""
        if word is None:
            return -1
        if word not in self._numbers:
            self._numbers[word] = len(self.words)
            self.words.append(word)
        return self._numbers[word]

    def find(self, word: str) -> int | None:
        """A word's number; None where it was never met."""
        return self._numbers.get(word)

    def numbers(self, column: pa.ChunkedArray[Any]) -> NDArray[np.int32]:
        """A column of words as numbers."""
        parts: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
        for chunk in column.chunks:
            coded: Any = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
            known = np.array([self.number(word) for word in coded.dictionary.to_pylist()] + [-1], np.int32)
            places = coded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
            parts.append(known[places])
        return np.concatenate(parts)
