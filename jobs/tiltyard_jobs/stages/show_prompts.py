"""The first prompt of each kind that each model would get, word for word: for `tiltyard plan --prompts`.

Texts that do not exist yet have a placeholder, whose fence has a tag of its own: another text has another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from tiltyard_jobs.contracts.recipes import AnswerRecipe, GradeRecipe, JudgeRecipe, MineRecipe
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import ShownPrompt
from tiltyard_jobs.llm.template import prefix_from_template
from tiltyard_jobs.prompts.answer import answer_messages
from tiltyard_jobs.prompts.grade import grade_messages
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.shard.context import ShowPromptsContext
from tiltyard_jobs.tokenizers import chat_template_of

INSTRUCTION, FIRST, SECOND = "[the instruction]", "[the first answer]", "[the second answer]"
FROM_TEMPLATE = (
    "The model's own chat template up to where the user's words would begin, as its server renders it once it is up."
)

FROM_TOKENIZER = "The chat template of the tokenizer {} up to where the user's words would begin."


async def show_prompts(context: ShowPromptsContext) -> Summary:
    """Write the prompts to the task's file."""
    task = context.task
    shown = [
        ShownPrompt(
            stage=asked.recipe.stage, model=asked.model, about=asked.about, **PROMPTS[type(asked.recipe)](asked.recipe)
        )
        for asked in task.asked
        if type(asked.recipe) in PROMPTS
    ]
    document = orjson.dumps([prompt.model_dump(mode="json", by_alias=True) for prompt in shown])
    await asyncio.to_thread(Path(task.file).write_bytes, document)
    return Summary(exit_code=0)


def _mine(recipe: MineRecipe) -> dict[str, Any]:
    if recipe.prefix is not None:
        return {"text": recipe.prefix}
    system, tokenizer = recipe.systems[0], recipe.tokenizer
    if tokenizer is not None and tokenizer.uri.startswith("file://"):
        return {"text": prefix_from_template(chat_template_of(tokenizer, Path()), system=system).text}
    note = FROM_TEMPLATE if tokenizer is None else FROM_TOKENIZER.format(tokenizer.uri)
    return {"note": note, "messages": [] if system is None else [{"role": "system", "content": system}]}


def _grade(recipe: GradeRecipe) -> dict[str, Any]:
    return {"messages": grade_messages(INSTRUCTION, recipe.instructions.key, recipe.criteria)}


def _answer(recipe: AnswerRecipe) -> dict[str, Any]:
    return {"messages": answer_messages(INSTRUCTION, recipe.system)}


def _judge(recipe: JudgeRecipe) -> dict[str, Any]:
    return {"messages": JudgePrompt.of(recipe).messages(INSTRUCTION, FIRST, SECOND)}


PROMPTS: Mapping[type, Callable[[Any], dict[str, Any]]] = {
    MineRecipe: _mine,
    GradeRecipe: _grade,
    AnswerRecipe: _answer,
    JudgeRecipe: _judge,
}
"""By the recipe whose stage asks: the members of `ShownPrompt` that say what."""
