"""What documentation writes where a secret or somebody's data would stand."""

from __future__ import annotations

import re
from itertools import pairwise

PLACEHOLDER_WORDS = ("example", "your", "placeholder", "dummy", "sample", "fake", "changeme")
_REPEATED = re.compile(r"(.)\1{4}")
_RUN = 6


def is_placeholder(found: str) -> bool:
    """Whether it is what documentation writes: a word that says so, one character again and again, or 123456."""
    lower = found.lower()
    return any(word in lower for word in PLACEHOLDER_WORDS) or _REPEATED.search(lower) is not None or _has_run(lower)


def _has_run(text: str) -> bool:
    """Whether characters follow one another as in 123456 or abcdef; separators between them do not count."""
    codes = [ord(character) for character in text if character.isalnum()]
    length = 1
    for before, after in pairwise(codes):
        length = length + 1 if after == before + 1 else 1
        if length == _RUN:
            return True
    return False
