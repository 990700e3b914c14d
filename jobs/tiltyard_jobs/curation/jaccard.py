"""Exact Jaccard similarity of many pairs of shingle sets, behind a filter that loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.shingles import ShingleSets

BITMAP_BITS = 512
"""Bits of a text's bitmap. 256 leave three times as many pairs to the exact check, 1024 cost more than they save."""

_CELLS = 1 << 17  # uint64 cells in one matrix of pairs
_CHUNK = 1 << 14  # pairs filtered together; both numbers keep the temporaries in the second-level cache
_SENTINEL = np.uint64(0xFFFFFFFFFFFFFFFF)

Indices = NDArray[np.int64]
Bitmaps = NDArray[np.uint64]


def bitmaps(sets: ShingleSets) -> Bitmaps:
    """One bit for each shingle at a place given by its hash: (t, 8) uint64."""
    texts = sets.offsets.size - 1
    cells = np.zeros((texts, BITMAP_BITS), dtype=np.bool_)
    owner = np.repeat(np.arange(texts), np.diff(sets.offsets))
    cells[owner, (sets.hashes >> np.uint64(32)) % np.uint64(BITMAP_BITS)] = True
    return np.packbits(cells, axis=1).view(np.uint64)


def may_be_similar(
    maps: Bitmaps, sizes: Indices, left: Indices, right: Indices, threshold: Fraction
) -> NDArray[np.bool_]:
    """False only for pairs that are certainly below the threshold: (p,) bool.

    Bits that differ come from different shingles, so their number bounds the symmetric difference D from below, and
    with it J = (S - D) / (S + D) from above, S being the sum of the sizes (the bitmap filter of Sandes, Teodoro and
    Melo 2020, "Bitmap filter: speeding up exact set similarity joins with bitwise operations"). So a pair at or above
    the threshold has at most S (1 - threshold) / (1 + threshold) bits that differ.
    """
    allowance = (sizes * float((1 - threshold) / (1 + threshold)) * (1 + 1e-6)).astype(np.float32)
    columns = [np.ascontiguousarray(column) for column in maps.T]
    # Folded to half their length the maps are a bitmap as well: it rules out most pairs at half the price.
    half = len(columns) // 2
    folded = [low | high for low, high in zip(columns[:half], columns[half:], strict=True)]
    plausible = np.empty(left.size, dtype=np.bool_)
    for start in range(0, left.size, _CHUNK):
        of_left, of_right = left[start : start + _CHUNK], right[start : start + _CHUNK]
        within = _differing(folded, of_left, of_right) <= allowance[of_left] + allowance[of_right]
        some = np.flatnonzero(within)
        of_left, of_right = of_left[some], of_right[some]
        within[some] = _differing(columns, of_left, of_right) <= allowance[of_left] + allowance[of_right]
        plausible[start : start + _CHUNK] = within
    return plausible


def intersections(sets: ShingleSets, left: Indices, right: Indices) -> Indices:
    """The exact number of shingles that each pair shares: (p,) int64.

    The two sets are laid side by side in a row and sorted; what is shared then stands beside its equal. Rows of like
    length share a matrix.
    """
    sizes = np.diff(sets.offsets)
    shared = np.zeros(left.size, dtype=np.int64)
    total = sizes[left] + sizes[right]
    width_class = np.maximum(32, 1 << np.ceil(np.log2(np.maximum(total, 1))).astype(np.int64))
    for width in np.unique(width_class).tolist():
        members = np.flatnonzero(width_class == width)
        step = max(1, _CELLS // width)
        for start in range(0, members.size, step):
            rows = members[start : start + step]
            shared[rows] = _shared_in_rows(sets, left[rows], right[rows], width)
    return shared


def are_similar(sets: ShingleSets, left: Indices, right: Indices, threshold: Fraction) -> NDArray[np.bool_]:
    """Whether the Jaccard similarity of each pair is at least the threshold, in whole numbers: (p,) bool."""
    sizes = np.diff(sets.offsets)
    shared = intersections(sets, left, right)
    union = sizes[left] + sizes[right] - shared
    return shared * threshold.denominator >= union * threshold.numerator


def spans(starts: Indices, lengths: Indices) -> Indices:
    """The indices `starts[i] .. starts[i] + lengths[i] - 1` of each span, end to end."""
    ends = np.cumsum(lengths)
    places: Indices = np.repeat(starts - ends + lengths, lengths)
    places += np.arange(places.size)
    return places


def _differing(columns: Sequence[NDArray[np.uint64]], left: Indices, right: Indices) -> NDArray[np.uint16]:
    differing = np.zeros(left.size, dtype=np.uint16)
    for column in columns:
        differing += np.bitwise_count(column[left] ^ column[right])
    return differing


def _shared_in_rows(sets: ShingleSets, left: Indices, right: Indices, width: int) -> Indices:
    sizes = np.diff(sets.offsets)
    rows = np.full((left.size, width), _SENTINEL, dtype=np.uint64)
    flat = rows.reshape(-1)
    row_starts = np.arange(left.size, dtype=np.int64) * width
    flat[spans(row_starts, sizes[left])] = sets.hashes[spans(sets.offsets[left], sizes[left])]
    flat[spans(row_starts + sizes[left], sizes[right])] = sets.hashes[spans(sets.offsets[right], sizes[right])]
    rows.sort(axis=1)
    equal = (rows[:, 1:] == rows[:, :-1]) & (rows[:, 1:] != _SENTINEL)
    return np.asarray(np.count_nonzero(equal, axis=1), dtype=np.int64)
