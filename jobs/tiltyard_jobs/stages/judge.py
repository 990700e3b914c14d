"""Judging: a model that plays in none of these matches compares two answers to each instruction.

All matches of one attacker that this judge sees are judged together, instruction by instruction: prompts that begin
with the same criteria, instruction and first answer follow one another, so that the server's prefix cache serves them.
The order of asking is not the order of rows: rows stay by instruction, then order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.conversation import Turns
from tiltyard_jobs.contracts.recipe import ArtifactRef
from tiltyard_jobs.contracts.recipes import JudgeRecipe
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.records import seed_of
from tiltyard_jobs.results.stage_tables import VERDICTS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.earlier import about
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.stages.asking import NO_OPINION, ask_all, model_of, rows_of_part
from tiltyard_jobs.stages.chats import ask_verdict
from tiltyard_jobs.stages.reuse import Texts


class Comparison(NamedTuple):
    """One verdict to ask for."""

    recipe: JudgeRecipe
    order: str
    instruction_id: str
    instruction: str
    history: Turns | None
    answer_a: str | None
    answer_b: str | None


async def judge(context: ShardContext[JudgeRecipe]) -> Outcome:
    """Make one part of `verdicts[j, a, d]` for each match of the index; all are over one attacker's instructions."""
    recipes = [recipe for recipe, _ in context.parts]
    first, shard = recipes[0], context.shard
    part = rows_of_part(context.artifacts, first.instructions, shard, first.instructions_per_shard)
    prompt = JudgePrompt.of(first)

    async with model_of(context) as client:

        def blank(item: Comparison) -> dict[str, Any]:
            return {
                "instruction_id": item.instruction_id,
                "model_a_id": item.recipe.player_a.id,
                "model_b_id": item.recipe.player_b.id,
                "judge_id": item.recipe.judge.id,
                "order": item.order,
            }

        async def ask(item: Comparison) -> dict[str, Any]:
            if item.answer_a is None or item.answer_b is None:
                raise RecordVoidError(VoidReason.INPUT_VOID)
            a_first = item.order == "AB"
            answers = (item.answer_a, item.answer_b)
            shown = (item.instruction, *(answers if a_first else answers[::-1]))
            seed = seed_of(first.seed, item.instruction_id, *pair_and_order(item))
            verdict, usage = await ask_verdict(client, first, prompt, shown, seed, item.history)
            return blank(item) | {
                "vote": verdict.vote if a_first else round(1 - verdict.vote, 6),
                "reason": verdict.reason,
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
            }

        def void(item: Comparison, reason: VoidReason, detail: str) -> dict[str, Any]:
            return blank(item) | {"void": str(reason), "detail": detail}

        def texts(item: Comparison) -> Texts:
            shown = (item.answer_a, item.answer_b) if item.order == "AB" else (item.answer_b, item.answer_a)
            return Texts(item.recipe, about(item.instruction, item.history or None, *shown))

        def again(item: Comparison, row: dict[str, Any]) -> dict[str, Any]:
            # The vote is for A, who may have been the one that was shown second.
            return (
                row | blank(item) | {"vote": row["vote"] if row["order"] == item.order else round(1 - row["vote"], 6)}
            )

        count = len(part) * (2 if first.orders == "Both" else 1)
        items = comparisons(context, recipes, part)
        counts = (count,) * len(recipes)
        return await ask_all(
            context,
            items,
            ask,
            void,
            schema=VERDICTS,
            rows=counts,
            failing=NO_OPINION,
            texts=texts,
            again=again,
        )


def pair_and_order(item: Comparison) -> tuple[str, str, str, str]:
    """What tells this verdict from the others on its instruction."""
    return item.recipe.judge.id, item.recipe.player_a.id, item.recipe.player_b.id, item.order


def orders_of(recipe: JudgeRecipe, row: int) -> tuple[str, ...]:
    """The orders in which instruction `row` is judged: AB shows A's answer first."""
    if recipe.orders == "Both":
        return ("AB", "BA")
    return ("AB",) if row % 2 == 0 else ("BA",)


def comparisons(
    context: ShardContext[JudgeRecipe], recipes: list[JudgeRecipe], part: range
) -> Iterator[WorkItem[Comparison]]:
    """All comparisons of these instructions: by instruction, then by the answer that is shown first."""
    first = recipes[0]
    sources = {
        (ref.key, column): ref
        for recipe in recipes
        for ref, column in zip((recipe.answers_a, recipe.answers_b), recipe.columns, strict=True)
    }
    sequences = {orders: sequence(recipes, orders) for orders in (orders_of(first, 0), orders_of(first, 1))}

    def window(ref: ArtifactRef, *columns: str) -> Iterator[dict[str, Any]]:
        return context.artifacts.rows(ref, columns=columns, start=part.start, stop=part.stop)

    instructions = window(first.instructions, "instruction_id", "instruction", "history")
    answers = zip(*(window(ref, column) for (_, column), ref in sources.items()), strict=True)
    for position, (instruction, replies) in enumerate(zip(instructions, answers, strict=True)):
        by_place = {place: reply[place[1]] for place, reply in zip(sources, replies, strict=True)}
        orders = orders_of(first, part.start + position)
        for turn, index in sequences[orders]:
            recipe = recipes[index]
            comparison = Comparison(
                recipe,
                orders[turn],
                instruction["instruction_id"],
                instruction["instruction"],
                instruction.get("history"),
                by_place[recipe.answers_a.key, recipe.columns[0]],
                by_place[recipe.answers_b.key, recipe.columns[1]],
            )
            yield WorkItem(index, position * len(orders) + turn, comparison)


def sequence(recipes: list[JudgeRecipe], orders: tuple[str, ...]) -> list[tuple[int, int]]:
    """In which sequence the verdicts on one instruction are asked for, as (place in `orders`, place in `recipes`)."""
    by_first_answer: dict[str, list[tuple[int, int]]] = {}
    for turn, order in enumerate(orders):
        for index, recipe in enumerate(recipes):
            first = recipe.answers_a if order == "AB" else recipe.answers_b
            by_first_answer.setdefault(first.key, []).append((turn, index))
    return [asked for group in by_first_answer.values() for asked in group]
