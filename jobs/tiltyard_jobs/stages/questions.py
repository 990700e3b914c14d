"""What a task of lm-evaluation-harness asks: made once, for all models that are asked in one style."""

from __future__ import annotations

import asyncio
from typing import Any

from tiltyard_jobs.contracts.recipes import QuestionsRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.lm_tasks import FIELD, Harness
from tiltyard_jobs.results.stage_tables import QUESTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.shard.tables import TableWriter


async def questions(context: ShardContext[QuestionsRecipe]) -> Outcome:
    """Make `questions[benchmark, style]`, in the harness's order."""
    recipe = context.recipe
    harness = Harness(context.task.lm_eval_python, context.task.store, context.work_dir)
    wording = harness.requests(recipe.tasks, chat=recipe.style == "Chat", max_tokens=recipe.max_tokens)
    try:
        rows = await unless_stopped(wording, context.stop)
    except ConfigurationError as error:
        raise error.under(FIELD) from error
    return await asyncio.to_thread(_publish, context, rows)


def _publish(context: ShardContext[QuestionsRecipe], rows: list[dict[str, Any]]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, QUESTIONS) as table:
        for row in rows:
            table.write(row)
    return Outcome.of([context.artifacts.publish(recipe.ref, shard, {"rows": path}, rows=len(rows))])
