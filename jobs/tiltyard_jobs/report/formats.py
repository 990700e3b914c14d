"""Text of the page: numbers for people, words of models and users, counts by name.

A number that is missing, or is none at all, is a dash. Words are bounded, and without characters that hide or reorder
other text (`contracts.hiding`): escaping is the template's work. Tables of counts are of bounded size whatever the
names are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tiltyard_jobs.contracts.hiding import unhidden
from tiltyard_jobs.contracts.intervals import interval_text
from tiltyard_jobs.contracts.recipes import RECIPES

DASH = "–"
_MINUS = "\u2212"
_SPACE = "\u00a0"  # keeps a number and its unit on one line

LABEL = 80
"""Characters of a name or a reason; more are cut."""

OTHER = "other"

STAGE_ORDER = tuple(RECIPES)


def _usable(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _signed(text: str) -> str:
    """A real minus sign, and no minus before a zero."""
    if not text.startswith("-"):
        return text
    return text[1:] if not text.strip("-0.,") else _MINUS + text[1:]


def count(value: float | None) -> str:
    """A whole number with its thousands apart: 81,250,000."""
    return _signed(f"{value:,.0f}") if value is not None and _usable(value) else DASH


def compact(value: float) -> str:
    """A count in at most five characters: 950, 12.3k, 4.0M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            short = value / size
            return f"{short:.1f}{unit}" if short < 100 else f"{short:.0f}{unit}"
    return f"{value:.0f}"


def points(value: float | None) -> str:
    """A rating: whole points."""
    return _signed(f"{value:.0f}") if value is not None and _usable(value) else DASH


def within(low: float | None, high: float | None) -> str:
    """An interval of ratings; an end that is None is open."""
    return interval_text(low, high, points) or DASH


def decimal(value: float | None, digits: int = 2, *, plus: bool = False) -> str:
    """A number with a fixed number of digits; `plus` puts a sign before positive ones."""
    if value is None or not _usable(value):
        return DASH
    text = _signed(f"{value:.{digits}f}")
    return f"+{text}" if plus and value > 0 and text.strip("0.") else text


def percent(value: float | None, digits: int = 0) -> str:
    """A share of one, as a percentage; a share that is not 0 or 1 is never rounded to it."""
    if value is None or not _usable(value):
        return DASH
    least = 10.0**-digits
    if 0 < value * 100 < least / 2:
        return f"<{_SPACE}{least:.{digits}f}%"
    if 100 - least / 2 < value * 100 < 100:
        return f">{_SPACE}{100 - least:.{digits}f}%"
    return f"{_signed(f'{value * 100:.{digits}f}')}%"


def share(part: float, whole: float, digits: int = 0) -> str:
    """`part` of `whole` as a percentage; a dash where there is no whole."""
    return percent(part / whole if whole else None, digits)


def duration(seconds: float) -> str:
    """Wall time in its two largest units: 2 h 05 min, 3 min 20 s, 4.2 s.

    What is estimated, or read while it grows, is said by `contracts.durations` in fewer digits.
    """
    if round(seconds, 1) < 60:
        return f"{seconds:.1f}{_SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{_SPACE}min {whole % 60:02d}{_SPACE}s"
    return f"{whole // 3600:,}{_SPACE}h {whole % 3600 // 60:02d}{_SPACE}min"


def size(octets: int) -> str:
    """Bytes, with a unit of the table of 1,000."""
    value = float(octets)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f}{_SPACE}{unit}" if unit == "B" or value >= 100 else f"{value:.1f}{_SPACE}{unit}"
        value /= 1000
    return f"{value:.1f}{_SPACE}TB"


class Excerpt(NamedTuple):
    """The beginning of a text, and how many characters follow it."""

    text: str
    omitted: int


def visible(text: str, limit: int = LABEL) -> str:
    """`text` in at most `limit` characters, hiding ones shown by their number; an ellipsis where it is cut."""
    shown = unhidden(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def excerpt(text: str, limit: int) -> Excerpt:
    """The first `limit` characters, for a reader."""
    return Excerpt(unhidden(text[:limit]), max(0, len(text) - limit))


def by_stage(name: str) -> tuple[int, str]:
    """A sort key: stages in the order in which they run, unknown ones last."""
    return (STAGE_ORDER.index(name) if name in STAGE_ORDER else len(STAGE_ORDER), name)


def leading(rows: Iterable[Mapping[str, int]], limit: int) -> tuple[str, ...]:
    """The names with the largest sums over all rows, largest first (by name where equal), at most `limit`."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update(row)
    return tuple(sorted((name for name in sums if sums[name]), key=lambda name: (-sums[name], name))[:limit])


def folded(row: Mapping[str, int], names: Sequence[str]) -> tuple[tuple[int, ...], int]:
    """The row's values for these names, and the sum of what has another name."""
    chosen = tuple(row.get(name, 0) for name in names)
    return chosen, sum(row.values()) - sum(chosen)
