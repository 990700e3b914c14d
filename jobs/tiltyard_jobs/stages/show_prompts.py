"""The first prompt of each kind that each model would get, word for word: for `tiltyard plan --prompts`.

An instruction that is given in a file on this machine is the first one there. Texts that do not exist yet have a
placeholder, whose fence has a tag of its own: another text has another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tiltyard_jobs.contracts.conversation import Turns
from tiltyard_jobs.contracts.recipes import AnswerRecipe, GradeRecipe, JudgeRecipe, MineRecipe
from tiltyard_jobs.contracts.solo_tasks import ReadableFile, ShownPrompt
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.llm.template import prefix_from_template
from tiltyard_jobs.prompts.answer import answer_messages
from tiltyard_jobs.prompts.grade import grade_messages
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.shard.context import ShowPromptsContext
from tiltyard_jobs.tokenizers import chat_template_of
from tiltyard_jobs.usertexts import Pick, read_texts

INSTRUCTION, FIRST, SECOND = "[the instruction]", "[the first answer]", "[the second answer]"
FROM_TEMPLATE = (
    "The model's own chat template up to where the user's words would begin, as its server renders it once it is up."
)

FROM_TOKENIZER = "The chat template of the tokenizer {} up to where the user's words would begin."


async def show_prompts(context: ShowPromptsContext) -> Summary:
    """Write the prompts to the task's file."""
    task = context.task
    attackers = {asked.about for asked in task.asked if asked.about is not None}
    first = {} if task.given is None else await asyncio.to_thread(first_given, task.given, task.store, attackers)
    shown = []
    for asked in task.asked:
        if type(asked.recipe) in PROMPTS:
            about = first.get(asked.about or "", Instruction(INSTRUCTION))
            prompt = PROMPTS[type(asked.recipe)](asked.recipe, about)
            shown.append(ShownPrompt(stage=asked.recipe.stage, model=asked.model, about=asked.about, **prompt))
    document = orjson.dumps([prompt.model_dump(mode="json", by_alias=True) for prompt in shown])
    await asyncio.to_thread(Path(task.file).write_bytes, document)
    return Summary(exit_code=0)


class Instruction(NamedTuple):
    """What is asked, and the turns before it."""

    text: str
    history: Turns = ()


def first_given(file: ReadableFile, store: StoreRef, attackers: Collection[str]) -> dict[str, Instruction]:
    """The first instruction of each attacker: of its own, where a column names it, else the first of all."""
    texts = read_texts(
        file.uri,
        file.column,
        store,
        files=file.files,
        on_bad_row="Skip",
        pick=Pick(file.limit, file.sample),
        also=file.also,
        template=file.template,
        messages=file.messages,
        system=file.system,
    )
    found: dict[str, Instruction] = {}
    for given in texts.given():
        for name in attackers if given.beside is None else {given.beside}:
            found.setdefault(name, Instruction(given.text, given.history))
        if len(found) >= len(attackers):
            break
    return found


def _mine(recipe: MineRecipe, _: Instruction) -> dict[str, Any]:
    if recipe.prefix is not None:
        return {"text": recipe.prefix}
    system, tokenizer = recipe.systems[0], recipe.tokenizer
    if tokenizer is not None and tokenizer.uri.startswith("file://"):
        return {"text": prefix_from_template(chat_template_of(tokenizer, Path()), system=system).text}
    note = FROM_TEMPLATE if tokenizer is None else FROM_TOKENIZER.format(tokenizer.uri)
    return {"note": note, "messages": [] if system is None else [{"role": "system", "content": system}]}


def _grade(recipe: GradeRecipe, asked: Instruction) -> dict[str, Any]:
    return {"messages": grade_messages(asked.text, recipe.instructions.key, recipe.criteria, asked.history)}


def _answer(recipe: AnswerRecipe, asked: Instruction) -> dict[str, Any]:
    return {"messages": answer_messages(asked.text, recipe.system, asked.history)}


def _judge(recipe: JudgeRecipe, asked: Instruction) -> dict[str, Any]:
    return {"messages": JudgePrompt.of(recipe).messages(asked.text, FIRST, SECOND, history=asked.history)}


PROMPTS: Mapping[type, Callable[[Any, Instruction], dict[str, Any]]] = {
    MineRecipe: _mine,
    GradeRecipe: _grade,
    AnswerRecipe: _answer,
    JudgeRecipe: _judge,
}
"""By the recipe whose stage asks: the members of `ShownPrompt` that say what."""
