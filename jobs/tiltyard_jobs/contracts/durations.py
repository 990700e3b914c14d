"""How long something takes, in words for people."""

from __future__ import annotations


def seconds_left(done: int, total: int, rate: float | None) -> float | None:
    """How long the rest takes at a rate, a second at least; None: nothing is left, or there is no rate.

    Args:
        done: records.
        total: records.
        rate: records per second.
    """
    return max(1.0, (total - done) / rate) if rate and total > done else None


def duration_text(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 20 min`: what is estimated, or read while it grows.

    The report's `duration` is for what was measured, and says it to the second.
    """
    if (whole := round(seconds)) < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"
