"""Rows that were made before of the very same texts by the very same procedure, whichever artifact they are in.

Instructions that come from a file are edited: one more prompt, one more competitor. Keys change then, and texts do not.
Each part that a model has made leaves the digests of its rows: for each row one of the texts that it is about. A part
that is to be made looks there before it asks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from tiltyard_jobs.contracts.layout import Seal, digests_key, digests_prefix, part_of_digests
from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe
from tiltyard_jobs.errors import JobError
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.store.base import Store

DIGEST_BYTES = 16


class Place(NamedTuple):
    """A row of a part."""

    ref: ArtifactRef
    shard: int
    row: int


def about(*texts: object) -> bytes:
    """The digest of the texts that a row is about."""
    return hashlib.sha256(orjson.dumps(texts)).digest()[:DIGEST_BYTES]


class Earlier:
    """What is known of earlier rows, for some recipes.

    Args:
        store: where artifacts live.
        artifacts: the same, read as artifacts.
        recipes: what is to be made.
    """

    def __init__(self, store: Store, artifacts: Artifacts, recipes: Iterable[Recipe]) -> None:
        self._artifacts = artifacts
        self._places: dict[tuple[str, bytes], Place] = {}
        for procedure in sorted({recipe.procedure for recipe in recipes}):
            for info in store.list(digests_prefix(procedure)):
                self._read(procedure, info.key, store.get(info.key) or b"")

    def has(self, recipe: Recipe, digest: bytes) -> bool:
        """Whether there may be a row about these texts."""
        return (recipe.procedure, digest) in self._places

    def find(self, recipe: Recipe, digest: bytes) -> dict[str, Any] | None:
        """A usable row about these texts; None: there is none, or it cannot be read."""
        place = self._places.get((recipe.procedure, digest))
        if place is None:
            return None
        try:
            seal = self._artifacts.seal(place.ref, place.shard)
            row = None if seal is None else self._artifacts.row(seal, place.row)
        except JobError:
            return None
        return row if row is not None and row.get("void") is None else None

    def _read(self, procedure: str, key: str, data: bytes) -> None:
        """Take in the digests of a part's rows, unless it has another content by now. The first about a text counts."""
        found = part_of_digests(key)
        if found is None or not data:
            return
        ref, shard = found
        content, _, digests = data.partition(b"\n")
        try:
            seal = self._artifacts.seal(ref, shard)
        except JobError:
            return
        if seal is None or seal.content.encode() != content:
            return
        for row in range(len(digests) // DIGEST_BYTES):
            digest = digests[row * DIGEST_BYTES : (row + 1) * DIGEST_BYTES]
            self._places.setdefault((procedure, digest), Place(ref, shard, row))


def write_digests(store: Store, recipe: Recipe, seal: Seal, digests: Sequence[bytes]) -> None:
    """Leave the digests of the rows of a part that is sealed. Without them its rows are made again elsewhere."""
    store.put(digests_key(recipe.procedure, recipe.ref, seal.shard), seal.content.encode() + b"\n" + b"".join(digests))
