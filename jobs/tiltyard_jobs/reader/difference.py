"""Where two answers differ: word by word where they are short enough, else line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_MOST = 1_500  # words or lines of each answer: the time is quadratic
_PIECES = re.compile(r"\s*\S+|\s+")


class Piece(NamedTuple):
    """A run of text; `own`: only this answer has it."""

    text: str
    own: bool


class Difference(NamedTuple):
    """Two texts in pieces."""

    a: Sequence[Piece]
    b: Sequence[Piece]


def difference(a: str, b: str) -> Difference | None:
    """Two texts in pieces; None where they are too long to be compared."""
    for split in (_PIECES.findall, lambda text: text.splitlines(keepends=True)):
        left, right = split(a), split(b)
        if len(left) <= _MOST and len(right) <= _MOST:
            return _pieces(left, right)
    return None


def _pieces(left: list[str], right: list[str]) -> Difference:
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for kind, *ends in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        for words, found, (start, stop) in zip((left, right), pieces, (ends[:2], ends[2:]), strict=True):
            if start < stop:
                found.append(Piece("".join(words[start:stop]), kind != "equal"))
    return Difference(*pieces)
