"""Solving: a model replies to each task of a benchmark. Nothing runs here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from typing import Any

from tiltyard_jobs.contracts.recipes import QuestionSet, SolveRecipe, TaskSetRecipe
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.evaluation.benchmarks.base import Task
from tiltyard_jobs.evaluation.tasks import load_tasks
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.likelihood import likelihood
from tiltyard_jobs.llm.reply import ChatReply, Completion
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.results.stage_tables import HARNESS_REPLIES, SOLUTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.stages.asking import ask_all, model_of

Row = dict[str, Any]

# To say nothing is to fail, also for a model that thinks longer than it may.
NO_ANSWER = frozenset({VoidReason.EMPTY, VoidReason.NO_ANSWER, VoidReason.THOUGHT_UNFINISHED, VoidReason.TRUNCATED})

MOST_STOPS = 4  # that a server takes; a reply is cut at all of them where it is measured


async def solve(context: ShardContext[SolveRecipe]) -> Outcome:
    """Make one part of `solutions[model, benchmark]`: one reply for each task."""
    recipe, shard = context.recipe, context.shard
    if isinstance(recipe.tasks, QuestionSet):
        return await _answer_questions(context, recipe.tasks)
    return await _write_programs(context, recipe.tasks, shard)


async def _answer_questions(context: ShardContext[SolveRecipe], asked: QuestionSet) -> Outcome:
    recipe = context.recipe
    questions = await asyncio.to_thread(lambda: list(context.artifacts.rows(asked.questions)))

    async with model_of(context) as client:

        async def ask(question: Row) -> Row:
            seed = seed_of(recipe.model.id, asked.name, question["request_id"])
            identity = {"request_id": question["request_id"], "model_id": recipe.model.id}
            return identity | await _answer(client, question, seed)

        def void(question: Row, reason: VoidReason, detail: str) -> Row:
            return {
                "request_id": question["request_id"],
                "model_id": recipe.model.id,
                "void": str(reason),
                "detail": detail,
            }

        items: Iterator[WorkItem[Row]] = (WorkItem(0, row, question) for row, question in enumerate(questions))
        return await ask_all(context, items, ask, void, schema=HARNESS_REPLIES, rows=(len(questions),))


async def _answer(client: ModelClient, question: Row, seed: int) -> Row:
    if question["continuation"] is not None:
        found = await likelihood(client, question["context"], question["continuation"], seed=seed)
        return {"logprob": found.logprob, "greedy": found.greedy, "prompt_tokens": found.usage.prompt_tokens}
    sampling = Sampling(temperature=question["temperature"], top_p=question["top_p"], max_tokens=question["max_tokens"])
    stops = question["until"][:MOST_STOPS]
    if question["messages"] is not None:
        messages = json.loads(question["messages"])
        return await _reply(client.chat(messages, sampling=sampling, seed=seed, stop=stops))
    return await _reply(client.complete(question["prompt"], sampling=sampling, seed=seed, stop=stops))


async def _reply(asking: Awaitable[Completion | ChatReply]) -> Row:
    """What a reply adds to its row."""
    try:
        reply = await asking
    except RecordVoidError as error:
        if error.reason not in NO_ANSWER:
            raise
        return {"reply": "", "detail": str(error)}
    return {
        "reply": reply.answer,
        "finish_reason": reply.finish_reason,
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
    }


async def _write_programs(context: ShardContext[SolveRecipe], task_set: TaskSetRecipe, shard: int) -> Outcome:
    """Greedy, one reply for each task (pass@1)."""
    recipe = context.recipe
    tasks = await asyncio.to_thread(load_tasks, task_set, context.task.store)
    mine = tasks[shard * recipe.shard_size : (shard + 1) * recipe.shard_size]
    sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=recipe.max_tokens)

    async with model_of(context) as client:

        async def ask(task: Task) -> Row:
            seed = seed_of(recipe.model.id, task_set.name, task.task_id)
            row: Row = {"task_id": task.task_id, "model_id": recipe.model.id}
            if recipe.style == "Completion":
                return row | await _reply(client.complete(task.prompt, sampling=sampling, seed=seed, stop=task.stops))
            messages = [{"role": "user", "content": task.message()}]
            return row | await _reply(client.chat(messages, sampling=sampling, seed=seed))

        def void(task: Task, reason: VoidReason, detail: str) -> Row:
            return {
                "task_id": task.task_id,
                "model_id": recipe.model.id,
                "void": str(reason),
                "detail": detail,
            }

        items: Iterator[WorkItem[Task]] = (WorkItem(0, row, task) for row, task in enumerate(mine))
        return await ask_all(context, items, ask, void, schema=SOLUTIONS, rows=(len(mine),))
