"""JSON Lines and JSON arrays, a record at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tiltyard_jobs.contracts.textfield import AS_ARRAY
from tiltyard_jobs.contracts.textstream import LONGEST, TEXT_COLUMN, TOO_LONG, BadTextFileError, Record, TextStream

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BLANK = re.compile(r"[ \t\n\r]*")
_CUT = ("Unterminated string", "Invalid \\")  # what the end of a piece may look like, wherever it is said to be
_NEAR = 16  # characters before that end in which anything else may be cut


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"is not JSON: {name} is not a number in JSON; write null")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"is not JSON: it names {twice!r} twice; give each a name of its own")
    return found


def _whole_number(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python reads no more digits than some
        count = len(digits.lstrip("-"))
        raise ValueError(f"has a number of {count:,} digits: put it in quotes, as text, or leave it out") from None


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_whole_number, object_pairs_hook=_distinct)


def lines(stream: TextStream, kind: str) -> Iterator[Record]:
    """The records of JSON Lines.

    Args:
        stream: the file.
        kind: what its name says.

    Raises:
        BadTextFileError: its first line shows that it is of another kind.
    """
    for number, line in enumerate(stream.lines(), start=1):
        place = f"line {number}"
        if line is None:
            yield Record(place, {}, TOO_LONG)
            continue
        line = line.removeprefix("\ufeff")  # files with a byte order mark were joined
        if not line.strip():
            continue
        try:
            row = _DECODER.decode(line)
        except RecursionError:
            yield Record(place, {}, "is nested too deeply")
        except json.JSONDecodeError as error:
            if number == 1:
                _refuse_kind(line, kind, error)
            yield Record(place, {}, _no_json(line, error))
        except ValueError as error:
            yield Record(place, {}, str(error))
        else:
            yield _record(place, row, suspect=_ESCAPED_SURROGATE.search(line) is not None)


def _refuse_kind(line: str, kind: str, error: json.JSONDecodeError) -> None:
    """Refuse a file whose first line shows that it is of another kind."""
    if line.strip() == "{":
        advice = "write one record in each line (`jq -c . FILE > list.jsonl` does), or put the records into one array"
        raise BadTextFileError(
            f" has a JSON object over several lines: {advice} ({AS_ARRAY} does where they have names)"
        )
    if kind != "json" and not line.lstrip().startswith(("{", *_COMMENTS)):
        raise BadTextFileError(f": line 1 is not JSON: {error.msg}; a CSV file must end in .csv")


_COMMENTS = ("#", "//", "/*")
_NO_COMMENTS = "is a comment, which JSON does not have: leave it out"
_WORDS_CUT = {word[:end] for word in ("true", "false", "null", "-") for end in range(len(word))} | {"-"}


def _no_json(line: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a line."""
    rest = line[error.pos :].strip()
    if error.msg == "Extra data":
        return (
            "ends in a comma: leave it out" if rest == "," else "holds more than one record: write each in its own line"
        )
    open_text = error.msg.startswith(("Unterminated string", "Invalid \\uXXXX escape"))
    what = error.msg.removesuffix(" at")
    if not line.endswith("\n") and (open_text or rest in _WORDS_CUT):  # of the last line
        return f"is not JSON: {what} at character {error.colno} (the file is truncated there)"
    if line.lstrip().startswith(_COMMENTS):
        return _NO_COMMENTS
    if _is_comma_before(line, error.pos):
        return f"has a comma before {line[error.pos]} at character {error.colno}: leave it out"
    if not line.lstrip().startswith(("{", "[", '"')):
        return "is not JSON: a record begins with {, and this may be the rest of one: write each record in one line"
    if error.msg.startswith("Invalid control character"):
        return f"has a line break or another control character in a text, at character {error.colno}: write \\n for it"
    return f"is not JSON: {what} at character {error.colno}"


def _is_comma_before(text: str, end: int) -> bool:
    """Whether a list or an object goes on with a comma and ends."""
    return text[end : end + 1] in ("}", "]") and text[:end].rstrip().endswith(",")


def _record(place: str, row: object, *, suspect: bool) -> Record:
    if isinstance(row, str):
        row = {TEXT_COLUMN: row}
    if not isinstance(row, dict):
        return Record(place, {}, "is not a JSON object")
    if suspect and _SURROGATE.search(json.dumps(row, ensure_ascii=False)):
        return Record(place, {}, "has half of a character (a lone surrogate): the text was cut; write it again")
    return Record(place, row)


def array(stream: TextStream) -> Iterator[Record]:
    """The records of a JSON array.

    Raises:
        BadTextFileError: it is not JSON.
    """
    window = _Window(stream)
    window.next()  # it is a bracket
    window.place += 1
    number = 0
    while (character := window.next()) != "]":
        if number:
            if character != ",":
                raise window.error("Expecting ',' delimiter")
            window.place += 1
            window.next()
        number += 1
        value, suspect = window.value(number)
        yield _record(f"record {number}", value, suspect=suspect)
    window.place += 1
    if window.next():
        raise window.error("Extra data")


class _Window:
    """What was read of an array and is not used yet: as much as one record needs."""

    def __init__(self, stream: TextStream) -> None:
        self._pieces, self._text, self._line = stream.pieces(), "", 1
        self.place = 0

    def _more(self) -> bool:
        piece = next(self._pieces, "")
        if piece:
            self._line += self._text.count("\n", 0, self.place)
            self._text, self.place = self._text[self.place :] + piece, 0
        return bool(piece)

    def next(self) -> str:
        """Go to the next character that is not blank; empty at the end of the file."""
        while True:
            found = _BLANK.match(self._text, self.place)
            assert found is not None, "it matches nothing at all, too"
            self.place = found.end()
            if self.place < len(self._text):
                return self._text[self.place]
            if not self._more():
                return ""

    def value(self, number: int) -> tuple[object, bool]:
        """The value that begins here, and whether half a character may be in it."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self.place)
            except RecursionError:
                raise BadTextFileError(f": record {number} is nested too deeply") from None
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _NEAR or error.msg.startswith(_CUT)
                if cut and self._grown(number):
                    continue
                self.place = error.pos
                raise self.error(error.msg) from None
            except ValueError as error:
                raise BadTextFileError(f": record {number} {error}") from None
            if end < len(self._text) or not self._more():  # a number at the end of a piece may go on
                suspect = _ESCAPED_SURROGATE.search(self._text, self.place, end) is not None
                self.place = end
                return value, suspect

    def _grown(self, number: int) -> bool:
        """Whether there was more; twice as much at least, so that a long record is not read often."""
        before = len(self._text) - self.place
        if before > LONGEST:
            raise BadTextFileError(f": record {number} {TOO_LONG}")
        grown = False
        while len(self._text) - self.place < 2 * before and self._more():
            grown = True
        return grown

    def error(self, what: str) -> BadTextFileError:
        """What is wrong here."""
        line = self._line + self._text.count("\n", 0, self.place)
        if _is_comma_before(self._text, self.place):
            return BadTextFileError(f": line {line} has a comma before {self._text[self.place]}: leave it out")
        if self._text.startswith(_COMMENTS, self.place):
            return BadTextFileError(f": line {line} {_NO_COMMENTS}")
        ending = "" if self._text[self.place :].strip() else " (the file is truncated there)"
        return BadTextFileError(f": line {line} is not JSON: {what}{ending}")
