"""Exact repeats: texts that are equal in their normal form (`text.normalise`), the first of a group kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from tiltyard_jobs.curation.dedup import DedupResult
from tiltyard_jobs.curation.text import normalise


def deduplicate_exact(texts: Iterable[str], *, earlier: Iterable[str] = ()) -> DedupResult:
    """Drop each text that is equal to an earlier text, or to a kept one before it.

    Args:
        texts: in order; nothing of them is kept but digests.
        earlier: texts that stay whatever they are; they come first.

    Returns:
        As `dedup.deduplicate`.
    """
    before: dict[bytes, int] = {}
    for place, text in enumerate(earlier):
        before.setdefault(digest_of(text), place)
    first: dict[bytes, int] = {}
    twins, earlier_twins = [], []
    for place, text in enumerate(texts):
        name = digest_of(text)
        earlier_twins.append(before.get(name, -1))
        known = place if name in before else first.setdefault(name, place)
        twins.append(-1 if known == place else known)
    twin, earlier_twin = np.array(twins, dtype=np.int64), np.array(earlier_twins, dtype=np.int64)
    return DedupResult(kept=(twin < 0) & (earlier_twin < 0), twin=twin, earlier_twin=earlier_twin)


def digest_of(text: str) -> bytes:
    """What is the same for texts that are exact repeats, and for no others."""
    return hashlib.sha256(normalise(text).encode()).digest()
