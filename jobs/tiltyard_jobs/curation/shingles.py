"""Texts as sets of hashed shingles (runs of n words), a block of texts at a time.

Everything is numpy over the bytes of a whole block: a word is hashed eight bytes at a time by a multiply-xorshift
mixer (the finaliser of splitmix64), so that no Python object is made for a word. Hashes are the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tiltyard_jobs.curation.text import word_line

HASH_BITS = 52
"""Bits of a shingle's hash: two sets of 50 shingles share one by accident with probability 6e-13."""

BLOCK = 1 << (64 - HASH_BITS)
"""Texts in a block: a text's number in its block and a hash fill one 64-bit word, so that one sort orders both."""

_LONGEST_WORD = 64  # bytes; a longer run (base64, a wall of one letter) counts as several words
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_BYTE_MASKS = np.array([(1 << (8 * count)) - 1 for count in range(9)], dtype=np.uint64)

Hashes = NDArray[np.uint64]


class ShingleSets(NamedTuple):
    """The shingle sets of t texts, end to end.

    Attributes:
        hashes: (m,) uint64 below 2**52, ascending and distinct within each text.
        offsets: (t + 1,) int64; text i owns `hashes[offsets[i]:offsets[i + 1]]`, at least one.
    """

    hashes: Hashes
    offsets: NDArray[np.int64]


class WordHashes(NamedTuple):
    """The words of t texts in order, hashed: (w,) uint64 of 64 bits, and (t + 1,) int64 offsets."""

    hashes: Hashes
    offsets: NDArray[np.int64]


def mix(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele et al. 2014), a bijection of 64-bit words; shape kept."""
    values = values ^ (values >> np.uint64(30))
    values *= _MULTIPLIER_1
    values ^= values >> np.uint64(27)
    values *= _MULTIPLIER_2
    values ^= values >> np.uint64(31)
    return values


def blocks(texts: Iterable[str], size: int = 512) -> Iterator[list[str]]:
    """Lists of at most `size` texts, in order. By default as many as keep a block's arrays in second-level cache."""
    iterator = iter(texts)
    while block := list(islice(iterator, size)):
        yield block


def hash_words(texts: Sequence[str]) -> WordHashes:
    """Hash each word of each text; a text without a word counts as one word made of all its characters but blanks."""
    lines = [word_line(text) for text in texts]
    line_starts = np.zeros(len(lines) + 1, dtype=np.int64)
    np.cumsum(np.fromiter((len(line) + 1 for line in lines), dtype=np.int64, count=len(lines)), out=line_starts[1:])
    data = np.frombuffer(b" ".join([b"", *lines, bytes(8)]), dtype=np.uint8)
    is_word = data > 0x20
    edges = np.flatnonzero(is_word[1:] != is_word[:-1])
    starts, lengths = edges[0::2] + 1, edges[1::2] - edges[0::2]
    if lengths.size and int(lengths.max()) > _LONGEST_WORD:
        starts, lengths = _split_long(starts, lengths)
    hashes = _hash_spans(data, starts, lengths)
    offsets = np.searchsorted(starts, line_starts + 1)
    wordless = np.flatnonzero(offsets[1:] == offsets[:-1])
    if wordless.size:
        stand_ins = np.array([_digest(texts[text]) for text in wordless.tolist()], dtype=np.uint64)
        hashes = np.insert(hashes, offsets[wordless], stand_ins)
        missing = np.zeros(len(texts) + 1, dtype=np.int64)
        missing[wordless + 1] = 1
        offsets = offsets + np.cumsum(missing)
    return WordHashes(hashes, offsets.astype(np.int64, copy=False))


def word_ngrams(words: WordHashes, size: int) -> WordHashes:
    """Hash each run of `size` words within a text; a shorter text counts as one run made of all its words."""
    if size == 1:
        return words
    counts = np.diff(words.offsets)
    runs = np.maximum(counts - size + 1, 1)
    offsets = np.zeros(counts.size + 1, dtype=np.int64)
    np.cumsum(runs, out=offsets[1:])
    first = np.repeat(words.offsets[:-1] - offsets[:-1], runs) + np.arange(offsets[-1])
    shortest = int(counts.min(initial=size))
    length = np.repeat(np.minimum(counts, size), runs) if shortest < size else None
    grams = words.hashes[first]
    for step in range(1, size):
        inside = slice(None) if length is None else np.flatnonzero(length > step)
        grams[inside] = mix(grams[inside] * _GOLDEN + words.hashes[first[inside] + step])
    return WordHashes(grams, offsets)


def shingle_sets(texts: Sequence[str], words: int = 1) -> ShingleSets:
    """The sets of shingles of `words` words of each text.

    Args:
        texts: At most `BLOCK` texts.
        words: Words in a shingle, from 1.
    """
    if len(texts) > BLOCK:
        raise ValueError(f"a block holds at most {BLOCK} texts, not {len(texts)}")
    grams = word_ngrams(hash_words(texts), words)
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), np.diff(grams.offsets))
    keys = (owner << np.uint64(HASH_BITS)) | (grams.hashes >> np.uint64(64 - HASH_BITS))
    keys.sort()
    first = np.ones(keys.size, dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    keys = keys[first]
    bounds = np.arange(len(texts) + 1, dtype=np.uint64)
    offsets = np.searchsorted(keys, bounds[:-1] << np.uint64(HASH_BITS))
    return ShingleSets(
        keys & np.uint64((1 << HASH_BITS) - 1), np.append(offsets, keys.size).astype(np.int64, copy=False)
    )


def concatenate(parts: Sequence[ShingleSets]) -> ShingleSets:
    """All the sets, in order."""
    hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *(part.hashes for part in parts)])
    sizes = np.concatenate([np.zeros(1, dtype=np.int64), *(np.diff(part.offsets) for part in parts)])
    return ShingleSets(hashes, np.cumsum(sizes))


def _digest(text: str) -> int:
    """64 bits of the characters of a text, blanks left out."""
    characters = "".join(text.split()).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(characters, digest_size=8).digest(), "little")


def _split_long(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut spans into pieces of at most `_LONGEST_WORD` bytes, so that a megabyte without a space costs no more."""
    pieces = -(-lengths // _LONGEST_WORD)
    piece = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    starts = np.repeat(starts, pieces) + piece * _LONGEST_WORD
    return starts, np.minimum(np.repeat(lengths, pieces) - piece * _LONGEST_WORD, _LONGEST_WORD)


def _hash_spans(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Hashes:
    """Hash spans of bytes; `data` has at least eight bytes after the last span."""
    # The eight bytes from every offset on, as little-endian words that overlap.
    eights: Hashes = np.ndarray((data.size - 7,), dtype="<u8", buffer=data, strides=(1,))
    hashes = mix((eights[starts] & _BYTE_MASKS[np.minimum(lengths, 8)]) + lengths.astype(np.uint64) * _GOLDEN)
    for done in range(8, _LONGEST_WORD, 8):
        longer = np.flatnonzero(lengths > done)
        if not longer.size:
            break
        piece = eights[starts[longer] + done] & _BYTE_MASKS[np.minimum(lengths[longer] - done, 8)]
        hashes[longer] = mix(hashes[longer] ^ piece)
    return hashes
