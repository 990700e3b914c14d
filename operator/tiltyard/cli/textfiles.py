"""Files of texts on this machine: which they are, and how much they hold at most."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

from tiltyard.api import local_path
from tiltyard_jobs.contracts import textfile


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
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        kind = textfile.kind_of(path.name)
        data = textfile.unpack(data, lambda packed: pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read())
        if kind == "parquet":
            return int(pq.read_metadata(io.BytesIO(data)).num_rows)
        if kind in textfile.ARROW:
            opened = pa.ipc.open_file if data.startswith(textfile.ARROW_FILE) else pa.ipc.open_stream
            return int(opened(pa.BufferReader(data)).read_all().num_rows)
        return sum(1 for _ in textfile.read_records(kind, data).rows)
    except (textfile.BadTextFileError, pa.ArrowException, OSError):
        return None
