"""Which tasks of a benchmark can be solved where its programs run: made once, for all models.

The benchmark's authors give a solution of each task. Where that one fails, a library is missing or another one than the
task is about, or the sandbox refuses what the task is about: a model's failure would say nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tiltyard_jobs.contracts.recipes import ReferencesRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.benchmarks.base import SolvedTask
from tiltyard_jobs.evaluation.tasks import load_tasks
from tiltyard_jobs.results.stage_tables import REFERENCES
from tiltyard_jobs.sandbox.host import ProgramOutcome as Ran
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.stages.running import run_all

FIELD = "spec.evaluation.environments"
WHY_LENGTH = 120


async def references(context: ShardContext[ReferencesRecipe]) -> Outcome:
    """Make `references[benchmark]`.

    Raises:
        ConfigurationError: no solution passes.
    """
    recipe = context.recipe
    loaded = await asyncio.to_thread(load_tasks, recipe.tasks, context.task.store)
    tasks = [task for task in loaded if isinstance(task, SolvedTask)]
    assert len(tasks) == len(loaded), f"the authors of {recipe.tasks.name} give solutions"
    ran = await run_all(context, [task.reference() for task in tasks], recipe.by)
    failed = Counter(f"{one.verdict}: {one.detail[:WHY_LENGTH]}" for one in ran if one.verdict != "Passed")
    if failed.total() == len(tasks):
        why, _ = failed.most_common(1)[0]
        place = context.task.programs_python or recipe.by.environment
        raise ConfigurationError(
            f"{FIELD}: none of the solutions by the authors of {recipe.tasks.name} passes in {place}: {why}"
        )
    context.log.info("reference solutions", tasks=len(tasks), passed=len(tasks) - failed.total())
    return await asyncio.to_thread(_publish, context, [task.task_id for task in tasks], ran)


def _publish(context: ShardContext[ReferencesRecipe], ids: list[str], ran: list[Ran]) -> Outcome:
    recipe = context.recipe
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, REFERENCES) as table:
        for task_id, one in zip(ids, ran, strict=True):
            row: dict[str, Any] = {"task_id": task_id, "outcome": one.verdict, "detail": one.detail}
            table.write(row)
    counts = Counter[str](one.verdict for one in ran)
    seal = context.artifacts.publish(recipe.ref, 0, {"rows": path}, rows=len(ids), counts=counts)
    return Outcome.of([seal])
