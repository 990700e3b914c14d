"""Texts that the user brings: JSON lines, CSV or parquet, on this machine or in S3."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.store import open_store


def read_texts(uri: str, column: str, store: StoreRef, *, also: str | None = None) -> Iterator[tuple[str, str | None]]:
    """The texts in one column of a file, and what stands beside each in another; blank ones are passed over.

    Args:
        uri: `file:///…` or `s3://bucket/key`, ending in .jsonl, .json, .ndjson, .csv or .parquet.
        column: holds the texts.
        store: S3's endpoint, region and certificates.
        also: another column.

    Raises:
        ConfigurationError: the file is not there, is no such file, or lacks a column.
    """
    for number, row in enumerate(_rows(uri, _bytes(uri, store))):
        for name in (column, also):
            if name is not None and name not in row:
                has = ", ".join(sorted(map(str, row)))
                raise ConfigurationError(f"{uri} has no column {name!r} in row {number}; it has {has}")
        text = row[column]
        if text is not None and not isinstance(text, str):
            raise ConfigurationError(f"{uri}: {column!r} is no text in row {number}")
        if text and text.strip():
            yield text, None if also is None else str(row[also])


def check_texts(uri: str, column: str, store: StoreRef) -> int:
    """How many texts a file holds; raises as `read_texts`, and where it holds none."""
    count = sum(1 for _ in read_texts(uri, column, store))
    if count == 0:
        raise ConfigurationError(f"{uri} holds no text in column {column!r}")
    return count


def _bytes(uri: str, store: StoreRef) -> bytes:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
        try:
            return path.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    bucket = open_store(f"s3://{parts.netloc}", endpoint=store.endpoint, region=store.region, ca_bundle=store.ca_bundle)
    try:
        data = bucket.get(parts.path.lstrip("/"))
    finally:
        bucket.close()
    if data is None:
        raise ConfigurationError(f"{uri} is not there")
    return data


def _rows(uri: str, data: bytes) -> Iterator[dict[str, Any]]:
    kind = uri.rpartition(".")[2].lower()
    try:
        if kind == "parquet":
            for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches(1024):
                yield from batch.to_pylist()
        elif kind == "csv":
            yield from csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        elif kind in ("jsonl", "ndjson", "json"):
            yield from _json_rows(uri, data)
        else:
            raise ConfigurationError(f"{uri} must end in .jsonl, .ndjson, .json, .csv or .parquet")
    except (UnicodeDecodeError, csv.Error, orjson.JSONDecodeError, pa.ArrowInvalid) as error:
        raise ConfigurationError(f"{uri} is no {kind} file: {error}") from None


def _json_rows(uri: str, data: bytes) -> Iterator[dict[str, Any]]:
    """JSON lines, or one JSON array of objects."""
    rows = orjson.loads(data) if data.lstrip()[:1] == b"[" else map(orjson.loads, filter(None, data.splitlines()))
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ConfigurationError(f"{uri}: row {number} is no JSON object")
        yield row
