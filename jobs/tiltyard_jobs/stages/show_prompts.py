"""The first prompt of each kind that each model would get, word for word: for `tiltyard plan --prompts`.

An instruction that is given in a file on this machine is the first one there. Texts that do not exist yet have a
placeholder, whose fence has a tag of its own: another text has another. A server that runs already is asked for what
only it can tell, by requests that cost no tokens; where it does not tell, a sentence says why.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from tiltyard_jobs.contracts.conversation import Turns
from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipes import (
    AnswerRecipe,
    GradeRecipe,
    JudgeRecipe,
    MineRecipe,
    QuestionSet,
    SolveRecipe,
    TokenizerRecipe,
)
from tiltyard_jobs.contracts.solo_tasks import AskedModel, ModelFolder, ReadableFile, ShownPrompt
from tiltyard_jobs.contracts.stores import scheme_of
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import EndpointRef, StoreRef
from tiltyard_jobs.download import Patience
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, TransientError, quoted
from tiltyard_jobs.evaluation.benchmarks import benchmark
from tiltyard_jobs.evaluation.tasks import load_tasks
from tiltyard_jobs.llm.chat_template import ChatTemplate, is_in_code, load_chat_template
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.llm.endpoint import ModelEndpoint, connect
from tiltyard_jobs.llm.rendering import TEMPLATE_SETTINGS, Messages, Rendered, rendered_by
from tiltyard_jobs.llm.retry import RetryPolicy
from tiltyard_jobs.llm.roles import SystemRole
from tiltyard_jobs.llm.template import prefix_from_template
from tiltyard_jobs.llm.unanswered import silence
from tiltyard_jobs.prompts.answer import answer_messages
from tiltyard_jobs.prompts.grade import grade_messages
from tiltyard_jobs.prompts.judge import JudgePrompt
from tiltyard_jobs.shard.context import ShowPromptsContext
from tiltyard_jobs.sim.tokenizer import prefix as simulated_prefix
from tiltyard_jobs.stages.authors import prefix_of
from tiltyard_jobs.tokenizers import chat_template_of
from tiltyard_jobs.usertexts import Pick, read_texts

INSTRUCTION, FIRST, SECOND = "[the instruction]", "[the first answer]", "[the second answer]"

ASK_SECONDS = 10.0  # for all that a server is asked: it renders, and no model writes
DOWN_SECONDS = 2.0  # of refused connections and failures, until it counts as down
OWN_TEMPLATE = ("--chat-template", "--default-chat-template-kwargs", "--tokenizer")
"""Options of a server that renders otherwise than by the template of its weights alone, or what begins like them."""

ONE_TRY = Patience(tries=1, seconds=5.0)  # of a file on the hub or at https://

Prompt = dict[str, Any]
"""The members of `ShownPrompt` that say what is asked."""

Untold = ConfigurationError | TransientError | RecordVoidError
UNTOLD = (ConfigurationError, TransientError, RecordVoidError)


async def show_prompts(context: ShowPromptsContext) -> Summary:
    """Write the prompts to the task's file."""
    task = context.task
    attackers = {asked.about for asked in task.asked if asked.about is not None}
    first = {} if task.given is None else await asyncio.to_thread(first_given, task.given, task.store, attackers)
    known = [asked for asked in task.asked if type(asked.recipe) in PROMPTS]
    placeholder = Instruction(INSTRUCTION)
    showing = (
        PROMPTS[type(one.recipe)](context, one, one.recipe, first.get(one.about or "", placeholder)) for one in known
    )
    shown = [
        ShownPrompt(stage=asked.recipe.stage, model=asked.model, about=asked.about, **prompt)
        for asked, prompts in zip(known, await asyncio.gather(*showing), strict=True)
        for prompt in prompts
    ]
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


async def _mine(context: ShowPromptsContext, asked: AskedModel, recipe: MineRecipe, _: Instruction) -> list[Prompt]:
    """The prefix with each system message."""
    if recipe.prefix is not None:
        return [{"text": recipe.prefix}]
    try:
        return await _prefixes(context, asked, recipe)
    except UNTOLD as error:
        note = _untold(error, asked.endpoint)
    return [{"messages": _system_message(system), "note": note} for system in recipe.systems]


async def _prefixes(context: ShowPromptsContext, asked: AskedModel, recipe: MineRecipe) -> list[Prompt]:
    systems, uri = recipe.systems, recipe.model.uri
    if recipe.tokenizer is not None:
        settings, note = _settings_of(recipe.model), f"From the chat template of the tokenizer {recipe.tokenizer.uri}."
        template = await asyncio.to_thread(_template_of, recipe.tokenizer)
        return _rendered(template, systems, settings, note)
    if asked.folder is not None:
        folder, own = asked.folder.path, await asyncio.to_thread(_template_in, asked.folder)
        if own is None:
            note = f"The tokenizer in {folder} has its chat template in code: the server provides it once it is up."
            return [{"messages": _system_message(system), "note": note} for system in systems]
        settings, note = {**TEMPLATE_SETTINGS, **_settings_of(recipe.model)}, f"From the chat template of {folder}."
        return _rendered(own, systems, settings, note)
    if asked.endpoint is not None:
        async with _client(context, asked.endpoint) as client:
            today = datetime.now(UTC).date()  # as the first shard does it
            found = [await prefix_of(client, recipe, None, system, today) for system in systems]
        return [{"text": one.text, "note": f"As {client.url} provides it (/{one.source})."} for one in found]
    if uri.startswith("sim://"):
        return [{"text": simulated_prefix(system)} for system in systems]
    return await _prefixes_of_weights(recipe)


async def _prefixes_of_weights(recipe: MineRecipe) -> list[Prompt]:
    """Of a model whose server is not up: by the repository of its weights, as that server reads it."""
    uri, unread = recipe.model.uri, ""
    if (tokenizer := _tokenizer_of(recipe.model)) is not None:
        try:
            template = await asyncio.to_thread(_template_of, tokenizer)
            settings = {**TEMPLATE_SETTINGS, **_settings_of(recipe.model)}
            return _rendered(template, recipe.systems, settings, f"From the chat template of {uri}.")
        except UNTOLD as error:
            unread = f" It could not be read: {_reason(error, None)}."
    note = (
        f"The chat template of {uri} up to where the user's words would begin, as its server provides it once it is"
        f" up.{unread} To see it here, name the model's repository or folder in tokenizer.uri: of that, no weights are"
        " read."
    )
    return [{"messages": _system_message(system), "note": note} for system in recipe.systems]


def _template_in(model: ModelFolder) -> ChatTemplate | None:
    """The template of weights on this machine; None: it is in the tokenizer's code."""
    folder = Path(model.path)
    return None if is_in_code(folder, model.chat_template) else load_chat_template(folder, model.chat_template)


def _tokenizer_of(model: ModelIdentity) -> TokenizerRecipe | None:
    """The tokenizer beside weights on the hub, unless their server renders otherwise."""
    if not model.uri.startswith("hf://") or any(option.startswith(OWN_TEMPLATE) for option in model.options):
        return None
    return TokenizerRecipe(uri=model.uri, revision=model.revision)


def _template_of(tokenizer: TokenizerRecipe) -> ChatTemplate:
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as scratch:
        return chat_template_of(tokenizer, Path(scratch), ONE_TRY)


def _rendered(
    template: ChatTemplate, systems: Iterable[str | None], settings: Mapping[str, Any], note: str
) -> list[Prompt]:
    prefixes = [prefix_from_template(template, system=system, settings=settings) for system in systems]
    return [{"text": prefix.text, "note": note} for prefix in prefixes]


def _settings_of(model: ModelIdentity) -> Mapping[str, Any]:
    """The variables of the chat template that the manifest sets."""
    settings = json.loads(model.extra_body or "{}").get("chat_template_kwargs")
    return settings if isinstance(settings, dict) else {}


def _system_message(system: str | None) -> list[dict[str, str]]:
    return [] if system is None else [{"role": "system", "content": system}]


async def _grade(
    context: ShowPromptsContext, asked: AskedModel, recipe: GradeRecipe, about: Instruction
) -> list[Prompt]:
    messages = grade_messages(about.text, recipe.instructions.key, recipe.criteria, about.history)
    return await _chat(context, asked, messages)


async def _answer(
    context: ShowPromptsContext, asked: AskedModel, recipe: AnswerRecipe, about: Instruction
) -> list[Prompt]:
    return await _chat(context, asked, answer_messages(about.text, recipe.system, about.history))


async def _judge(
    context: ShowPromptsContext, asked: AskedModel, recipe: JudgeRecipe, about: Instruction
) -> list[Prompt]:
    return await _chat(
        context, asked, JudgePrompt.of(recipe).messages(about.text, FIRST, SECOND, history=about.history)
    )


async def _solve(context: ShowPromptsContext, asked: AskedModel, recipe: SolveRecipe, _: Instruction) -> list[Prompt]:
    """The first task of a benchmark."""
    if isinstance(recipe.tasks, QuestionSet):
        return [{"note": f"Not shown: lm-evaluation-harness words the questions of {recipe.tasks.name} in a run."}]
    if recipe.tasks.uri is None and benchmark(recipe.tasks.name).installed() is None:
        source = f"a run reads the tasks of {recipe.tasks.name} from the Hugging Face hub"
        return [{"note": f"Not shown: {source}. To see one here, name a file of them in evaluation.files."}]
    if recipe.tasks.uri is not None and scheme_of(recipe.tasks.uri) == "s3":
        # Whoever runs it has the bucket's credentials, and perhaps nobody here.
        source = f"{recipe.tasks.uri} is in a bucket, which only a run reads"
        return [{"note": f"Not shown: {source}. To see a task here, name a copy on this machine in evaluation.files."}]
    try:
        first, *_more = await asyncio.to_thread(load_tasks, recipe.tasks, context.task.store, patience=ONE_TRY)
    except UNTOLD as error:
        return [{"note": _untold(error)}]
    if recipe.style == "Completion":
        return [{"text": first.prompt}]
    return await _chat(context, asked, [{"role": "user", "content": first.message()}])


async def _chat(context: ShowPromptsContext, asked: AskedModel, messages: Messages) -> list[Prompt]:
    """Messages as the model takes them: a server that renders tells whether its template has a system role."""
    identity = asked.recipe.asked
    if messages[0]["role"] != "system" or identity is None:
        return [{"messages": messages}]
    if asked.endpoint is None:
        return await _chat_of_weights(asked, identity, messages)
    try:
        async with _client(context, asked.endpoint) as client:
            fitted, found = await client.fitted(messages), client.findings
        if found.system_role is not None:
            return [{"messages": fitted, "note": " ".join(f"{sentence}." for sentence in found.warnings) or None}]
        reason = f"{asked.endpoint.field}: {asked.endpoint.url} does not provide its chat template"
    except UNTOLD as error:
        reason = _reason(error, asked.endpoint)
    return [{"messages": messages, "note": _unknown_role(reason)}]


async def _chat_of_weights(asked: AskedModel, identity: ModelIdentity, messages: Messages) -> list[Prompt]:
    """Messages as the template of weights takes them, whose server is not up: it is found there by rendering too."""
    template: ChatTemplate | None = None
    try:
        if asked.folder is not None:
            template = await asyncio.to_thread(_template_in, asked.folder)
        elif (tokenizer := _tokenizer_of(identity)) is not None:
            template = await asyncio.to_thread(_template_of, tokenizer)
    except UNTOLD as error:
        return [{"messages": messages, "note": _unknown_role(_reason(error, None))}]
    if template is None:
        return [{"messages": messages}]
    settings, warnings = {**TEMPLATE_SETTINGS, **_settings_of(identity)}, list[str]()

    async def render(shown: Messages) -> Rendered:
        return rendered_by(template, shown, settings, "")

    # No server is up that could be asked: rendering alone tells.
    role = SystemRole(f"model {asked.model!r}", render=render, ask=render, warn=warnings.append)
    fitted = await role.fitted(messages)
    if role.found is None:
        return [{"messages": messages, "note": _unknown_role("its chat template refuses any message")}]
    return [{"messages": fitted, "note": " ".join(f"{sentence}." for sentence in warnings) or None}]


def _unknown_role(reason: str) -> str:
    return (
        f"It is not known whether the model takes a system message: {reason}. If it does not, the words are put before"
        " the user's."
    )


@asynccontextmanager
async def _client(context: ShowPromptsContext, ref: EndpointRef) -> AsyncIterator[ModelClient]:
    policy = RetryPolicy(endpoint_deadline=DOWN_SECONDS, max_delay=DOWN_SECONDS / 2)
    connection = connect(ModelEndpoint.of(ref), rng=context.rng, policy=policy, clock=context.clock)
    async with connection as client:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                yield client
        except TimeoutError:
            last = client.last_failure
            raise TransientError(silence(ref.url, ASK_SECONDS, last), last.words if last else "") from None


def _untold(error: Untold, ref: EndpointRef | None = None) -> str:
    """Why a prompt is not shown, and what a run does about it."""
    then = "is refused for this" if isinstance(error, ConfigurationError) else "asks again before anything is paid for"
    return f"Not shown: {_reason(error, ref)}. A run {then}."


def _reason(error: Untold, ref: EndpointRef | None) -> str:
    field = "" if ref is None else ref.field
    match error:
        case ConfigurationError():
            return str(error.under(field))
        case TransientError():
            return f"{error.under(field)}{quoted(error.words)}"
        case RecordVoidError():
            return f"{field}: {error}{error.quoted}"


PROMPTS: Mapping[type, Callable[[ShowPromptsContext, AskedModel, Any, Instruction], Awaitable[list[Prompt]]]] = {
    MineRecipe: _mine,
    GradeRecipe: _grade,
    AnswerRecipe: _answer,
    JudgeRecipe: _judge,
    SolveRecipe: _solve,
}
"""By the recipe whose stage asks."""
