"""Grading: how much skill does an instruction ask for?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiltyard_jobs.contracts.recipes import GradeRecipe
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.results.stage_tables import GRADES
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.earlier import about
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.stages.asking import NO_OPINION, ask_all, model_of, rows_of_part
from tiltyard_jobs.stages.chats import ask_grade
from tiltyard_jobs.stages.reuse import Texts


async def grade(context: ShardContext[GradeRecipe]) -> Outcome:
    """Make one part of `grades[g, a]`."""
    recipe, shard = context.recipe, context.shard
    part = rows_of_part(context.artifacts, recipe.instructions, shard, recipe.shard_size)

    async with model_of(context) as client:

        def blank(instruction: dict[str, Any]) -> dict[str, Any]:
            return {"instruction_id": instruction["instruction_id"], "grader_id": recipe.grader.id}

        async def ask(instruction: dict[str, Any]) -> dict[str, Any]:
            seed = seed_of(recipe.grader.id, instruction["instruction_id"])
            history = instruction.get("history")
            score, usage = await ask_grade(client, recipe, instruction["instruction"], seed, history)
            return blank(instruction) | {
                "score": score,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
            }

        def void(instruction: dict[str, Any], reason: VoidReason, detail: str) -> dict[str, Any]:
            return blank(instruction) | {"void": str(reason), "detail": detail}

        columns = ["instruction_id", "instruction", "history"]
        rows = context.artifacts.rows(recipe.instructions, columns=columns, start=part.start, stop=part.stop)
        items: Iterator[WorkItem[dict[str, Any]]] = (WorkItem(0, row, payload) for row, payload in enumerate(rows))
        return await ask_all(
            context,
            items,
            ask,
            void,
            schema=GRADES,
            rows=(len(part),),
            failing=NO_OPINION,
            texts=lambda one: Texts(recipe, about(one["instruction"], one.get("history") or None)),
            again=lambda one, row: row | blank(one),
        )
