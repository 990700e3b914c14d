"""Words that programs write and people read, each with its meaning."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Described(StrEnum):
    """A set of words; a member is its word, and has a meaning: Markdown for a table of the documents.

    Attributes:
        meaning: a phrase without a full stop.
    """

    _value_: str
    meaning: str

    def __new__(cls, word: str, meaning: str = "") -> Self:
        """A member from its word and its meaning; where there is a member of this word already, the word finds it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member
