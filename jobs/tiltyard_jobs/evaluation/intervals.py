"""How sure a score is: the interval for one model, and for the difference of two on the same tasks.

Tasks that are passed or failed have intervals for proportions, which hold at the edges, where a normal approximation
does not. Other values have the normal one, by their standard error (Miller 2024, arXiv 2411.00640, sections 2 and 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.959963984540054  # 95%, two-sided


class Estimate(NamedTuple):
    """A number with its 95% interval."""

    value: float
    low: float
    high: float


def share(passed: int, count: int) -> Estimate:
    """The share of tasks that passed, in [0, 1], with Wilson's score interval (Wilson 1927).

    Raises:
        ValueError: there is no task.
    """
    if count < 1 or not 0 <= passed <= count:
        raise ValueError(f"{passed} of {count}")
    value, spread = passed / count, Z * Z / count
    middle = (value + spread / 2) / (1 + spread)
    half = Z * math.sqrt(value * (1 - value) / count + spread / (4 * count)) / (1 + spread)
    return Estimate(value, max(0.0, middle - half), min(1.0, middle + half))


def mean(values: Sequence[float]) -> Estimate:
    """The mean of values in [0, 1]; of those that are all 0 or 1, as `share`.

    Raises:
        ValueError: there is no value.
    """
    if all(value in (0.0, 1.0) for value in values):
        return share(sum(value == 1.0 for value in values), len(values))
    return _normal(values, 0.0)


def paired_difference(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """How much the mean rose from `before` to `after`, on the same tasks, in [-1, 1].

    The tasks that changed alone tell of the difference. Of values that are all 0 or 1: Newcombe's interval for paired
    proportions (Newcombe 1998, method 10).

    Args:
        before: what each task is worth, in [0, 1].
        after: the same tasks, in the same order.

    Raises:
        ValueError: there is no task, or not the same number of them.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} and {len(after)} tasks")
    if all(value in (0.0, 1.0) for value in (*before, *after)):
        return _newcombe([value == 1.0 for value in before], [value == 1.0 for value in after])
    return _normal([now - was for was, now in zip(before, after, strict=True)], -1.0)


def _normal(values: Sequence[float], lowest: float) -> Estimate:
    value = math.fsum(values) / len(values)
    variance = math.fsum((one - value) ** 2 for one in values) / max(1, len(values) - 1)
    half = Z * math.sqrt(variance / len(values))
    return Estimate(value, max(lowest, value - half), min(1.0, value + half))


def _newcombe(before: Sequence[bool], after: Sequence[bool]) -> Estimate:
    count = len(before)
    both = sum(b and a for b, a in zip(before, after, strict=True))
    gained = sum(a and not b for b, a in zip(before, after, strict=True))
    lost = sum(b and not a for b, a in zip(before, after, strict=True))
    neither = count - both - gained - lost
    first, second = share(both + gained, count), share(both + lost, count)
    product = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    phi = 0.0
    if product > 0:
        cross = float(both * neither - gained * lost)
        if cross > 0:  # method 10's continuity correction, for a positive association alone
            cross = max(cross - count / 2, 0.0)
        phi = cross / math.sqrt(product)
    up, down = first.high - first.value, first.value - first.low
    up_before, down_before = second.high - second.value, second.value - second.low
    value = (gained - lost) / count
    low = value - math.sqrt(max(0.0, down**2 - 2 * phi * down * up_before + up_before**2))
    high = value + math.sqrt(max(0.0, up**2 - 2 * phi * up * down_before + down_before**2))
    return Estimate(value, max(-1.0, low), min(1.0, high))
