"""How an interval is written, wherever people read one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class IntervalWords(NamedTuple):
    """What stands before, or between, the ends."""

    least: str
    most: str
    between: str


IN_WORDS = IntervalWords("at least", "at most", "to")
IN_SIGNS = IntervalWords("≥", "≤", "…")
"""For tables on a terminal."""


def interval_text(
    low: float | None, high: float | None, number: Callable[[float], str], words: IntervalWords = IN_WORDS
) -> str:
    """An interval; an end that is None is open, and nothing is said where both are.

    Args:
        low: the lower end.
        high: the upper end.
        number: writes an end.
        words: in which it is written.
    """
    if low is None:
        return "" if high is None else f"{words.most} {number(high)}"
    return f"{words.least} {number(low)}" if high is None else f"{number(low)} {words.between} {number(high)}"
