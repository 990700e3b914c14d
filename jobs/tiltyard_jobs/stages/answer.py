"""Answering: a competitor answers one attacker's curated instructions, once; the answers serve every match."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tiltyard_jobs.contracts.recipes import AnswerRecipe
from tiltyard_jobs.errors import VoidReason
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.results.columns import with_thoughts
from tiltyard_jobs.results.stage_tables import ANSWERS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.earlier import about
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.stages.asking import SERVER_FAILURES, ask_all, model_of, rows_of_part
from tiltyard_jobs.stages.chats import ask_answer
from tiltyard_jobs.stages.reuse import Texts

FAILING = SERVER_FAILURES | {VoidReason.EMPTY}


async def answer(context: ShardContext[AnswerRecipe]) -> Outcome:
    """Make one part of `answers[c, a]`. An answer cut by the token limit is an answer; its finish reason says so."""
    recipe, shard = context.recipe, context.shard
    part = rows_of_part(context.artifacts, recipe.instructions, shard, recipe.shard_size)
    keeps_thoughts = recipe.thoughts == "Keep"
    schema = with_thoughts(ANSWERS) if keeps_thoughts else ANSWERS

    async with model_of(context) as client:

        async def ask(instruction: dict[str, Any]) -> dict[str, Any]:
            seed = seed_of(recipe.seed, recipe.model.id, instruction["instruction_id"])
            reply = await ask_answer(client, recipe, instruction["instruction"], seed, instruction.get("history"))
            return {
                "instruction_id": instruction["instruction_id"],
                "model_id": recipe.model.id,
                "answer": reply.answer,
                **({"thought": reply.thought} if keeps_thoughts else {}),
                "finish_reason": reply.finish_reason,
                "prompt_tokens": reply.usage.prompt_tokens,
                "completion_tokens": reply.usage.completion_tokens,
            }

        def void(instruction: dict[str, Any], reason: VoidReason, detail: str) -> dict[str, Any]:
            return {
                "instruction_id": instruction["instruction_id"],
                "model_id": recipe.model.id,
                "void": str(reason),
                "detail": detail,
            }

        columns = ["instruction_id", "instruction", "history"]
        rows = context.artifacts.rows(recipe.instructions, columns=columns, start=part.start, stop=part.stop)
        items: Iterator[WorkItem[dict[str, Any]]] = (WorkItem(0, row, payload) for row, payload in enumerate(rows))
        return await ask_all(
            context,
            items,
            ask,
            void,
            schema=schema,
            rows=(len(part),),
            failing=FAILING,
            texts=lambda one: Texts(recipe, about(one["instruction"], one.get("history") or None)),
            again=lambda one, row: row | {"instruction_id": one["instruction_id"]},
        )
