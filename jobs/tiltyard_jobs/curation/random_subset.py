"""A random subset that hangs on the records alone: adding records does not reshuffle the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xxhash
from numpy.typing import NDArray


def random_subset(record_ids: Sequence[str], k: int, *, seed: int) -> NDArray[np.int64]:
    """Choose the k records whose ids have the smallest hashes under the seed (bottom-k sampling, Cohen 1997).

    A record's chance depends on its own id: a new record enters, or not, and then pushes out just one other.

    Args:
        record_ids: The ids of the n records, distinct.
        k: How many to choose; all where k is at least n.
        seed: 0 <= seed < 2**64.

    Returns:
        (min(k, n),) int64 positions, ascending.
    """
    if k < 0:
        raise ValueError(f"k must not be negative, not {k}")
    ranks = [(xxhash.xxh3_64_intdigest(record_id.encode(), seed=seed), record_id) for record_id in record_ids]
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return np.array(sorted(order[:k]), dtype=np.int64)
