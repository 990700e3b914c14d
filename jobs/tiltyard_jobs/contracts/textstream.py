"""The text of a file as it streams by, and the records that are found in it."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

PIECE = 1 << 18
"""Bytes or characters that are read at once."""
TEXT_COLUMN = "prompt"
"""The column of a text that stands alone: a line of text, or a string where JSON has an object."""
LONGEST = 16 << 20
"""Characters of a line, a record or a cell, at most: what is in memory at a time is bounded by it."""
TOO_LONG = f"is longer than {LONGEST >> 20} Mi characters: shorten it, or write each record in a line of its own"

Open = Callable[[], BinaryIO]
"""Opens a file again, at its start."""


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


class TextStream:
    """The characters of a file, checked as they are read.

    Args:
        opened: opens the unpacked file.
        encoding: Python's name for it.
    """

    def __init__(self, opened: Open, encoding: str) -> None:
        self._open, self._encoding = opened, encoding

    def lines(self, newline: str | None = None) -> Iterator[str | None]:
        """The lines with their ends; None for one that is too long.

        Args:
            newline: as in `open`.

        Raises:
            BadTextFileError: a line is not in the encoding, or holds a NUL byte.
        """
        number = 0
        with io.TextIOWrapper(self._open(), self._encoding, newline=newline) as text:
            while line := self._read(text.readline, LONGEST + 1):
                number += 1
                _refuse_nul(line, number)
                if len(line) <= LONGEST:
                    yield line
                    continue
                while line and line[-1] not in "\r\n":
                    line = self._read(text.readline, PIECE)
                yield None

    def pieces(self, size: int = PIECE) -> Iterator[str]:
        """The same, some characters at a time."""
        number = 1
        with io.TextIOWrapper(self._open(), self._encoding) as text:
            while piece := self._read(text.read, size):
                _refuse_nul(piece, number)
                number += piece.count("\n")
                yield piece

    def _read(self, read: Callable[[int], str], size: int) -> str:
        try:
            return read(size)
        except UnicodeDecodeError:
            raise self._undecodable() from None

    def _undecodable(self) -> BadTextFileError:
        """Where the file cannot be decoded, found by reading it once more."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        line = 1
        with self._open() as file:
            while True:
                data = file.read(PIECE)
                try:
                    line += decoder.decode(data, final=not data).count("\n")
                except UnicodeDecodeError as error:
                    name = "UTF-16" if self._encoding.startswith("utf-16") else "UTF-8"
                    line += error.object.count(b"\n", 0, error.start)
                    return BadTextFileError(f": line {line} is not {name} ({error.reason}): save the file as UTF-8")
                if not data:
                    return BadTextFileError(" changed while it was read: try again")


def is_damaged(head: bytes) -> bool:
    """Whether the first bytes are text in UTF-8 with NUL bytes in it: in UTF-16 more are 0, or other bytes are none."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return 3 * head.count(0) <= len(head) and not any(
        character < " " and character not in "\0\t\r\n" for character in text
    )


def _refuse_nul(text: str, line: int) -> None:
    if (place := text.find("\0")) >= 0:
        line += text.count("\n", 0, place)
        raise BadTextFileError(
            f": line {line} holds a NUL byte: the file is damaged, or not text; write it again as UTF-8"
        )
