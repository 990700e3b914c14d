"""Benchmark texts in training data: found, cut and counted.

Two matches, both exact. A run of ten words shared with a benchmark's text, as Qwen2.5-Coder (arXiv 2409.12186, section
3.1) cuts by; GPT-3 (arXiv 2005.14165, appendix C) took thirteen. And near duplicates, by the Jaccard similarity of the
sets of words, as the deduplication has it; against a few thousand texts an inverted index gives it for all, so that no
MinHash is needed and nothing is missed.

For the report, how near a text comes to any benchmark's text: the largest ROUGE-L F1 (Lin 2004), the measure of the
paper's figure (mostly under 0.3, none over 0.6).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from tiltyard_jobs.curation.shingles import WordHashes, blocks, hash_words, word_ngrams

NGRAM_WORDS = 10
_LEAST_WORDS = 5  # a benchmark text with fewer is no ground for a near-duplicate match
_ROUGE_WORDS = 2_048  # words of a text that ROUGE-L looks at

Incidence = sparse.csr_array


class MatchKind(StrEnum):
    """How a text matches a benchmark."""

    NGRAM = "Ngram"  # a run of words in common; the score is the share of the benchmark text's runs that is there
    NEAR_DUPLICATE = "NearDuplicate"  # the same words; the score is the Jaccard similarity


class Match(NamedTuple):
    """The benchmark text that a text repeats; `position` counts its texts from 0, `score` lies in (0, 1]."""

    benchmark: str
    position: int
    kind: MatchKind
    score: float


class Finding(NamedTuple):
    """What was found for one text: a match, if any, and its largest ROUGE-L F1 with a benchmark text, in [0, 1]."""

    match: Match | None
    overlap: float


class Decontaminator:
    """Looks for benchmark texts in instructions and answers."""

    def __init__(
        self, benchmarks: Mapping[str, Sequence[str]], *, ngram: int = NGRAM_WORDS, threshold: float = 0.5
    ) -> None:
        """Read the benchmarks.

        Args:
            benchmarks: Texts by the benchmark's name. One that is too short for a rule is not matched by it.
            ngram: Words in a run.
            threshold: Jaccard similarity, in (0, 1], from which a text is a near duplicate.
        """
        if ngram < 2 or not 0.0 < threshold <= 1.0:
            raise ValueError(f"ngram must be at least 2 and threshold in (0, 1], not {ngram} and {threshold}")
        self._ngram = ngram
        self._threshold = Fraction(threshold).limit_denominator(1_000_000)
        names = [(name, index) for name, texts in benchmarks.items() for index in range(len(texts))]
        texts = [text for group in benchmarks.values() for text in group]
        spoken = [bool(text.strip()) for text in texts]
        self._items = [item for item, said in zip(names, spoken, strict=True) if said]
        words = hash_words([text for text, said in zip(texts, spoken, strict=True) if said])
        self._lengths = np.diff(words.offsets)
        self._runs = _Vocabulary(word_ngrams(words, ngram), self._lengths >= ngram)
        self._words = _Vocabulary(words, np.ones(self._lengths.size, dtype=np.bool_))
        self._subsequences = [
            _Subsequence(words.hashes[start:stop])
            for start, stop in zip(words.offsets[:-1], words.offsets[1:], strict=True)
        ]

    def check(self, texts: Sequence[str]) -> list[Finding]:
        """Match each text and measure its overlap; in order. Faster than one call for each text."""
        findings: list[Finding] = []
        for block in blocks(texts):
            words = hash_words(block)
            matches = self._matches(words) if self._items else [None] * len(block)
            overlaps = self._overlaps(words) if self._items else np.zeros(len(block))
            findings += [Finding(*pair) for pair in zip(matches, overlaps.tolist(), strict=True)]
        return findings

    def match(self, text: str) -> Match | None:
        """The benchmark text that `text` repeats, or None: n-grams first, the highest score, the first of equals."""
        return self._matches(hash_words([text]))[0] if self._items else None

    def overlap(self, text: str) -> float:
        """The largest ROUGE-L F1 of (the first 2,048 words of) `text` with a benchmark text, in [0, 1]."""
        return float(self._overlaps(hash_words([text]))[0]) if self._items else 0.0

    def _matches(self, words: WordHashes) -> list[Match | None]:
        runs = self._runs.incidence(word_ngrams(words, self._ngram))
        shared_runs = runs.present @ self._runs.items.present
        shared_words = self._words.incidence(words).present @ self._words.items.present
        sizes = _distinct(words)
        matches: list[Match | None] = []
        for text in range(words.offsets.size - 1):
            items, shared = _row(shared_runs, text)
            if items.size:
                score = shared / self._runs.sizes[items]
                matches.append(self._best(items, score, MatchKind.NGRAM))
                continue
            items, shared = _row(shared_words, text)
            union = sizes[text] + self._words.sizes[items] - shared
            near = shared * self._threshold.denominator >= union * self._threshold.numerator
            near &= self._lengths[items] >= _LEAST_WORDS
            score = shared[near] / union[near]
            matches.append(self._best(items[near], score, MatchKind.NEAR_DUPLICATE) if near.any() else None)
        return matches

    def _best(self, items: NDArray[np.int64], scores: NDArray[np.float64], kind: MatchKind) -> Match:
        best = items[scores == scores.max()].min()
        return Match(*self._items[int(best)], kind, float(scores.max()))

    def _overlaps(self, words: WordHashes) -> NDArray[np.float64]:
        """The largest ROUGE-L F1 of each text. Benchmark texts are taken by an upper bound until none can do better."""
        words = _cut(words, _ROUGE_WORDS)
        mine, theirs = self._words.incidence(words), self._words.items
        # A common subsequence uses shared words alone, each at most as often as either text has it.
        bounds = (mine.counts @ theirs.present).minimum(mine.present @ theirs.counts).tocsr()
        lengths = np.diff(words.offsets)
        overlaps = np.zeros(lengths.size)
        for text in range(lengths.size):
            items, bound = _row(bounds, text)
            bound = 2.0 * bound / (lengths[text] + self._lengths[items])
            hashes = words.hashes[words.offsets[text] : words.offsets[text + 1]].tolist()
            best = 0.0
            for place in np.argsort(-bound, kind="stable").tolist():
                if bound[place] <= best:
                    break
                item = int(items[place])
                common = self._subsequences[item].longest_common(hashes)
                best = max(best, 2.0 * common / (len(hashes) + int(self._lengths[item])))
            overlaps[text] = best
        return overlaps


def matchable(texts: Iterable[str]) -> list[str]:
    """Those of a benchmark's texts that have words enough to be found by any rule."""
    kept: list[str] = []
    for block in blocks(texts):
        lengths = np.diff(hash_words(block).offsets).tolist()
        kept += [text for text, words in zip(block, lengths, strict=True) if words >= _LEAST_WORDS]
    return kept


class _Incidences(NamedTuple):
    """Which feature occurs where, as 0 and 1, and how often."""

    present: Incidence
    counts: Incidence


class _Vocabulary:
    """The features (words or runs of words) of the benchmarks' texts.

    Attributes:
        items: (features, items) incidences.
        sizes: (items,) distinct features of each item.
    """

    def __init__(self, features: WordHashes, used: NDArray[np.bool_]) -> None:
        lengths = np.diff(features.offsets)
        inside = np.repeat(used, lengths)
        self._known = np.unique(features.hashes[inside])
        kept = WordHashes(features.hashes[inside], np.concatenate([[0], np.cumsum(np.where(used, lengths, 0))]))
        found = self.incidence(kept)
        self.items = _Incidences(found.present.T.tocsr(), found.counts.T.tocsr())
        self.sizes = np.asarray(found.present.sum(axis=1), dtype=np.int64)

    def incidence(self, features: WordHashes) -> _Incidences:
        """(texts, features) incidences of the features that are known."""
        texts = features.offsets.size - 1
        shape = (texts, self._known.size)
        if not self._known.size:
            return _Incidences(sparse.csr_array(shape, dtype=np.int64), sparse.csr_array(shape, dtype=np.int64))
        place = np.minimum(np.searchsorted(self._known, features.hashes), self._known.size - 1)
        known = self._known[place] == features.hashes
        owner = np.repeat(np.arange(texts), np.diff(features.offsets))[known]
        counts = sparse.csr_array((np.ones(owner.size, dtype=np.int64), (owner, place[known])), shape=shape)
        counts.sum_duplicates()
        return _Incidences(sparse.csr_array((np.ones_like(counts.data), counts.indices, counts.indptr), shape), counts)


class _Subsequence:
    """A sequence of words, ready for longest common subsequences with others (bit-parallel, Hyyro 2004)."""

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._length = hashes.size
        self._places: dict[int, int] = {}
        for place, value in enumerate(hashes.tolist()):
            self._places[value] = self._places.get(value, 0) | (1 << place)

    def longest_common(self, hashes: Sequence[int]) -> int:
        """The length of the longest common subsequence."""
        full = (1 << self._length) - 1
        places = self._places
        state = full
        for value in hashes:
            hit = state & places.get(value, 0)
            if hit:
                state = ((state + hit) | (state - hit)) & full
        return self._length - state.bit_count()


def _row(matrix: Incidence, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns and values of a row, by column."""
    span = slice(matrix.indptr[row], matrix.indptr[row + 1])
    order = np.argsort(matrix.indices[span])
    return matrix.indices[span][order].astype(np.int64), matrix.data[span][order]


def _distinct(words: WordHashes) -> NDArray[np.int64]:
    """The number of distinct words of each text."""
    owner = np.repeat(np.arange(words.offsets.size - 1), np.diff(words.offsets))
    order = np.lexsort((words.hashes, owner))
    owner, hashes = owner[order], words.hashes[order]
    opens = np.ones(hashes.size, dtype=np.bool_)
    opens[1:] = (owner[1:] != owner[:-1]) | (hashes[1:] != hashes[:-1])
    return np.bincount(owner[opens], minlength=words.offsets.size - 1)


def _cut(words: WordHashes, longest: int) -> WordHashes:
    """The first `longest` words of each text."""
    lengths = np.diff(words.offsets)
    if lengths.max(initial=0) <= longest:
        return words
    rank = np.arange(words.hashes.size) - np.repeat(words.offsets[:-1], lengths)
    return WordHashes(words.hashes[rank < longest], np.concatenate([[0], np.cumsum(np.minimum(lengths, longest))]))
