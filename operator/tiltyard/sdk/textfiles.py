"""Files of texts on this machine: which they are, and how much they hold at most."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote

from tiltyard.api import local_path
from tiltyard_jobs.contracts import textfile
from tiltyard_jobs.contracts.textstream import BadTextFileError, Open


class FoundFile(NamedTuple):
    """What is known of a file before anything runs.

    Attributes:
        sha256: of its bytes.
        rows: records in it, at most; None where nobody can tell (preflight says what is wrong with it).
    """

    sha256: str
    rows: int | None


def look_at(uri: str) -> FoundFile | None:
    """A file of this machine; None for any other, and for one that preflight will find unreadable."""
    if not uri.startswith("file://"):
        return None
    path = local_path(uri, Path("/"))
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    return FoundFile(digest, _rows_at_most(path))


class NoFilesError(ValueError):
    """A folder or a pattern stands for nothing; the sentence goes on from its name.

    Attributes:
        field: the manifest's field that names it.
    """

    field = "spec.instructions.from.uri"


def files_of(folder: Path, uri: str) -> list[Path] | None:
    """The files of this machine that a folder or a pattern stands for, in the order of their names.

    Hidden files are never among them, and of a folder only those that `textfile.of_folder` reads.

    Args:
        folder: the manifest's, where a relative path begins.
        uri: as it is written there.

    Returns:
        None for what is one file, or no path of this machine.

    Raises:
        NoFilesError: there is none.
    """
    written = _written(uri)
    if written is None:
        return None
    path = folder / written
    if path.is_dir():
        inside, top = _inside(path), path.resolve()
        if inside.skipped and not inside.read:
            raise NoFilesError(
                f"the folder {top} has no file of records; {inside.note}; give the path of one to read it"
            )
        if not inside.read:
            kinds = ", ".join(f".{kind}" for kind in textfile.KINDS)
            raise NoFilesError(f"the folder {top} has no file that ends in {kinds}")
        return sorted(top / name for name in inside.read)
    if path.exists() or not glob.has_magic(written):
        return None
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    if not (found := [match.resolve() for match in matches if match.is_file()]):
        raise NoFilesError(f"no file matches {path}")
    return found


def skipped_in(folder: Path, uri: str) -> str:
    """What to say of the files that `files_of` skips in a folder; empty where it skips none, and for anything else.

    Args:
        folder: as in `files_of`.
        uri: likewise.
    """
    written = _written(uri)
    return _inside(folder / written).note if written is not None and (folder / written).is_dir() else ""


def _written(uri: str) -> str | None:
    """The path of this machine that a URI gives, perhaps a relative one."""
    if "://" in uri and not uri.startswith("file://"):
        return None
    return os.path.expanduser(unquote(uri.removeprefix("file://")) if "://" in uri else uri)


def _inside(folder: Path) -> textfile.OfFolder:
    return textfile.of_folder(path.relative_to(folder.resolve()).as_posix() for path in _below(folder))


def _below(folder: Path) -> Iterator[Path]:
    for inside, folders, names in os.walk(folder.resolve()):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(inside, name) for name in names if not name.startswith("."))


def _rows_at_most(path: Path) -> int | None:
    import pyarrow as pa

    try:
        kind = textfile.kind_of(path.name)
        opened, packed = textfile.unpacked(partial(_open, path), _zstandard)
        if kind == "parquet" or kind in textfile.ARROW:
            return _rows_of_table(kind, path, opened, packed)
        return sum(1 for _ in textfile.read_records(kind, opened).rows)
    except (BadTextFileError, pa.ArrowException, OSError):
        return None


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _zstandard(packed: Any) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(packed, "r"), "zstd")


def _rows_of_table(kind: str, path: Path, opened: Open, packed: bool) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with opened() as file:
        source: Any = pa.BufferReader(file.read()) if packed else pa.OSFile(str(path), "r")
        if kind == "parquet":
            return int(pq.read_metadata(source).num_rows)
        arrow = source.read(len(textfile.ARROW_FILE)) == textfile.ARROW_FILE
        source.seek(0)
        if arrow:
            whole = pa.ipc.open_file(source)
            return sum(whole.get_batch(number).num_rows for number in range(whole.num_record_batches))
        return sum(batch.num_rows for batch in pa.ipc.open_stream(source))
