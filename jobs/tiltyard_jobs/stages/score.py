"""Scoring: programs that a model wrote run against their tests, each in a sandbox; other replies are measured."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import (
    LmEvalRecipe,
    MetricRecipe,
    ProgramsRecipe,
    ScoreRecipe,
    TaskSetRecipe,
)
from tiltyard_jobs.errors import ConfigurationError, VoidReason
from tiltyard_jobs.evaluation.benchmarks.base import Task
from tiltyard_jobs.evaluation.lm_tasks import FIELD, Harness
from tiltyard_jobs.evaluation.tasks import load_tasks
from tiltyard_jobs.results.stage_tables import TASK_SCORES
from tiltyard_jobs.sandbox.host import ProgramOutcome as Ran
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.stages.running import run_all


async def score(context: ShardContext[ScoreRecipe]) -> Outcome:
    """Make `scores[model, benchmark]`. What is void is no failure of the model: it is not scored, and counted."""
    recipe = context.recipe
    if isinstance(recipe.tasks, LmEvalRecipe):
        assert isinstance(recipe.by, MetricRecipe)
        return await _measure(context, recipe.tasks, recipe.by)
    assert isinstance(recipe.by, ProgramsRecipe)
    return await _run_programs(context, recipe.tasks, recipe.by)


async def _measure(context: ShardContext[ScoreRecipe], tasks: LmEvalRecipe, by: MetricRecipe) -> Outcome:
    recipe = context.recipe
    replies = await asyncio.to_thread(lambda: list(context.artifacts.rows(recipe.solutions)))
    harness = Harness(context.task.lm_eval_python, context.task.store, context.work_dir)
    measuring = harness.measure(tasks, by.metric, replies, chat=recipe.style == "Chat")
    try:
        measured = await unless_stopped(measuring, context.stop)
    except ConfigurationError as error:
        raise error.under(FIELD) from error
    model = replies[0]["model_id"]
    records = [
        {
            "task_id": one.id,
            "model_id": model,
            "value": one.value,
            "outcome": one.metric if one.void is None else None,
            "void": one.void,
        }
        for one in measured
    ]
    return await asyncio.to_thread(_publish, context, records)


async def _run_programs(context: ShardContext[ScoreRecipe], task_set: TaskSetRecipe, by: ProgramsRecipe) -> Outcome:
    recipe = context.recipe
    tasks = await asyncio.to_thread(load_tasks, task_set, context.task.store)
    solutions = await asyncio.to_thread(lambda: list(context.artifacts.rows(recipe.solutions)))
    if recipe.references is not None:
        unsolvable = await asyncio.to_thread(_unsolvable, context, recipe.references)
        void = str(VoidReason.UNSOLVABLE)
        solutions = [{**row, "void": void} if row["task_id"] in unsolvable else row for row in solutions]
    programs = {
        place: _program(recipe, task, row)
        for place, (task, row) in enumerate(zip(tasks, solutions, strict=True))
        if row["void"] is None
    }
    outcomes = dict(zip(programs, await run_all(context, list(programs.values()), by), strict=True))
    records = [_record(row, outcomes.get(place)) for place, row in enumerate(solutions)]
    return await asyncio.to_thread(_publish, context, records)


def _program(recipe: ScoreRecipe, task: Task, row: Mapping[str, Any]) -> str:
    assert row["task_id"] == task.task_id, "solutions are in the tasks' order"
    return (task.from_chat if recipe.style == "Chat" else task.from_completion)(row["reply"])


def _unsolvable(context: ShardContext[ScoreRecipe], references: ArtifactRef) -> set[str]:
    """Tasks whose authors' own solution does not pass here."""
    return {row["task_id"] for row in context.artifacts.rows(references) if row["outcome"] != "Passed"}


def _record(solution: Mapping[str, Any], ran: Ran | None) -> dict[str, Any]:
    record = {"task_id": solution["task_id"], "model_id": solution["model_id"], "void": solution["void"]}
    if ran is None:
        return record
    return record | {"value": float(ran.verdict == "Passed"), "outcome": ran.verdict, "detail": ran.detail}


def _publish(context: ShardContext[ScoreRecipe], records: list[dict[str, Any]]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, TASK_SCORES) as table:
        for record in records:
            table.write(record)
    voids = Counter[str](record["void"] for record in records if record["void"] is not None)
    counts = Counter[str](record["outcome"] for record in records if record["void"] is None)
    seal = context.artifacts.publish(recipe.ref, shard, {"rows": path}, rows=len(records), voids=voids, counts=counts)
    return Outcome.of([seal])
