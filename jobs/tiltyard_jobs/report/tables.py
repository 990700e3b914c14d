"""Tables of counts by two names, of bounded size whatever the names are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tiltyard_jobs.contracts.recipes import RECIPES

OTHER = "other"

STAGE_ORDER = tuple(RECIPES)


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
