"""Files of texts on this machine: which they are, and how much they hold at most."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from tiltyard.api import local_path


class TextFile(NamedTuple):
    """What is known of a file before anything runs.

    Attributes:
        sha256: of its bytes.
        rows: records in it, at most; None where nobody can tell (preflight says what is wrong with it).
    """

    sha256: str
    rows: int | None


def look_at(uri: str) -> TextFile | None:
    """A file of this machine; None for any other, and for one that preflight will find unreadable."""
    if not uri.startswith("file://"):
        return None
    path = local_path(uri, Path("/"))
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return TextFile(hashlib.sha256(data).hexdigest(), _rows_at_most(path, data))


def _rows_at_most(path: Path, data: bytes) -> int | None:
    """A record takes a line or more, but in an array of JSON and in parquet."""
    if path.suffix.lower() == ".parquet":
        return _parquet_rows(path)
    if data.lstrip()[:1] != b"[":
        return sum(1 for line in data.splitlines() if line.strip())
    try:
        array = json.loads(data)
    except ValueError:
        return None
    return len(array) if isinstance(array, list) else None


def _parquet_rows(path: Path) -> int | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError):
        return None
