"""MinHash signatures and their bands (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4).

Two sets agree in one permutation's minimum with probability J, their Jaccard similarity. Bands of r minima each become
one key; two texts are candidates where any of b keys agrees, with probability 1 - (1 - J^r)^b.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.shingles import ShingleSets, mix

RECALL_AT_THRESHOLD = 0.9
"""The least probability with which a pair exactly at the threshold is to become a candidate.

The usual choice (datasketch's, weighing false candidates as much as missed pairs) gives 0.55 at 0.5 with 128
permutations. Candidates are checked exactly here and a false one costs some 50 ns, so missed pairs weigh more. What is
found hangs on the permutations drawn too, the more so as texts share frequent words.
"""

_CHUNK = 1 << 13  # texts whose minima are held at once: bounds the memory
_CELLS = 1 << 15  # hashes permuted together: with the permutations of a band they stay in the second-level cache


class Bands(NamedTuple):
    """How a signature is cut: `number` bands of `rows` minima each."""

    number: int
    rows: int

    def candidate_probability(self, jaccard: float) -> float:
        """The probability that two sets of this similarity agree in at least one band."""
        return 1.0 - (1.0 - jaccard**self.rows) ** self.number


def choose_bands(threshold: float, permutations: int) -> Bands:
    """The cut with most rows (fewest false candidates) that finds pairs at the threshold as `RECALL_AT_THRESHOLD` asks.

    Of the bands only as many as that takes.

    Args:
        threshold: Jaccard similarity in (0, 1].
        permutations: The most minima that a signature may have, from 1. Some of them may stay unused.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"the threshold must lie in (0, 1], not {threshold}")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, not {permutations}")
    for rows in range(permutations, 0, -1):
        for number in range(1, permutations // rows + 1):
            bands = Bands(number, rows)
            if bands.candidate_probability(threshold) >= RECALL_AT_THRESHOLD:
                return bands
    return Bands(permutations, 1)


def band_keys(sets: ShingleSets, bands: Bands) -> NDArray[np.uint32]:
    """The band keys of each set: (bands.number, t) uint32.

    A permutation is h -> a h modulo 2^32 with odd a, over the low half of an already mixed hash: with such hashes the
    estimate of J has the spread of independent permutations (tested). Sets of like size stand as the columns of a
    matrix, so that numpy multiplies and takes minima in SIMD registers, a band at a time in the cache.
    """
    texts = sets.offsets.size - 1
    keys = np.empty((bands.number, texts), dtype=np.uint32)
    low = sets.hashes.astype(np.uint32)
    for start in range(0, texts, _CHUNK):
        offsets = sets.offsets[start : start + _CHUNK + 1]
        keys[:, start : start + _CHUNK] = _keys_of_chunk(low, offsets, bands)
    return keys


def _keys_of_chunk(hashes: NDArray[np.uint32], offsets: NDArray[np.int64], bands: Bands) -> NDArray[np.uint32]:
    sizes = np.diff(offsets)
    by_size = np.argsort(-sizes, kind="stable")
    minima = np.empty((bands.number, bands.rows, sizes.size), dtype=np.uint32)
    multipliers = _odd_numbers(bands.number * bands.rows).reshape(bands.number, bands.rows, 1)
    start = 0
    while start < by_size.size:
        longest = int(sizes[by_size[start]])
        columns = by_size[start : start + max(1, _CELLS // longest)]
        # A set shorter than the longest repeats its last hash, which leaves its minima as they are.
        places = np.minimum(np.arange(longest)[:, np.newaxis], sizes[columns] - 1) + offsets[columns]
        matrix = hashes[places].reshape(1, -1)
        permuted = np.empty((bands.rows, longest, columns.size), dtype=np.uint32)
        for band in range(bands.number):
            np.multiply(matrix, multipliers[band], out=permuted.reshape(bands.rows, -1))
            np.minimum.reduce(permuted, axis=1, out=minima[band, :, start : start + columns.size])
        start += columns.size
    keys = np.empty((bands.number, sizes.size), dtype=np.uint32)
    keys[:, by_size] = (minima * _odd_numbers(bands.rows)[:, np.newaxis]).sum(axis=1, dtype=np.uint32)
    return keys


@lru_cache(maxsize=8)
def _odd_numbers(count: int) -> NDArray[np.uint32]:
    """(count,) odd numbers; part of no artifact's format, but the same on every machine."""
    drawn = mix(mix(np.arange(1, count + 1, dtype=np.uint64))) >> np.uint64(32)
    return (drawn | np.uint64(1)).astype(np.uint32)
