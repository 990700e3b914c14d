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

RECALL_AT_THRESHOLD = 0.85
"""The least probability with which a pair exactly at the threshold is to become a candidate.

The usual choice (datasketch's, weighing false candidates as much as missed pairs) gives 0.55 at 0.5 with 128
permutations. Candidates are checked exactly here and a false one costs some 50 ns, so missed pairs weigh more.
"""

_CHUNK = 512  # texts whose hashes stay in the second-level cache while all permutations pass over them


class Bands(NamedTuple):
    """How a signature is cut: `number` bands of `rows` minima each."""

    number: int
    rows: int

    def candidate_probability(self, jaccard: float) -> float:
        """The probability that two sets of this similarity agree in at least one band."""
        return 1.0 - (1.0 - jaccard**self.rows) ** self.number


def choose_bands(threshold: float, permutations: int) -> Bands:
    """The cut with most rows (fewest false candidates) that finds pairs at the threshold as `RECALL_AT_THRESHOLD` asks.

    Args:
        threshold: Jaccard similarity in (0, 1].
        permutations: The most minima that a signature may have, from 1. Some of them may stay unused.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"the threshold must lie in (0, 1], not {threshold}")
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, not {permutations}")
    for rows in range(permutations, 1, -1):
        bands = Bands(permutations // rows, rows)
        if bands.candidate_probability(threshold) >= RECALL_AT_THRESHOLD:
            return bands
    return Bands(permutations, 1)


def band_keys(sets: ShingleSets, bands: Bands) -> NDArray[np.uint32]:
    """The band keys of each set: (bands.number, t) uint32.

    A permutation is h -> a h + b modulo 2^32 with odd a, over the low half of an already mixed hash: with such hashes
    the estimate of J has the spread of independent permutations (tested), and numpy runs it in SIMD registers.
    """
    texts = sets.offsets.size - 1
    keys = np.empty((bands.number, texts), dtype=np.uint32)
    multipliers, increments = _permutations(bands.number * bands.rows)
    low = sets.hashes.astype(np.uint32)
    for start in range(0, texts, _CHUNK):
        stop = min(start + _CHUNK, texts)
        hashes = low[sets.offsets[start] : sets.offsets[stop]]
        first = sets.offsets[start:stop] - sets.offsets[start]
        permuted = np.empty_like(hashes)
        minima = np.empty(stop - start, dtype=np.uint32)
        for band in range(bands.number):
            key = np.zeros(stop - start, dtype=np.uint64)
            for row in range(band * bands.rows, (band + 1) * bands.rows):
                np.multiply(hashes, multipliers[row], out=permuted)
                np.add(permuted, increments[row], out=permuted)
                np.minimum.reduceat(permuted, first, out=minima)
                key = mix(key ^ minima)
            keys[band, start:stop] = key >> np.uint64(32)
    return keys


@lru_cache(maxsize=8)
def _permutations(count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Odd multipliers and increments, (count,) each; part of no artifact's format, but the same on every machine."""
    drawn = mix(mix(np.arange(1, 2 * count + 1, dtype=np.uint64))) >> np.uint64(32)
    return (drawn[:count] | np.uint64(1)).astype(np.uint32), drawn[count:].astype(np.uint32)
