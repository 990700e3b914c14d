"""Scoring: the programs that a model wrote are run against their tests, each in a sandbox of its own."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.target_recipes import ScoreRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.evaluation.tasks import Task, load_tasks
from tiltyard_jobs.records import SCORES
from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.exchange import ask
from tiltyard_jobs.sandbox.host import Limits, run_programs
from tiltyard_jobs.sandbox.host import Outcome as Ran
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.shard.tables import TableWriter


async def score(context: ShardContext) -> Outcome:
    """Make `scores[model, benchmark]`. A void solution is no failure of the model: it is not scored, and counted."""
    ((recipe, shard),) = context.parts
    assert isinstance(recipe, ScoreRecipe)
    tasks = await asyncio.to_thread(load_tasks, recipe.tasks, context.task.store)
    solutions = await asyncio.to_thread(lambda: list(context.artifacts.rows(recipe.solutions)))
    programs = {
        place: _program(recipe, task, row)
        for place, (task, row) in enumerate(zip(tasks, solutions, strict=True))
        if row["void"] is None
    }
    limits = Limits(seconds=recipe.seconds, memory=recipe.memory)
    ran = await unless_stopped(_run(context, list(programs.values()), limits), context.stop)
    outcomes = dict(zip(programs, ran, strict=True))
    return await asyncio.to_thread(_publish, context, recipe, shard, solutions, outcomes)


def _program(recipe: ScoreRecipe, task: Task, row: Mapping[str, Any]) -> str:
    assert row["task_id"] == task.task_id, "solutions are in the tasks' order"
    return (task.from_chat if recipe.style == "Chat" else task.from_completion)(row["reply"])


SANDBOX_VARIABLE = "TILTYARD_SANDBOX"
"""Names a folder whose server runs the programs; without it this process's children do."""


async def _run(context: ShardContext, programs: list[str], limits: Limits) -> list[Ran]:
    found: dict[int, Ran] = {}
    try:
        if (folder := os.environ.get(SANDBOX_VARIABLE)) is not None:
            return await ask(Path(folder), programs, limits, context.progress.advance)
        async for place, outcome in run_programs(programs, limits, len(os.sched_getaffinity(0))):
            found[place] = outcome
            context.progress.advance(len(found), len(programs))
    except ConfinementError as error:
        raise ConfigurationError(f"spec.evaluation: programs of models cannot be run here: {error}") from None
    return [found[place] for place in range(len(programs))]


def _publish(
    context: ShardContext,
    recipe: ScoreRecipe,
    shard: int,
    solutions: list[dict[str, Any]],
    outcomes: Mapping[int, Ran],
) -> Outcome:
    path = context.work_dir / "rows.parquet"
    counts, voids = Counter[str](), Counter[str]()
    with TableWriter(path, SCORES) as table:
        for place, row in enumerate(solutions):
            record = {"task_id": row["task_id"], "model_id": row["model_id"], "void": row["void"]}
            if (ran := outcomes.get(place)) is not None:
                record |= {"passed": ran.verdict == "Passed", "outcome": ran.verdict, "detail": ran.detail}
                counts[ran.verdict] += 1
            else:
                voids[row["void"]] += 1
            table.write(record)
    seal = context.artifacts.publish(recipe.ref, shard, {"rows": path}, rows=len(solutions), voids=voids, counts=counts)
    return Outcome.of([seal])
