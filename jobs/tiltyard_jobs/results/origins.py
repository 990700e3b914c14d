"""Back to the user's rows: where a given instruction stands in its file, and the columns that are to be kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from tiltyard_jobs.contracts.recipes import Lineup
from tiltyard_jobs.results.columns import Row, integer, table, text
from tiltyard_jobs.shard.artifacts import Artifacts

COLUMNS = ("source_row", "source_id", "kept")
"""In the tables of stages."""


def with_origin(schema: pa.Schema, keep: Sequence[str]) -> pa.Schema:
    """The schema of a table of a run's folder where the instructions are given.

    Args:
        schema: of the table.
        keep: the user's own columns.
    """
    own = {
        "source_row": integer("the record's number in the file of instructions, from 0"),
        "source_id": text("its id there; null without `idField`"),
    }
    return table({kind.name: kind for kind in schema} | own | {name: text("the user's own column") for name in keep})


def origin_of(row: Mapping[str, Any], keep: Sequence[str]) -> Row:
    """The values of these columns, of a row of a stage's table."""
    kept = json.loads(row.get("kept") or "{}")
    return {"source_row": row.get("source_row"), "source_id": row.get("source_id")} | {
        name: kept.get(name) for name in keep
    }


def origins(artifacts: Artifacts, lineup: Lineup, keep: Sequence[str]) -> Iterator[Row]:
    """Of all curated instructions, attacker by attacker in the manifest's order."""
    for player in lineup.players:
        for row in artifacts.rows(lineup.instructions[player.name], columns=COLUMNS):
            yield origin_of(row, keep)
