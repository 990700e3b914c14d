"""Answers that exist already, from files of the user's, instead of a model's."""

from __future__ import annotations

import asyncio
from collections import Counter

from tiltyard_jobs.contracts.recipes import CollectRecipe
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError
from tiltyard_jobs.results.columns import Row, with_thoughts
from tiltyard_jobs.results.stage_tables import ANSWERS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.useranswers import Answers, Asked, read_answers

FIELD = "spec.competitors"


async def collect(context: ShardContext[CollectRecipe]) -> Outcome:
    """Make `answers[c, a]` of a competitor whose answers exist; an instruction without one has a void row."""
    try:
        return await asyncio.to_thread(_collect, context)
    except ConfigurationError as error:
        raise error.under(FIELD) from error


def _collect(context: ShardContext[CollectRecipe]) -> Outcome:
    recipe, where = context.recipe, context.recipe.model.answers
    assert where is not None, "a model has no existing answers"
    columns = ["instruction_id", "instruction", "source_id"]
    asked = {
        row["instruction_id"]: Asked(row["source_id"], row["instruction"]).name(where)
        for row in context.artifacts.rows(recipe.instructions, columns=columns)
    }
    answers = read_answers(recipe.model, set(asked.values()), context.task.store)
    path, voids = context.work_dir / "rows.parquet", Counter[str]()
    thoughts = recipe.thoughts == "Keep"
    with TableWriter(path, with_thoughts(ANSWERS) if thoughts else ANSWERS) as table:
        for instruction, name in asked.items():
            row = _answer(answers, name, thoughts=thoughts)
            voids.update([row["void"]] if "void" in row else [])
            table.write({"instruction_id": instruction, "model_id": recipe.model.id} | row)
    seal = context.artifacts.publish(recipe.ref, context.shard, {"rows": path}, rows=len(asked), voids=voids)
    return Outcome.of([seal])


def _answer(answers: Answers, name: int, *, thoughts: bool) -> Row:
    try:
        parts = answers.take(name)
    except RecordVoidError as error:
        return {"void": str(error.reason), "detail": error.detail}
    return {"answer": parts.answer} | ({"thought": parts.thought} if thoughts else {})
