"""Labelled pairs from a file of the user's, as a table that judges are asked about."""

from __future__ import annotations

import asyncio

from tiltyard_jobs.contracts.recipes import ANSWERS, PairsRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.labelledpairs import read_pairs
from tiltyard_jobs.records import instruction_id
from tiltyard_jobs.results.stage_tables import PAIRS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter

FIELD = "spec.judging.calibration"


async def pairs(context: ShardContext[PairsRecipe]) -> Outcome:
    """Make `pairs`."""
    try:
        return await asyncio.to_thread(_pairs, context)
    except ConfigurationError as error:
        raise error.under(FIELD) from error


def _pairs(context: ShardContext[PairsRecipe]) -> Outcome:
    recipe = context.recipe
    found = read_pairs(recipe, context.task.store)
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, PAIRS) as table:
        for number, pair in enumerate(found.pairs):
            table.write(
                {
                    "instruction_id": instruction_id(recipe.ref.key, number),
                    "instruction": pair.instruction,
                    "history": pair.history or None,
                    **dict(zip(ANSWERS, pair.answers, strict=True)),
                    "better": ANSWERS[0 if pair.first_better else 1],
                    "source_row": pair.row,
                }
            )
    counts = {"ties": found.ties, "bad": found.bad.count}
    seal = context.artifacts.publish(recipe.ref, context.shard, {"rows": path}, rows=len(found.pairs), counts=counts)
    return Outcome.of([seal])
