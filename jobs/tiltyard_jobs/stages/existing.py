"""Which parts of a run's artifacts exist already and can be used as they are."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tiltyard_jobs.contracts.layout import artifact_prefix, seal_key, shard_of_seal
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.store import Store

_LISTERS = 8  # listings of artifacts at once


def existing_parts(store: Store, refs: tuple[ArtifactRef, ...]) -> tuple[dict[str, set[int]], list[str]]:
    """Which parts can be used as they are, by artifact key; and a sentence where some have lost what they are about.

    A part that was made from one that is gone, or has another content by now, is not among them: whether it can be
    kept is known once the other is there. One listing for each artifact, and one look at each seal.

    Args:
        store: where they live.
        refs: what a part is made from comes before it.
    """

    def look(ref: ArtifactRef) -> list[int]:
        names = (shard_of_seal(info.key) for info in store.list(artifact_prefix(ref)))
        return [number for number in names if number is not None and number < ref.shards]

    with ThreadPoolExecutor(_LISTERS) as pool:
        sealed = list(zip(refs, pool.map(look, refs), strict=True))
    parts = [(ref, number) for ref, numbers in sealed for number in numbers]
    done: dict[str, set[int]] = {ref.key: set() for ref in refs}
    contents: dict[str, str] = {}
    doubtful: Counter[str] = Counter()
    for (ref, number), seal in zip(parts, Artifacts(store, Path()).seals(parts), strict=True):
        if seal is None:
            continue
        if any(contents.get(key) != content for key, content in seal.reads.items()):
            doubtful[ref.stage] += 1
            continue
        done[ref.key].add(number)
        contents[seal_key(ref, number)] = seal.content
    if not doubtful:
        return done, []
    counts = ", ".join(f"{stage} {count}" for stage, count in doubtful.items())
    total = doubtful.total()
    there = "1 part is there" if total == 1 else f"{total} parts are there"
    was, it = ("was", "it is") if total == 1 else ("were", "they are")
    return done, [
        f"{there} ({counts}) that {was} made from parts that are gone or changed: those are recomputed first, and {it}"
        " kept only where those come out the same"
    ]
