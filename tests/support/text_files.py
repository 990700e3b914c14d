"""Files of texts as users have them, and how they are refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.usertexts import read_texts

STORE = StoreRef(uri="file:///nowhere")
KINDS = ("jsonl", "ndjson", "json", "csv", "parquet")


def written(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """A file of the kind that its name says; its URI."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(text.getvalue().encode())
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.as_uri()


def refusal(path: Path, data: bytes, column: str = "text", also: str | None = None) -> str:
    """The sentence that a file is refused with, without the file's own name."""
    path.write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        list(read_texts(path.as_uri(), column, STORE, also=also))
    return str(caught.value).removeprefix(str(path)).strip(": ")


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()
