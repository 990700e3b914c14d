"""What a task of lm-evaluation-harness says, so that it is kept out of the training data."""

from __future__ import annotations

import asyncio

from tiltyard_jobs.contracts.recipes import TextsRecipe
from tiltyard_jobs.curation.decontaminate import matchable
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.lm_tasks import FIELD, Harness
from tiltyard_jobs.results.stage_tables import TEXTS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.shard.tables import TableWriter


async def texts(context: ShardContext[TextsRecipe]) -> Outcome:
    """Make `texts[benchmark]`, in the order of its records. A text too short to be found again is left out."""
    harness = Harness(context.task.lm_eval_python, context.task.store, context.work_dir)
    try:
        said = await unless_stopped(harness.texts(context.recipe.tasks), context.stop)
    except ConfigurationError as error:
        raise error.under(FIELD) from error
    return await asyncio.to_thread(_publish, context, matchable(said))


def _publish(context: ShardContext[TextsRecipe], said: list[str]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, TEXTS) as table:
        for text in said:
            table.write({"text": text})
    return Outcome.of([context.artifacts.publish(recipe.ref, shard, {"rows": path}, rows=len(said))])
