"""How sure a score is: Wilson's interval for one model, and the paired difference of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

Z = 1.959963984540054  # 95 %, two-sided


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

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


def paired_difference(before: Sequence[bool], after: Sequence[bool]) -> Estimate:
    """How much the share rose from `before` to `after`, on the same tasks, in [-1, 1].

    The tasks that changed alone tell of the difference. Newcombe's interval for paired proportions (Newcombe 1998,
    method 10), which holds at the edges, where a normal approximation does not.

    Args:
        before: whether each task passed.
        after: the same tasks, in the same order.

    Raises:
        ValueError: there is no task, or not the same number of them.
    """
    if len(before) != len(after) or not before:
        raise ValueError(f"{len(before)} and {len(after)} tasks")
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
