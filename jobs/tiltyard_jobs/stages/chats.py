"""How a verdict, a grade and an answer are asked for: by their stages, and by the probe that goes before them."""

from __future__ import annotations

from tiltyard_jobs.contracts.conversation import Turns
from tiltyard_jobs.contracts.recipes import AnswerRecipe, GradeRecipe, JudgeRecipe
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.reply import ChatReply
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.prompts.answer import answer_messages
from tiltyard_jobs.prompts.grade import ENOUGH_TOKENS, SCHEMA, grade_messages, parse_grade
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.prompts.verdicts import VERDICT_METHODS, Verdict

LENGTH_FIELDS = {
    "mine": "spec.instructions.mine.maxTokens",
    "grade": "spec.curation.difficulty.maxTokens",
    "answer": "spec.battles.answer.maxTokens",
    "judge": "spec.battles.verdict.maxTokens",
    "solve": "spec.evaluation.maxTokens",
}
"""By stage, the field that limits a reply's length, for messages about a model that does not finish within it."""


async def ask_verdict(
    client: ModelClient,
    recipe: JudgeRecipe,
    prompt: JudgePrompt,
    shown: tuple[str, str, str],
    seed: int,
    history: Turns | None = None,
) -> tuple[Verdict, Usage]:
    """A judge's verdict.

    Args:
        client: the judge.
        recipe: how it is asked.
        prompt: of the recipe.
        shown: the instruction, the first answer and the second.
        seed: of the request.
        history: the turns before the instruction.

    Raises:
        RecordVoidError: there is none.
    """
    method = VERDICT_METHODS[recipe.method]
    reply = await client.chat(
        prompt.messages(*shown, history=history),
        sampling=Sampling(temperature=0.0, top_p=1.0, max_tokens=recipe.max_tokens),
        seed=seed,
        json_schema=method.schema,
        top_logprobs=method.top_logprobs,
        enough=method.enough,
    )
    return method.read(reply), reply.usage


async def ask_grade(
    client: ModelClient, recipe: GradeRecipe, instruction: str, seed: int, history: Turns | None = None
) -> tuple[int, Usage]:
    """A grader's grade of an instruction.

    Raises:
        RecordVoidError: there is none.
    """
    reply = await client.chat(
        grade_messages(instruction, recipe.instructions.key, recipe.criteria, history),
        sampling=Sampling(temperature=0.0, top_p=1.0, max_tokens=recipe.max_tokens),
        seed=seed,
        json_schema=SCHEMA,
        enough=ENOUGH_TOKENS,
    )
    return parse_grade(reply.answer), reply.usage


async def ask_answer(
    client: ModelClient, recipe: AnswerRecipe, instruction: str, seed: int, history: Turns | None = None
) -> ChatReply:
    """A competitor's answer to an instruction.

    Raises:
        RecordVoidError: there is none.
    """
    setting = recipe.sampling
    sampling = Sampling(float(setting.temperature), float(setting.top_p), setting.max_tokens)
    return await client.chat(answer_messages(instruction, recipe.system, history), sampling=sampling, seed=seed)
