"""How long something takes, in words for people."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`: what is estimated, or read while it grows.

    The report's `duration` is for what was measured, and says it to the second.
    """
    if (whole := round(seconds)) < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
