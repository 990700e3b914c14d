"""Solving: a model writes one program for each task of a benchmark. Nothing runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from tiltyard_jobs.contracts.target_recipes import SolveRecipe
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.evaluation.tasks import Task, load_tasks
from tiltyard_jobs.llm.client import Sampling
from tiltyard_jobs.llm.reply import ChatReply, Completion
from tiltyard_jobs.records import SOLUTIONS, seed_of
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.stages.asking import ask_all, model_of


async def solve(context: ShardContext) -> Outcome:
    """Make one part of `solutions[model, benchmark]`: greedy, one reply for each task (pass@1)."""
    ((recipe, shard),) = context.parts
    assert isinstance(recipe, SolveRecipe)
    tasks = await asyncio.to_thread(load_tasks, recipe.tasks, context.task.store)
    mine = tasks[shard * recipe.shard_size : (shard + 1) * recipe.shard_size]
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=recipe.max_tokens)

    async with model_of(context) as client:

        async def ask(task: Task) -> dict[str, Any]:
            seed = seed_of(recipe.model.id, recipe.tasks.name, task.task_id)
            row: dict[str, Any] = {"task_id": task.task_id, "model_id": recipe.model.id}
            reply: Completion | ChatReply
            try:
                if recipe.style == "Completion":
                    reply = await client.complete(task.prompt, sampling=sampling, seed=seed, stop=task.stops)
                else:
                    messages = [{"role": "user", "content": task.message()}]
                    reply = await client.chat(messages, sampling=sampling, seed=seed)
            except RecordVoidError as error:
                if error.reason is not VoidReason.EMPTY:
                    raise
                return row | {"reply": ""}  # to say nothing is to fail
            return row | {
                "reply": reply.text,
                "finish_reason": reply.finish_reason,
                "prompt_tokens": reply.usage.prompt_tokens,
                "completion_tokens": reply.usage.completion_tokens,
            }

        def void(task: Task, reason: VoidReason, detail: str) -> dict[str, Any]:
            return {
                "task_id": task.task_id,
                "model_id": recipe.model.id,
                "void": str(reason),
                "detail": detail,
            }

        items: Iterator[WorkItem[Task]] = (WorkItem(0, row, task) for row, task in enumerate(mine))
        return await ask_all(context, items, ask, void, schema=SOLUTIONS, rows=(len(mine),))
