"""Trying a judge that does nothing else before anybody is asked for answers; what is tried is in `probing`."""

from __future__ import annotations

import asyncio

from tiltyard_jobs.contracts.recipes import ProbeRecipe
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.stages.asking import model_of


async def probe(context: ShardContext[ProbeRecipe]) -> Outcome:
    """Seal a part without rows once the model has passed the task's probes, as each model's first shard has to."""
    async with model_of(context):
        seal = await asyncio.to_thread(context.artifacts.publish, context.recipe.ref, context.shard, {})
    return Outcome.of([seal])
