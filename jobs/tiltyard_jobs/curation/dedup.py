"""Near duplicates among texts: MinHash candidates, checked exactly, the first of a group kept.

The paper's script queries a MinHashLSH and believes it, and keeps the last of a chain. Here a text is dropped only if
its Jaccard similarity with one that is *kept* and stands before it reaches the threshold: no text is dropped for the
sake of one that is dropped itself, and the result hangs on nothing but the order of the texts.

The shingles are the words of a text (`text.words`) as a set, as in the paper's script but without its case and
punctuation; runs of several words are an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.jaccard import Indices, are_similar, bitmaps, may_be_similar, spans
from tiltyard_jobs.curation.minhash import Bands, band_keys, choose_bands
from tiltyard_jobs.curation.shingles import ShingleSets, blocks, concatenate, shingle_sets

_PAIRS = 1 << 20  # candidate pairs looked at together, duplicates among them counted: bounds the memory of a step
_STEP = 1 << 13  # texts decided together at most


class DedupResult(NamedTuple):
    """What became of n texts.

    Attributes:
        kept: (n,) bool.
        twin: (n,) int64: the first kept text among these that a dropped one repeats; -1 where there is none.
        earlier_twin: (n,) int64: the same among the earlier texts. A dropped text has exactly one of the two.
    """

    kept: NDArray[np.bool_]
    twin: Indices
    earlier_twin: Indices


class SignatureIndex:
    """Texts as the deduplication needs them: shingle sets, bitmaps and band keys, some 500 bytes for 40 words.

    Attributes:
        words: Words in a shingle.
        bands: How signatures are cut; indexes that meet must agree in both.
    """

    def __init__(
        self, sets: ShingleSets, maps: NDArray[np.uint64], keys: NDArray[np.uint32], *, words: int, bands: Bands
    ) -> None:
        self.sets = sets
        self.maps = maps  # (n, 8)
        self.keys = keys  # (bands, n)
        self.words = words
        self.bands = bands

    def __len__(self) -> int:
        return int(self.sets.offsets.size - 1)

    @classmethod
    def of(cls, texts: Iterable[str], *, threshold: float = 0.5, permutations: int = 128, words: int = 1) -> Self:
        """Read `texts` once, a block at a time.

        Args:
            texts: Any iterable; nothing of it is kept.
            threshold: The Jaccard similarity, in (0, 1], for which the bands are laid out.
            permutations: Permutations of a signature at most.
            words: Words in a shingle.
        """
        bands = choose_bands(threshold, permutations)
        parts = [shingle_sets(block, words) for block in blocks(texts)]
        sets = concatenate(parts)
        maps = np.concatenate([bitmaps(part) for part in parts]) if parts else bitmaps(sets)
        return cls(sets, maps, band_keys(sets, bands), words=words, bands=bands)

    @classmethod
    def concatenate(cls, parts: Sequence[SignatureIndex]) -> Self:
        """One index of all texts, in order.

        Raises:
            ValueError: there is no part, or two were made with other shingles or bands.
        """
        if len({(part.words, part.bands) for part in parts}) != 1:
            raise ValueError("indexes of the same shingles and bands are needed, at least one")
        return cls(
            concatenate([part.sets for part in parts]),
            np.concatenate([part.maps for part in parts]),
            np.concatenate([part.keys for part in parts], axis=1),
            words=parts[0].words,
            bands=parts[0].bands,
        )

    def select(self, chosen: NDArray[np.bool_]) -> SignatureIndex:
        """The index of the texts where `chosen`, (n,) bool, is true."""
        sizes = np.diff(self.sets.offsets)
        hashes = self.sets.hashes[np.repeat(chosen, sizes)]
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes[chosen])])
        return SignatureIndex(
            ShingleSets(hashes, offsets), self.maps[chosen], self.keys[:, chosen], words=self.words, bands=self.bands
        )


def deduplicate(
    texts: Iterable[str] | SignatureIndex,
    *,
    threshold: float = 0.5,
    permutations: int = 128,
    words: int = 1,
    earlier: SignatureIndex | Iterable[str] | None = None,
) -> DedupResult:
    """Drop each text that repeats an earlier text, or a kept one before it.

    Args:
        texts: The texts in order (read once, in blocks), or their index.
        threshold: Jaccard similarity of the shingle sets, in (0, 1], from which two texts are twins.
        permutations: As `SignatureIndex.of`; more make the step from missed to found pairs at the threshold steeper.
        words: Words in a shingle.
        earlier: Texts that stay whatever they are, e.g. those kept of the attackers before this one; they come first.

    Returns:
        Which texts are kept, and for each other the first kept text that it repeats.

    Raises:
        ValueError: an index was made with other shingles or bands.
    """

    def index(source: SignatureIndex | Iterable[str]) -> SignatureIndex:
        if isinstance(source, SignatureIndex):
            return source
        return SignatureIndex.of(source, threshold=threshold, permutations=permutations, words=words)

    everything = index(texts)
    fixed = 0
    if earlier is not None:
        before = index(earlier)
        everything, fixed = SignatureIndex.concatenate([before, everything]), len(before)
    if everything.bands != choose_bands(threshold, permutations) or everything.words != words:
        raise ValueError("the index was made for another threshold, number of permutations or shingle")
    twin = _first_twins(everything, fixed, Fraction(threshold).limit_denominator(1_000_000))[fixed:]
    return DedupResult(
        kept=twin < 0,
        twin=np.where(twin >= fixed, twin - fixed, -1),
        earlier_twin=np.where(twin < fixed, twin, -1),
    )


def _first_twins(index: SignatureIndex, fixed: int, threshold: Fraction) -> Indices:
    """For each text the first kept one that it repeats, or -1; the first `fixed` are kept unseen."""
    size = len(index)
    twin = np.full(size, -1, dtype=np.int64)
    original = _first_of_equals(index.sets, fixed)
    distinct = original == np.arange(size)
    buckets = _Buckets(index.keys, distinct)
    sizes = np.diff(index.sets.offsets)
    buckets.keep(buckets.members[: np.searchsorted(buckets.members, fixed)])
    waiting = buckets.members[np.searchsorted(buckets.members, fixed) :]
    while waiting.size:
        step, left, right = buckets.candidates(waiting[:_STEP])
        plausible = may_be_similar(index.maps, sizes, left, right, threshold)
        left, right = _distinct_pairs(left[plausible], right[plausible], size)
        similar = are_similar(index.sets, left, right, threshold)
        # In ascending order of the later text, so that what stands before it is decided already.
        for later, first in zip(left[similar].tolist(), right[similar].tolist(), strict=True):
            if twin[later] < 0 and twin[first] < 0:
                twin[later] = first
        decided = waiting[:step]
        buckets.keep(decided[twin[decided] < 0])
        waiting = waiting[step:]
    # A text equal to a dropped one shares its fate and its twin; one equal to a kept one repeats that.
    copies = np.flatnonzero(~distinct)
    twin[copies] = np.where(twin[original[copies]] >= 0, twin[original[copies]], original[copies])
    return twin


def _first_of_equals(sets: ShingleSets, fixed: int) -> Indices:
    """For each set from `fixed` on the number of the first with the same shingles, itself included; before, its own."""
    sizes = np.diff(sets.offsets)
    first_of_equals = np.arange(sizes.size)
    if fixed == sizes.size:
        return first_of_equals
    # h (2 h + 1) is a bijection of 64-bit words, so that the sum has more bits than the hashes.
    digests = np.add.reduceat(sets.hashes * (sets.hashes + sets.hashes + np.uint64(1)), sets.offsets[:-1])
    _, first, inverse = np.unique(digests[fixed:], return_index=True, return_inverse=True)
    first_of_equals[fixed:] = fixed + first[inverse]
    return first_of_equals


def _distinct_pairs(left: Indices, right: Indices, size: int) -> tuple[Indices, Indices]:
    """Each pair once, in ascending order."""
    pairs = np.unique(left * size + right)
    return pairs // size, pairs % size


class _Buckets:
    """The buckets that hold at least two texts, and the kept texts in each.

    A bucket's place in `_kept` is laid out once for all texts that it could hold; kept texts enter in ascending order.

    Attributes:
        members: (m,) int64, the texts that share a bucket with another, ascending. Only these can be twins.
    """

    def __init__(self, keys: NDArray[np.uint32], distinct: NDArray[np.bool_]) -> None:
        texts = np.flatnonzero(distinct).astype(np.uint64)
        owners, numbers = [], []
        count = 0
        for band in keys:
            # Key and text in one word: the sort of plain words is vectorised, that of (key, text) records is not.
            entries = (band[distinct].astype(np.uint64) << np.uint64(32)) | texts
            entries.sort()
            group = entries >> np.uint64(32)
            follows = group[1:] == group[:-1]
            shared = np.zeros(entries.size, dtype=np.bool_)
            shared[1:] |= follows
            shared[:-1] |= follows
            opens = shared & ~np.concatenate([np.zeros(1, dtype=np.bool_), follows])[: entries.size]
            owners.append(entries[shared] & np.uint64(0xFFFFFFFF))
            numbers.append((count + np.cumsum(opens[shared]) - 1).astype(np.uint64))
            count += int(np.count_nonzero(opens))
        memberships = (np.concatenate(owners) << np.uint64(32)) | np.concatenate(numbers)
        memberships.sort()
        owner = (memberships >> np.uint64(32)).astype(np.int64)
        self._bucket = (memberships & np.uint64(0xFFFFFFFF)).astype(np.int64)
        self.members, first = np.unique(owner, return_index=True)
        self._first = np.append(first, owner.size).astype(np.int64)
        capacity = np.bincount(self._bucket, minlength=count)
        self._start = np.cumsum(capacity) - capacity
        self._fill = np.zeros(count, dtype=np.int64)
        self._kept = np.empty(owner.size, dtype=np.int32)

    def keep(self, texts: Indices) -> None:
        """Enter kept texts, ascending and after all entered before."""
        owner, bucket = self._memberships(texts)
        order, rank = _rank_in_group(bucket)
        owner, bucket = owner[order], bucket[order]
        self._kept[self._start[bucket] + self._fill[bucket] + rank] = owner
        np.add.at(self._fill, bucket, 1)

    def candidates(self, texts: Indices) -> tuple[int, Indices, Indices]:
        """Pairs (later, earlier) that share a bucket, the later among the next texts, the earlier kept or among them.

        Returns:
            How many of `texts` are covered (as many as give `_PAIRS` pairs, at least one), and the pairs' two sides.
            A pair comes once for each bucket that it shares.
        """
        owner, bucket = self._memberships(texts)
        order, rank = _rank_in_group(bucket)
        earlier = np.empty_like(rank)
        earlier[order] = rank
        cost = np.cumsum(earlier + self._fill[bucket])
        position = np.searchsorted(texts, owner)
        step = max(1, int(position[min(int(np.searchsorted(cost, _PAIRS)), cost.size - 1)]))
        if cost[-1] <= _PAIRS:
            step = texts.size
        inside = int(np.searchsorted(position, step))
        owner, bucket, earlier = owner[:inside], bucket[:inside], earlier[:inside]
        order = order[order < inside]
        filled = self._fill[bucket]
        among_kept = self._kept[spans(self._start[bucket], filled)].astype(np.int64)
        # In the order of the buckets, the texts of this step that come before one in its bucket stand right before it.
        before = earlier[order]
        among_step = owner[order[spans(np.arange(order.size) - before, before)]]
        return (
            step,
            np.concatenate([np.repeat(owner, filled), np.repeat(owner[order], before)]),
            np.concatenate([among_kept, among_step]),
        )

    def _memberships(self, texts: Indices) -> tuple[Indices, Indices]:
        """(text, bucket) of each membership of these members, ascending."""
        place = np.searchsorted(self.members, texts)
        counts = self._first[place + 1] - self._first[place]
        return np.repeat(texts, counts), self._bucket[spans(self._first[place], counts)]


def _rank_in_group(groups: Indices) -> tuple[Indices, Indices]:
    """A stable order by group, and in that order each element's rank within its group."""
    # Group and place in one word, as a sort of plain words is vectorised and a stable argsort is not.
    keys = (groups.astype(np.uint64) << np.uint64(32)) | np.arange(groups.size, dtype=np.uint64)
    keys.sort()
    order = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    ordered = groups[order]
    opens = np.flatnonzero(np.concatenate([np.ones(min(1, groups.size), dtype=np.bool_), ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.append(opens, groups.size))
    return order, np.arange(groups.size) - np.repeat(opens, lengths)
