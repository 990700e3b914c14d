"""Seeded draws: the same parts give the same draws, in any process and on any Python from 3.11."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """A stream of draws that follows from `parts` alone.

    Only `random.Random.random()` is used, whose sequence Python promises to keep; choices and normal draws are made
    from it here, as the library's own may change between versions.

    Args:
        parts: what the stream depends on, in order.
    """

    __slots__ = ("unit",)

    def __init__(self, *parts: str | int | float | None) -> None:
        text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        self.unit = random.Random(seed).random  # noqa: S311 (reproducible draws, no secrets)

    def below(self, bound: int) -> int:
        """A whole number in [0, bound)."""
        return int(self.unit() * bound)

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.unit() * len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """One of the items, in proportion to its weight."""
        mark = self.unit() * math.fsum(weights)
        for item, weight in zip(items, weights, strict=True):
            mark -= weight
            if mark < 0:
                return item
        return items[-1]

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` different items (all of them where there are fewer), in random order."""
        pool = list(items)
        count = min(count, len(pool))
        for place in range(count):
            other = place + self.below(len(pool) - place)
            pool[place], pool[other] = pool[other], pool[place]
        return pool[:count]

    def normal(self, deviation: float) -> float:
        """A normal draw with mean 0 (Box-Muller, one of the pair)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.unit()))
        return deviation * radius * math.cos(math.tau * self.unit())

    def share_of(self, count: int, share: float) -> int:
        """About `share` of `count`, rounded up or down so that the mean is right."""
        return min(count, max(0, math.floor(count * share + self.unit())))
