"""What an instruction is, by columns that ratings are broken down by, and whose answer the answers agree with most."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import Lineup
from tiltyard_jobs.curation.embed import HashedNgrams
from tiltyard_jobs.rating.controls import most_agreed
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.pace import Pace

Facets = dict[str, list[str | None]]
"""By column, the value of each instruction."""

KEPT = "kept."
"""Before the name of a column of the user's own."""
_LONGEST = 80  # characters of a value that names a part; a longer one is a text
_ROWS = 512  # whose answers' vectors are in memory at once


def facets_of(artifacts: Artifacts, lineup: Lineup) -> Facets:
    """The attacker, the kind and the difficulty of all curated instructions, and the user's kept columns."""
    facets: Facets = {"attacker": [], "task_type": [], "difficulty": []}
    total = 0
    for player in lineup.players:
        for batch in _batches(artifacts, lineup.instructions[player.name], ("grade", "task_type", "kept")):
            size = batch.num_rows
            columns = {name: batch.column(name).to_pylist() for name in batch.schema.names}
            facets["attacker"] += [player.name] * size
            facets["task_type"] += columns.get("task_type", [None] * size)
            facets["difficulty"] += columns.get("grade", [None] * size)
            for place, kept in enumerate(columns.get("kept", ())):
                for name, value in (json.loads(kept) if kept else {}).items():
                    column = facets.setdefault(KEPT + name, [])
                    column += [None] * (total + place - len(column))
                    column.append(value if isinstance(value, str) and len(value) <= _LONGEST else None)
            total += size
    return {name: column + [None] * (total - len(column)) for name, column in facets.items()}


def agreed_of(artifacts: Artifacts, lineup: Lineup, answered: NDArray[np.bool_], pace: Pace) -> NDArray[np.int64]:
    """(I,): whose answer is most like the other answers to its instruction, by words and pairs of words."""
    embedder, found, first = HashedNgrams(), [np.zeros(0, dtype=np.int64)], 0
    for attacker in lineup.players:
        readers = [_texts(artifacts, lineup.answers[player.name][attacker.name]) for player in lineup.players]
        for texts in zip(*readers, strict=True):
            vectors = np.stack([embedder.embed(column).astype(np.float64) for column in texts], axis=1)
            rows = slice(first, first + len(texts[0]))
            found.append(most_agreed(vectors, answered[rows]))
            first = rows.stop
        pace.step()
    return np.concatenate(found)


def _texts(artifacts: Artifacts, ref: ArtifactRef) -> Iterator[list[str]]:
    """Answers in their order, so many rows at a time; empty where there is none."""
    rest: list[str] = []
    for batch in _batches(artifacts, ref, ("answer",)):
        rest += [text or "" for text in batch.column("answer").to_pylist()]
        while len(rest) >= _ROWS:
            yield rest[:_ROWS]
            rest = rest[_ROWS:]
    if rest:
        yield rest


def _batches(artifacts: Artifacts, ref: ArtifactRef, names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    """An artifact's main table with those of these columns that it has."""
    for seal in artifacts.require(ref):
        with pq.ParquetFile(artifacts.fetch(seal.files["rows"])) as file:
            yield from file.iter_batches(_ROWS, columns=[name for name in names if name in file.schema_arrow.names])
