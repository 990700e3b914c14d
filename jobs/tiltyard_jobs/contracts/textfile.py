"""Files of records that people bring, from their bytes: JSON Lines, a JSON array, CSV or text by line, packed or not.

The one place that knows how such a file is written; what is in its columns is for `usertexts` to say. Parquet and Arrow
are not text: whoever reads them needs a library for it. Nothing is guessed that could cut a text: what
is not as it should be is refused, with its line and what to do.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

ARROW = ("arrow", "feather")
KINDS = ("jsonl", "ndjson", "json", "csv", "tsv", "txt", "parquet", *ARROW)
PACKED = ("gz", "bz2", "xz", "zst")
ZSTANDARD = b"\x28\xb5\x2f\xfd"
PARQUET, ARROW_FILE = b"PAR1", b"ARROW1"
TEXT_COLUMN = "prompt"
"""The column of a text that stands alone: a line of text, or a string where JSON has an object."""

_UNPACK: Mapping[bytes, tuple[str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", gzip.decompress),
    b"BZh": ("bzip2", bz2.decompress),
    b"\xfd7zXZ\x00": ("xz", lzma.decompress),
}
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_HEAD = 1 << 20  # bytes in which a file shows what it is
_LONGEST_CELL = 2**31 - 1
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n")  # Excel's own
_OTHERS = {
    PARQUET: "a parquet file by its first bytes: let its name end in .parquet",
    ARROW_FILE: "an Arrow file by its first bytes: let its name end in .arrow",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet by its first bytes: unpack it, or save it as CSV",
    b"%PDF": "a PDF by its first bytes: save its texts as JSON Lines or CSV",
}
_WEB_PAGE = re.compile(r"\s*<(!doctype\s+html|html)\b", re.IGNORECASE)


class BadTextFileError(ValueError):
    """A file is not what it should be; the sentence goes on from the file's name."""


class Record(NamedTuple):
    """One record.

    Attributes:
        place: where it stands, for people: `line 3`.
        row: its columns.
        bad: what is wrong with it, going on from its place; None: nothing.
    """

    place: str
    row: dict[str, Any]
    bad: str | None = None


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


def unpack(data: bytes, zstandard: Callable[[bytes], bytes]) -> bytes:
    """The bytes of a file that may be packed, as its first bytes say.

    Args:
        data: the file.
        zstandard: unpacks Zstandard; raises ValueError or OSError.

    Raises:
        BadTextFileError: it is torn, empty, or a pointer to another file.
    """
    for mark, (name, unpacked) in {**_UNPACK, ZSTANDARD: ("Zstandard", zstandard)}.items():
        if data.startswith(mark):
            try:
                data = unpacked(data)
            except (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise BadTextFileError(f" is a torn {name} file ({error}): fetch or pack it again") from None
            break
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        raise BadTextFileError(" is a Git LFS pointer and not the file itself: run `git lfs pull`")
    if not data.strip():
        raise BadTextFileError(" is empty")
    return data


def read_records(kind: str, data: bytes) -> Records:
    """The records of a file of text.

    Args:
        kind: as in `kind_of`, but for parquet and Arrow.
        data: unpacked.

    Raises:
        BadTextFileError: it is of another kind, or damaged; also while the records are read.
    """
    for mark, other in _OTHERS.items():
        if data.startswith(mark):
            raise BadTextFileError(f" is {other}")
    data, notes = _utf8(data)
    head = data[:_HEAD].decode(errors="replace")
    if _WEB_PAGE.match(head):
        raise BadTextFileError(" is a web page: download the file itself, in its raw form")
    if kind in ("csv", "tsv", "txt") and _is_object(head.lstrip().partition("\n")[0]):
        raise BadTextFileError(" is JSON Lines by its first line: let its name end in .jsonl")
    if kind == "txt":
        return Records((*notes, "read by line"), _decoded(data, _texts(data)))
    if kind in ("csv", "tsv"):
        delimiter, start = _delimiter(head)
        if kind == "tsv":
            delimiter = "\t"
        elif delimiter != ",":
            notes = (*notes, f"read with {_DELIMITERS[delimiter]} between cells")
        return Records(notes, _decoded(data, _cells(data, delimiter, start)))
    return Records(notes, _decoded(data, _array(data) if head.lstrip()[:1] == "[" else _lines(data, kind)))


def _utf8(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A text as UTF-8 without a mark, and how it was written where that may surprise."""
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and 0 in data[:2]:  # UTF-16 without a mark: one byte of an ASCII character is 0
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    if encoding == "utf-8-sig":
        data = data[3:]
    elif encoding != "utf-8":
        try:
            data = data.decode(encoding).encode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise BadTextFileError(f": line {line} is not UTF-16 ({error.reason}): save the file as UTF-8") from None
    if (place := data.find(0)) >= 0:
        line = data.count(b"\n", 0, place) + 1
        raise BadTextFileError(f": line {line} holds a NUL byte: the file is damaged, or not text")
    return data, (("read as UTF-16",) if encoding.startswith("utf-16") else ())


def _opened(data: bytes, newline: str | None, start: int = 0) -> io.TextIOWrapper:
    """A text, decoded bit by bit."""
    raw = io.BytesIO(data)
    raw.seek(start)
    return io.TextIOWrapper(raw, encoding="utf-8", newline=newline)


def _decoded(data: bytes, rows: Iterator[Record]) -> Iterator[Record]:
    try:
        yield from rows
    except UnicodeDecodeError:
        try:
            data.decode()
        except UnicodeDecodeError as error:  # with its place in the whole file
            line = data.count(b"\n", 0, error.start) + 1
            raise BadTextFileError(f": line {line} is not UTF-8 ({error.reason}): save the file as UTF-8") from None
        raise


def _is_object(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _texts(data: bytes) -> Iterator[Record]:
    for number, line in enumerate(_opened(data, None), start=1):
        yield Record(f"line {number}", {TEXT_COLUMN: line.removesuffix("\n")})


def _array(data: bytes) -> Iterator[Record]:
    text = data.decode()
    try:
        rows = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
    except RecursionError:
        raise BadTextFileError(" is nested too deeply") from None
    except json.JSONDecodeError as error:
        torn = " (the file ends there: it is torn)" if not text[error.pos :].strip() else ""
        raise BadTextFileError(f": line {error.lineno} is not JSON: {error.msg}{torn}") from None
    except ValueError as error:
        raise BadTextFileError(f" is not JSON: {error}") from None
    suspect = _ESCAPED_SURROGATE.search(text) is not None
    for number, row in enumerate(rows, start=1):
        yield _record(f"record {number}", row, suspect=suspect)


def _lines(data: bytes, kind: str) -> Iterator[Record]:
    for number, line in enumerate(_opened(data, None), start=1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            row = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_distinct)
        except RecursionError:
            yield Record(place, {}, "is nested too deeply")
        except json.JSONDecodeError as error:
            if number == 1:
                _refuse_kind(line, kind, error)
            yield Record(place, {}, _no_json(line, error))
        except ValueError as error:
            yield Record(place, {}, f"is not JSON: {error}")
        else:
            yield _record(place, row, suspect=_ESCAPED_SURROGATE.search(line) is not None)


def _refuse_kind(line: str, kind: str, error: json.JSONDecodeError) -> None:
    """Refuse a file whose first line shows that it is of another kind."""
    if line.strip() == "{":
        advice = "write one record in each line, or put the records into one array: [{…}, {…}]"
        raise BadTextFileError(f" is one JSON object over several lines: {advice}")
    if kind != "json" and not line.lstrip().startswith("{"):
        raise BadTextFileError(f": line 1 is not JSON: {error.msg}; let the name of a CSV file end in .csv")


def _no_json(line: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a line."""
    rest = line[error.pos :].strip()
    if error.msg == "Extra data":
        return (
            "ends in a comma: leave it out" if rest == "," else "holds more than one record: write each in its own line"
        )
    if not line.endswith("\n") and not rest:  # of the last line
        return f"is not JSON: {error.msg} at character {error.colno} (the file ends there: it is torn)"
    if error.msg.startswith("Invalid control character"):
        return f"has a line break or another control character in a text, at character {error.colno}: write \\n for it"
    return f"is not JSON: {error.msg} at character {error.colno}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number that JSON has; write null")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"it names {twice!r} twice; give each a name of its own")
    return found


def _record(place: str, row: object, *, suspect: bool) -> Record:
    if isinstance(row, str):
        row = {TEXT_COLUMN: row}
    if not isinstance(row, dict):
        return Record(place, {}, "is not a JSON object")
    if suspect and _SURROGATE.search(json.dumps(row, ensure_ascii=False)):
        return Record(place, {}, "has half of a character (a lone surrogate): the text was cut; write it again")
    return Record(place, row)


def _delimiter(text: str) -> tuple[str, int]:
    """What stands between the cells of the header, the most frequent of `_DELIMITERS`, and where the header begins."""
    said = _SEPARATOR_LINE.match(text)
    if said is not None:
        return said[1], said.end()
    header = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    return max(_DELIMITERS, key=header.count), 0  # the first of equals: a comma


def _cells(data: bytes, delimiter: str, start: int) -> Iterator[Record]:
    if csv.field_size_limit() < _LONGEST_CELL:
        csv.field_size_limit(_LONGEST_CELL)
    # Line breaks inside quotes stay as they are.
    reader = csv.reader(_opened(data, "", start), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = before = 1 + bool(start)
    try:
        for row in reader:
            place, line = f"line {line}", reader.line_num + before
            if header is None:
                header = row
                if twice := [name for number, name in enumerate(row) if name in row[:number]]:
                    raise BadTextFileError(f": {place} names two columns {twice[0]!r}: give each a name of its own")
                continue
            if len(row) == len(header):
                yield Record(place, dict(zip(header, row, strict=True)))
            elif "".join(row).strip() or len(row) > 1:  # else an empty line
                yield Record(place, {}, _other_cells(row, header, delimiter))
    except csv.Error as error:
        raise BadTextFileError(
            f": line {line} is not CSV: {error}; put a text with quotes or line breaks into quotes"
        ) from None


def _other_cells(row: list[str], header: list[str], delimiter: str) -> str:
    cells, names = len(row), ", ".join(header[:8]) + (", …" if len(header) > 8 else "")
    if cells < len(header):
        advice = "write an empty cell for each that is missing, and put a text with line breaks into double quotes"
    elif any(cell.strip() for cell in row[len(header) :]):
        advice = f"put a text with {_DELIMITERS[delimiter]} in it into double quotes"
    else:
        advice = f"take {_DELIMITERS[delimiter]} off its end"
    return f"has {cells} {'cell' if cells == 1 else 'cells'}, but the header has {len(header)} ({names}): {advice}"
