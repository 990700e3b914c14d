"""Files of records that people bring, as they stream by: JSON Lines, a JSON array, CSV or text by line, packed or not.

The one place that knows how such a file is written (`textjson` and `textcsv` know their kinds); what is in its columns
is for `usertexts` to say. Parquet and Arrow are not text: whoever reads them needs a library for it. Nothing is guessed
that could cut a text: what is not as it should be is refused, with its line and what to do.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, NamedTuple

from tiltyard_jobs.contracts import textcsv, textjson
from tiltyard_jobs.contracts.textstream import (
    PIECE,
    TEXT_COLUMN,
    TOO_LONG,
    BadTextFileError,
    Open,
    Record,
    TextStream,
    is_damaged,
)

ARROW = ("arrow", "feather")
KINDS = ("jsonl", "ndjson", "json", "csv", "tsv", "txt", "parquet", *ARROW)
PACKED = ("gz", "bz2", "xz", "zst")
ZSTANDARD = b"\x28\xb5\x2f\xfd"
PARQUET, ARROW_FILE = b"PAR1", b"ARROW1"
Unpack = Callable[[BinaryIO], BinaryIO]
"""From a packed stream to what is in it; reading raises EOFError, ValueError or OSError where it is torn."""

# What `gzip.open` and others read is annotated as other types than BinaryIO, and behaves as one.
_UNPACK: Mapping[bytes, tuple[str, Callable[[BinaryIO], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\x00": ("xz", lzma.open),
}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HEAD = 1 << 16  # bytes in which a file shows what it is
_OTHERS = {
    PARQUET: "a parquet file by its first bytes: rename it to end in .parquet",
    ARROW_FILE: "an Arrow file by its first bytes: rename it to end in .arrow",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet by its first bytes: unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet or a document of Office by its first bytes: save it as CSV",
    b"SQLite format 3": "an SQLite database by its first bytes: write its table as CSV",
    b"%PDF": "a PDF by its first bytes: save its texts as JSON Lines or CSV",
}
_BESIDE_RECORDS = re.compile(
    r"(dataset_infos?|dataset_dict|croissant)\.json"  # of `datasets` and of the hub
    r"|(licen[cs]e|readme|notice|requirements)\.txt"
)
_SAVED, _STATE = "dataset_info.json", "state.json"  # `datasets` saves the second beside the first
_SHOWN = 8  # of the names of skipped files
_TAR = slice(257, 262)  # where a tar archive says what it is
_ARRAY = re.compile(r'\[\s*\{\s*"[^"\n]*"\s*:')
_WEB_PAGE = re.compile(r"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)


class Records(NamedTuple):
    """What a file holds.

    Attributes:
        notes: how it was read, where that may surprise.
        rows: the records in order; an empty line is passed over.
    """

    notes: tuple[str, ...]
    rows: Iterator[Record]


def kind_of(name: str) -> str:
    """What a file's name says that it is: one of `KINDS`.

    Raises:
        BadTextFileError: it says nothing that can be read.
    """
    stem, _, end = name.lower().rpartition(".")
    kind = stem.rpartition(".")[2] if end in PACKED else end
    if kind not in KINDS:
        known = ", ".join(f".{one}" for one in KINDS)
        raise BadTextFileError(f" must end in {known}, or in one of them and .gz, .bz2, .xz or .zst")
    return kind


class OfFolder(NamedTuple):
    """What is in a folder, by the names of its files.

    Attributes:
        read: the files of records, in order.
        skipped: files that end as files of records do, and by their whole names are notes about them; in order.
    """

    read: list[str]
    skipped: list[str]

    @property
    def note(self) -> str:
        """What to say of the files that are skipped; empty where there are none."""
        if not self.skipped:
            return ""
        shown = ", ".join(self.skipped[:_SHOWN]) + (", …" if len(self.skipped) > _SHOWN else "")
        return f"files skipped by their names: {shown}"


def of_folder(names: Iterable[str]) -> OfFolder:
    """Which files are read where only their folder is named.

    Args:
        names: of all that is in it, with / between folders.
    """
    known = sorted(name for name in names if _is_known(name))
    saved = {name.removesuffix(_SAVED) for name in known if name.rpartition("/")[2] == _SAVED}
    found = OfFolder([], [])
    for name in known:
        last = name.rpartition("/")[2]
        beside = _BESIDE_RECORDS.fullmatch(last.lower()) or (last == _STATE and name.removesuffix(_STATE) in saved)
        (found.skipped if beside else found.read).append(name)
    return found


def _is_known(name: str) -> bool:
    try:
        kind_of(name)
    except BadTextFileError:
        return False
    return True


class _Unpacked(io.RawIOBase):
    """What is in a packed file; where it is truncated or damaged, this is reported as such."""

    def __init__(self, name: str, unpack: Callable[[BinaryIO], Any], file: BinaryIO) -> None:
        super().__init__()
        self._name, self._inner, self._file = name, unpack(file), file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
            ends = isinstance(error, EOFError) or "truncated" in str(error).lower()  # Arrow's words for Zstandard
            kind = "truncated" if ends else "damaged"
            raise BadTextFileError(f" is a {kind} {self._name} file ({error}): fetch or compress it again") from None
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        self._file.close()  # what unpacks leaves it open
        super().close()


def unpacked(opened: Open, zstandard: Unpack) -> tuple[Open, bool]:
    """How to open a file that may be packed, as its first bytes say, and whether it is.

    Args:
        opened: opens the file.
        zstandard: unpacks Zstandard.

    Raises:
        BadTextFileError: it is torn, empty, or a pointer to another file.
    """
    with opened() as file:
        head = file.read(8)
    again, packed = opened, False
    for mark, (name, unpack) in {**_UNPACK, ZSTANDARD: ("Zstandard", zstandard)}.items():
        if head.startswith(mark):
            again, packed = _opener(opened, name, unpack), True
            break
    with again() as file:
        head = file.read(_HEAD)
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        raise BadTextFileError(" is a Git LFS pointer and not the file itself: run `git lfs pull`")
    if len(head) < _HEAD and not head.strip():
        raise BadTextFileError(" is empty")
    if packed and head.startswith((*_UNPACK, ZSTANDARD)):
        raise BadTextFileError(" is compressed twice: decompress it once")
    if head[_TAR] == b"ustar":
        raise BadTextFileError(" is a tar archive: unpack it")
    return again, packed


def _opener(opened: Open, name: str, unpack: Callable[[BinaryIO], Any]) -> Open:
    return lambda: io.BufferedReader(_Unpacked(name, unpack, opened()), PIECE)


def read_records(kind: str, opened: Open) -> Records:
    """The records of a file of text.

    Args:
        kind: as in `kind_of`, but for parquet and Arrow.
        opened: opens it, unpacked.

    Raises:
        BadTextFileError: it is of another kind, or damaged; also while the records are read.
    """
    with opened() as file:
        head = file.read(_HEAD)
    for mark, other in _OTHERS.items():
        if head.startswith(mark):
            raise BadTextFileError(f" is {other}")
    encoding = _encoding(head)
    notes = ("read as UTF-16",) if encoding.startswith("utf-16") else ()
    stream, start = TextStream(opened, encoding), head.decode(encoding, errors="replace")
    if _WEB_PAGE.match(start):
        raise BadTextFileError(" is a web page: download the file itself, in its raw form")
    if kind in ("csv", "tsv", "txt"):
        _refuse_json(kind, start.lstrip())
    if kind == "txt":
        return Records((*notes, "read by line"), _texts(stream))
    if kind in ("csv", "tsv"):
        layout = textcsv.layout_of(start)
        if kind == "tsv":
            layout = layout._replace(delimiter="\t")
        elif layout.delimiter != ",":
            notes = (*notes, f"read with {textcsv.DELIMITERS[layout.delimiter]} between cells")
        return Records(notes, textcsv.rows(stream, layout))
    rows = textjson.array(stream) if start.lstrip()[:1] == "[" else textjson.lines(stream, kind)
    return Records(notes, rows)


def _encoding(head: bytes) -> str:
    known = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    if known is None and 0 in head[:2] and not is_damaged(head):
        # UTF-16 without a mark: one byte of an ASCII character is 0.
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return known or "utf-8"


def _refuse_json(kind: str, start: str) -> None:
    """Refuse what is JSON by another name; a text that begins with JSON is one, if more follows in its line."""
    line = start.partition("\n")[0].rstrip()
    try:
        whole = json.loads(line) if line[:1] in "{[" else None
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        raise BadTextFileError(" is JSON Lines by its first line: rename it to end in .jsonl")
    records = isinstance(whole, list) and any(isinstance(one, dict) for one in whole)
    if records or (_ARRAY.match(start) and (kind != "txt" or line in ("[", "[{"))):
        raise BadTextFileError(" is JSON by its first line: rename it to end in .json")


def _texts(stream: TextStream) -> Iterator[Record]:
    for number, line in enumerate(stream.lines(), start=1):
        place = f"line {number}"
        if line is None:
            yield Record(place, {}, TOO_LONG)
        else:
            yield Record(place, {TEXT_COLUMN: line.removesuffix("\n")})
