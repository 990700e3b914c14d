"""Numbers for people. What is missing, or no number at all, is a dash."""

from __future__ import annotations

import math

DASH = "–"
_MINUS = "\u2212"
_SPACE = "\u00a0"  # keeps a number and its unit on one line


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
        return f"<{_SPACE}{least:.{digits}f}{_SPACE}%"
    if 100 - least / 2 < value * 100 < 100:
        return f">{_SPACE}{100 - least:.{digits}f}{_SPACE}%"
    return f"{_signed(f'{value * 100:.{digits}f}')}{_SPACE}%"


def share(part: float, whole: float, digits: int = 0) -> str:
    """`part` of `whole` as a percentage; a dash where there is no whole."""
    return percent(part / whole if whole else None, digits)


def duration(seconds: float) -> str:
    """Wall time in its two largest units: 2 h 05 min, 3 min 20 s, 4.2 s."""
    if seconds < 60:
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
