"""Embeddings without a model: words and pairs of words, hashed into a vector (Weinberger et al. 2009)."""

from __future__ import annotations

import math
import re
import zlib
from array import array

DIMENSIONS = 256
_WORD = re.compile(rb"\w+")
_READ_AT_MOST = 8_000  # words


def embed(text: str) -> array[float]:
    """A float32 vector of `DIMENSIONS` numbers, of length 1 (0 where the text has no word)."""
    vector = [0.0] * DIMENSIONS
    previous = b""
    for word in _WORD.findall(text.lower().encode("utf-8", "replace"))[:_READ_AT_MOST]:
        for gram in (word, previous + b" " + word):
            value = zlib.crc32(gram)
            vector[value % DIMENSIONS] += 1.0 if value & 0x8000_0000 else -1.0
        previous = word
    length = math.sqrt(math.fsum(number * number for number in vector)) or 1.0
    return array("f", (number / length for number in vector))
