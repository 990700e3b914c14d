"""Tables of a complete run, written in another tool's form: in a stream, and all of them or none."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts.vocabulary import ExportForm
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.results.columns import Row
from tiltyard_jobs.results.documents import Manifest
from tiltyard_jobs.results.forms import ANY_TABLE, CONVERSATIONS, FORMS, Losses, csv_cell, dataset_info, example_of
from tiltyard_jobs.results.run_tables import DATASET_PATHS, RATING_PATHS
from tiltyard_jobs.shard.stopping import Stopped
from tiltyard_jobs.shard.tables import iter_rows
from tiltyard_jobs.store.base import Store

_PATHS = DATASET_PATHS | RATING_PATHS
_LINES_BETWEEN_LOOKS = 256  # at whether the process must end


class Exported(NamedTuple):
    """What was written: rows by file, and a sentence for each kind of what a form has no place for."""

    rows: dict[str, int]
    told: list[str]


def export_tables(
    store: Store,
    manifest: Manifest,
    prefix: str,
    *,
    form: ExportForm,
    wanted: Sequence[str],
    folder: Path,
    must_stop: Callable[[], bool],
) -> Exported:
    """Write tables to a folder that is not there yet, or empty; it appears when all of them are written.

    Args:
        store: has the run.
        manifest: the run's.
        prefix: of the run's files in the store.
        form: what the tables are written for.
        wanted: names of tables; none: all training rows.
        folder: gets the files.
        must_stop: whether the process must end.

    Raises:
        ConfigurationError: there are no such tables, the form has no place for them, or the folder cannot be written.
        PermanentError: a table is damaged, or gone.
        Stopped: the process must end; nothing is left.
    """
    tables = _chosen(manifest, form, wanted)
    digests = {file.path: file.sha256 for file in manifest.files}
    suffix = "csv" if form == "csv" else "jsonl"
    done = Exported({}, [])
    staged = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigurationError(f"--out {folder}: there is something already; name a folder that is not there yet")
        try:
            staged.mkdir(parents=True)
            for table in tables:
                source, file = staged / "source.parquet", f"{table}.{suffix}"
                store.get_file(prefix + _PATHS[table], source, sha256=digests[_PATHS[table]])
                losses = Losses()
                done.rows[file] = _write(source, staged / file, table, form, losses, must_stop)
                done.told.append(f"{file}: {done.rows[file]} rows")
                done.told.extend(f"{file}: {sentence}" for sentence in losses.sentences(form))
                source.unlink()
            if form == "llamafactory":
                info = dataset_info({table: f"{table}.{suffix}" for table in tables}, manifest.tournament)
                (staged / "dataset_info.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n")
            staged.rename(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    except OSError as error:
        raise ConfigurationError(f"--out {folder} cannot be written: {error.strerror}") from None
    return done


def _chosen(manifest: Manifest, form: ExportForm, wanted: Sequence[str]) -> list[str]:
    """The tables to write: those that are wanted, or else all training rows that there are."""
    rows = {file.path: file.rows for file in manifest.files}
    there = {name: rows[path] for name, path in _PATHS.items() if path in rows}
    for table in wanted:
        if table not in there:
            raise ConfigurationError(f"--table {table}: run {manifest.run} has no such table, only {', '.join(there)}")
        if table not in CONVERSATIONS and form not in ANY_TABLE:
            raise ConfigurationError(
                f"--table {table}: {form} is for training rows ({', '.join(CONVERSATIONS)}); for this table use --to"
                f" {' or '.join(ANY_TABLE)}"
            )
    chosen = list(dict.fromkeys(wanted)) or [table for table in CONVERSATIONS if there.get(table)]
    if not chosen:
        raise ConfigurationError(
            f"run {manifest.run} has no training rows: its report says why; --table names another table"
            f" ({', '.join(there)})"
        )
    return chosen


def _write(
    source: Path, target: Path, table: str, form: ExportForm, losses: Losses, must_stop: Callable[[], bool]
) -> int:
    """Write one table; returns its number of records."""
    records = _records(source, table, form, losses)
    count = 0
    with target.open("wb") as file:
        for count, line in enumerate(_csv(records, losses) if form == "csv" else map(_json, records), start=1):
            if count % _LINES_BETWEEN_LOOKS == 0 and must_stop():
                raise Stopped
            file.write(line)
    return count


def _json(record: Row) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _csv(records: Iterable[Row], losses: Losses) -> Iterator[bytes]:
    """A piece for each record; the first one has the header before it."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    for number, record in enumerate(records):
        if number == 0:
            writer.writerow(record)
        writer.writerow([csv_cell(value, losses) for value in record.values()])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _records(source: Path, table: str, form: ExportForm, losses: Losses) -> Iterator[Row]:
    # Of a column without a value, a reader of JSON cannot tell what it holds.
    names = pq.read_schema(source).names if form == "csv" else _with_values(source)
    if table not in CONVERSATIONS:
        yield from iter_rows(source, names)
        return
    conversations, shape = CONVERSATIONS[table], FORMS[form]
    if not shape.keeps:
        losses.columns = tuple(name for name in names if name not in conversations)
        names = list(conversations)
    # Nor of a list that is always empty.
    left_out = {"history"} if form == "alpaca" and not _has_earlier_turns(source, table) else set()
    for row in iter_rows(source, names):
        record = shape.record(example_of(table, row), losses)
        if record is not None:
            yield {name: value for name, value in record.items() if name not in left_out}


def _with_values(source: Path) -> list[str]:
    """The columns in which not all values are null, by the statistics in the file."""
    with pq.ParquetFile(source) as file:
        names = {name: pa.types.is_nested(file.schema_arrow.field(name).type) for name in file.schema_arrow.names}
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            for chunk in map(group.column, range(group.num_columns)):
                if chunk.path_in_schema in names:
                    known = chunk.statistics
                    full = known is None or known.null_count is None or known.null_count < group.num_rows
                    names[chunk.path_in_schema] |= full
    return [name for name, has in names.items() if has]


def _has_earlier_turns(source: Path, table: str) -> bool:
    """Whether an instruction follows other turns than a system message."""
    return any(len(example_of(table, row).turns) > 1 for row in iter_rows(source, CONVERSATIONS[table]))
