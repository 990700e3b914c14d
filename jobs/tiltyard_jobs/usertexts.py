"""Texts that the user brings: JSON lines, CSV or parquet, on this machine or in S3.

The one reader of such files: instructions (`stages.prompts`), held-out benchmarks (`stages.dataset`), and the check of
both before anything starts (`stages.preflight`).
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts.layout import readable
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.curation.exact import digest_of
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store

_BATCH_ROWS = 1024


def read_texts(
    uri: str, column: str, store: StoreRef, *, sha256: str | None = None, also: str | None = None
) -> Iterator[tuple[str, str | None]]:
    """The texts in one column of a file, and what stands beside each in another; blank ones are passed over.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending in .jsonl, .ndjson, .json, .csv or .parquet.
        column: holds the texts.
        store: S3's endpoint, region and certificates.
        sha256: the file's digest, where it is known.
        also: another column.

    Raises:
        ConfigurationError: the file is not there, is no such file, lacks a column, or has another digest.
    """
    wanted = [column] if also is None else [column, also]
    data, uri = _checked_bytes(uri, store, sha256)
    for number, row in enumerate(_rows(uri, data, wanted), start=1):
        for name in wanted:
            if name not in row:
                raise ConfigurationError(f"{uri} has no {name!r} in record {number}; it has {_listed(row)}")
        text = row[column]
        if text is not None and not isinstance(text, str):
            raise ConfigurationError(f"{uri}: {column!r} is not text in record {number}")
        if text and not text.isspace():
            yield text, None if also is None else str(row[also])


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
    return _rows(uri, data, [])


class TextsFound(NamedTuple):
    """What a file holds.

    Attributes:
        texts: that are not blank.
        repeats: of these, how many are equal to one before them, in their normal form.
    """

    texts: int
    repeats: int


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
    return TextsFound(count, count - len(distinct))


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


def _rows(uri: str, data: bytes, wanted: list[str]) -> Iterator[dict[str, Any]]:
    kind = uri.rpartition(".")[2].lower()
    if kind == "parquet":
        return _parquet_rows(uri, data, wanted)
    data = data.removeprefix(codecs.BOM_UTF8)  # spreadsheets put it there
    if kind == "csv":
        return _csv_rows(uri, data)
    if kind not in ("jsonl", "ndjson", "json"):
        raise ConfigurationError(f"{uri} must end in .jsonl, .ndjson, .json, .csv or .parquet")
    return _array_rows(uri, data) if data.lstrip()[:1] == b"[" else _line_rows(uri, data)


def _parquet_rows(uri: str, data: bytes, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """Only the columns that are wanted are read; all of them where none is named."""
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        has = file.schema_arrow.names
        for name in wanted:
            if name not in has:
                raise ConfigurationError(f"{uri} has no column {name!r}; it has {_listed(has)}")
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted or None):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{uri} is not a complete parquet file ({type(error).__name__})") from None


def _csv_rows(uri: str, data: bytes) -> Iterator[dict[str, Any]]:
    try:
        # Line breaks inside quotes stay as they are.
        yield from csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{uri} is not a CSV file: {error}") from None


def _array_rows(uri: str, data: bytes) -> Iterator[dict[str, Any]]:
    try:
        rows = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{uri} is not a JSON array of objects: {error}") from None
    for number, row in enumerate(rows, start=1):
        yield _object(uri, row, f"record {number}")


def _line_rows(uri: str, data: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{uri}: line {number} is not JSON: {error}") from None
        yield _object(uri, row, f"line {number}")


def _object(uri: str, row: object, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ConfigurationError(f"{uri}: {where} is not a JSON object")
    return row


def _listed(names: Collection[object]) -> str:
    """Sorted, and not more of them than a sentence bears."""
    shown = sorted(map(str, names))
    return ", ".join(shown[:20]) + (", …" if len(shown) > 20 else "") or "nothing"
