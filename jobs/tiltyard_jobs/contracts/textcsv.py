"""CSV with any of the usual delimiters, a row at a time."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple

from tiltyard_jobs.contracts.textstream import LONGEST, TOO_LONG, BadTextFileError, Record, TextStream

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
_SEPARATOR_LINE = re.compile(r"sep=([,;\t|])\r?\n", re.IGNORECASE)  # Excel's own
_BLANK_LINES = re.compile(r"([ \t]*[\r\n])*")
_LINE_END = re.compile(r"[\r\n]")


class Layout(NamedTuple):
    """How a file is written.

    Attributes:
        delimiter: what stands between the cells of the header, the most frequent of `DELIMITERS`.
        told: a line before the header says so.
    """

    delimiter: str
    told: bool = False


def layout_of(start: str) -> Layout:
    """What the first characters of a file show."""
    said = _SEPARATOR_LINE.match(start)
    if said is not None:
        return Layout(said[1], told=True)
    header = _LINE_END.split(re.sub(r'"[^"]*"', "", _BLANK_LINES.sub("", start, count=1)), maxsplit=1)[0]
    return Layout(max(DELIMITERS, key=header.count))  # the first of equals: a comma


def header_advice(kind: str, names: list[str]) -> str:
    """What to do about a header that has not the name that is looked for."""
    if kind == "tsv" and len(names) == 1 and any(delimiter in names[0] for delimiter in DELIMITERS):
        return "; there is no tab between them: rename it to end in .csv"
    return "; if these are not names, put a line with the names of the columns before it"


def rows(stream: TextStream, layout: Layout) -> Iterator[Record]:
    """The records below the header, the first line that is not blank.

    A spreadsheet writes empty cells after the last name and below it. A text there is the rest of one that was cut.

    Raises:
        BadTextFileError: the header names a column twice, or quotes are open.
    """
    csv.field_size_limit(LONGEST)
    delimiter = layout.delimiter
    # Line breaks inside quotes stay as they are.
    lines = _lines(stream)
    if layout.told:
        next(lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    widest = 0  # cells of a row with those that no name of the header is over
    line = before = 1 + layout.told
    try:
        for row in reader:
            place, line = f"line {line}", reader.line_num + before
            if not header:
                header, widest = row[: _filled(row)], len(row)
                if twice := [name for number, name in enumerate(header) if name.strip() and name in header[:number]]:
                    raise BadTextFileError(f": {place} names two columns {twice[0]!r}: give each a name of its own")
                continue
            if len(header) <= len(row) <= widest and _filled(row) <= len(header):
                yield Record(place, dict(zip(header, row, strict=False)))
            elif "".join(row).strip() or len(row) > 1:  # else an empty line
                yield Record(place, {}, _other_cells(row, header, delimiter))
    except csv.Error as error:
        if str(error).startswith("field larger than"):
            sentence = f": line {line} has a cell of more than {LONGEST >> 20} Mi characters: a quote may be open there"
            raise BadTextFileError(sentence) from None
        raise BadTextFileError(
            f": line {line} is not CSV: {error}; put a text with quotes or line breaks into quotes"
        ) from None


def _filled(row: list[str]) -> int:
    """How many cells there are up to the last one with a text."""
    return max((number for number, cell in enumerate(row, start=1) if cell.strip()), default=0)


def _lines(stream: TextStream) -> Iterator[str]:
    for number, line in enumerate(stream.lines(newline=""), start=1):
        if line is None:
            raise BadTextFileError(f": line {number} {TOO_LONG}")
        yield line


def _other_cells(row: list[str], header: list[str], delimiter: str) -> str:
    cells, names = len(row), ", ".join(header[:8]) + (", …" if len(header) > 8 else "")
    if cells < len(header):
        advice = "write an empty cell for each that is missing, and put a text with line breaks into double quotes"
    elif any(cell.strip() for cell in row[len(header) :]):
        advice = f"put a text with {DELIMITERS[delimiter]} in it into double quotes"
    else:
        advice = f"take {DELIMITERS[delimiter]} off its end"
    return f"has {cells} {'cell' if cells == 1 else 'cells'}, but the header has {len(header)} ({names}): {advice}"
