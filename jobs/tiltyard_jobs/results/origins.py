"""Back to the user's rows: where a given instruction stands in its file, and the columns that are to be kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tiltyard_jobs.contracts.identity import public
from tiltyard_jobs.contracts.recipes import DatasetRecipe, SourceRecipe
from tiltyard_jobs.results.columns import Row, table, text
from tiltyard_jobs.results.run_tables import SOURCE
from tiltyard_jobs.shard.artifacts import Artifacts

COLUMNS = ("source_row", "source_id", "kept")
"""In the tables of stages."""


def with_origin(schema: pa.Schema, keep: Sequence[str]) -> pa.Schema:
    """The schema of a table of a run's folder where the instructions are given.

    Args:
        schema: of the table.
        keep: the user's own columns.
    """
    return table({kind.name: kind for kind in schema} | SOURCE | {name: text("the user's own column") for name in keep})


def origin_of(row: Mapping[str, Any], recipe: DatasetRecipe) -> Row:
    """The values of these columns, of a row of a stage's table."""
    kept, source = json.loads(row.get("kept") or "{}"), recipe.source or SourceRecipe()
    return {
        "source_row": row.get("source_row"),
        "source_id": row.get("source_id"),
        "source_uri": public(source.uri) if source.uri else None,
        "source_sha256": source.sha256,
        "source_license": source.license,
    } | {name: kept.get(name) for name in recipe.keep}


def origins(artifacts: Artifacts, recipe: DatasetRecipe) -> Iterator[Row]:
    """Of all curated instructions, attacker by attacker in the manifest's order."""
    for player in recipe.lineup.players:
        for row in artifacts.rows(recipe.lineup.instructions[player.name], columns=COLUMNS):
            yield origin_of(row, recipe)
