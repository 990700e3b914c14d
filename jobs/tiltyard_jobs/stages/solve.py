"""Solving: a model replies to each task of a benchmark. Nothing runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from tiltyard_jobs.contracts.target_recipes import LmEvalRecipe, SolveRecipe, TaskSetRecipe
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.evaluation.lm_tasks import Harness, Request
from tiltyard_jobs.evaluation.tasks import Task, load_tasks
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.likelihood import likelihood
from tiltyard_jobs.llm.reply import ChatReply, Completion
from tiltyard_jobs.records import HARNESS_REPLIES, SOLUTIONS, seed_of
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.stages.asking import ask_all, model_of

MOST_STOPS = 4  # that a server takes; a reply is cut at all of them where it is measured


async def solve(context: ShardContext) -> Outcome:
    """Make one part of `solutions[model, benchmark]`: one reply for each task."""
    ((recipe, shard),) = context.parts
    assert isinstance(recipe, SolveRecipe)
    if isinstance(recipe.tasks, LmEvalRecipe):
        return await _answer_harness(context, recipe, recipe.tasks)
    return await _write_programs(context, recipe, recipe.tasks, shard)


async def _answer_harness(context: ShardContext, recipe: SolveRecipe, tasks: LmEvalRecipe) -> Outcome:
    harness = Harness(context.task.lm_eval_python, context.task.store, context.work_dir)
    asking = harness.requests(tasks, chat=recipe.style == "Chat", max_tokens=recipe.max_tokens)
    requests = await unless_stopped(asking, context.stop)

    async with model_of(context) as client:

        async def ask(request: Request) -> dict[str, Any]:
            seed = seed_of(recipe.model.id, tasks.name, request.id)
            return {"request_id": request.id, "model_id": recipe.model.id} | await _answer(client, request, seed)

        def void(request: Request, reason: VoidReason, detail: str) -> dict[str, Any]:
            return {
                "request_id": request.id,
                "model_id": recipe.model.id,
                "void": str(reason),
                "detail": detail,
            }

        items: Iterator[WorkItem[Request]] = (WorkItem(0, row, request) for row, request in enumerate(requests))
        return await ask_all(context, items, ask, void, schema=HARNESS_REPLIES, rows=(len(requests),))


async def _answer(client: ModelClient, request: Request, seed: int) -> dict[str, Any]:
    if request.continuation is not None:
        found = await likelihood(client, request.context, request.continuation, seed=seed)
        return {"logprob": found.logprob, "greedy": found.greedy, "prompt_tokens": found.usage.prompt_tokens}
    sampling = Sampling(temperature=request.temperature, top_p=request.top_p, max_tokens=request.max_tokens)
    stops = request.until[:MOST_STOPS]
    try:
        reply: Completion | ChatReply
        if request.messages is not None:
            reply = await client.chat(request.messages, sampling=sampling, seed=seed, stop=stops)
        else:
            assert request.prompt is not None
            reply = await client.complete(request.prompt, sampling=sampling, seed=seed, stop=stops)
    except RecordVoidError as error:
        if error.reason is not VoidReason.EMPTY:
            raise
        return {"reply": ""}  # to say nothing is to fail
    return {
        "reply": reply.text,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
    }


async def _write_programs(context: ShardContext, recipe: SolveRecipe, task_set: TaskSetRecipe, shard: int) -> Outcome:
    """Greedy, one reply for each task (pass@1)."""
    tasks = await asyncio.to_thread(load_tasks, task_set, context.task.store)
    mine = tasks[shard * recipe.shard_size : (shard + 1) * recipe.shard_size]
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=recipe.max_tokens)

    async with model_of(context) as client:

        async def ask(task: Task) -> dict[str, Any]:
            seed = seed_of(recipe.model.id, task_set.name, task.task_id)
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
