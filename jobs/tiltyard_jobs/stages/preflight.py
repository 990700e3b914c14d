"""Preflight: what can be known to fail is found before any model starts, and what exists is not made again.

It is the first process of a run and, on a cluster, the one that holds the tenant's credentials so that the operator
needs none. All problems are told at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tiltyard_jobs.contracts.recipes import FILE_COLUMN, ProbeRecipe, TokenizerRecipe, TrainRecipe
from tiltyard_jobs.contracts.solo_tasks import ModelFolder, PreflightTask, ReadableAnswers, ReadableFile
from tiltyard_jobs.contracts.summary import Summary, pack_bits
from tiltyard_jobs.contracts.tasks import StoreRef
from tiltyard_jobs.contracts.weights import NamedWeights
from tiltyard_jobs.errors import ConfigurationError, JobError, TransientError
from tiltyard_jobs.evaluation.known_texts import load_known
from tiltyard_jobs.evaluation.lm_tasks import FIELD, Harness
from tiltyard_jobs.evaluation.tasks import load_tasks
from tiltyard_jobs.labelledpairs import read_pairs
from tiltyard_jobs.llm.chat_template import TEKKEN_FILE, load_chat_template
from tiltyard_jobs.llm.template import prefix_from_template
from tiltyard_jobs.packages import missing_embedder
from tiltyard_jobs.results.run_folder import outputs_of
from tiltyard_jobs.results.run_tables import DATASET_TABLES
from tiltyard_jobs.results.used_line import reasons
from tiltyard_jobs.sandbox.confine import ConfinementError
from tiltyard_jobs.sandbox.host import Limits, run_program
from tiltyard_jobs.shard.context import PreflightContext
from tiltyard_jobs.sim.parameters import parse_sim_uri
from tiltyard_jobs.stages.embedding import METHOD
from tiltyard_jobs.stages.endpoints import check_endpoint
from tiltyard_jobs.stages.existing import existing_parts
from tiltyard_jobs.stages.finished import finished_run
from tiltyard_jobs.tokenizers import chat_template_of
from tiltyard_jobs.useranswers import Asked, check_answers
from tiltyard_jobs.usertexts import Pick, check_texts, read_texts
from tiltyard_jobs.weights.hub import HubModel

HUB_SECONDS = 10.0  # for what is only good to know

Check = tuple[str, Callable[[], object]]
"""The manifest's field, and what raises where it is wrong."""


@dataclasses.dataclass(slots=True)
class Seen:
    """What preflight tells of the user's files.

    Attributes:
        lines: about the given instructions, each file of answers, and labelled pairs.
        longest_given: as in `Summary`.
    """

    lines: list[str] = dataclasses.field(default_factory=list)
    longest_given: int = 0


async def preflight(context: PreflightContext) -> Summary:
    """Check the world.

    Raises:
        ConfigurationError: with a line for each thing that is wrong.
    """
    task, seen = context.task, Seen()
    problems, (sizes, refused) = await asyncio.gather(
        find_problems(context, seen), asyncio.to_thread(sizes_of, task.weights)
    )
    if problems:
        raise ConfigurationError("\n".join(problems))
    context.warnings.extend(refused)
    context.progress.step("Artifacts")
    done, lost = await asyncio.to_thread(existing_parts, context.store, task.artifacts)
    context.warnings.extend(lost)
    bits = [part in done[ref.key] for ref in task.artifacts for part in range(ref.shards)]
    context.log.info("preflight passed", parts=len(bits), exist=sum(bits))
    result = Summary(
        exit_code=0,
        done=pack_bits(bits),
        instructions="; ".join(seen.lines),
        longest_given=seen.longest_given,
        weights=sizes,
    )
    # A judge is not tried where all that waits for that existed already.
    is_complete = all(len(done[ref.key]) == ref.shards for ref in task.artifacts if ref.stage != ProbeRecipe.STAGE)
    finished = await asyncio.to_thread(finished_run, context.store, task.run) if is_complete else None
    if finished is None:
        return result
    trained = next((ref for ref in task.artifacts if ref.stage == TrainRecipe.STAGE), None)
    outputs = outputs_of(context.store, task.run, trained)
    manifest = finished.manifest
    told = {"leaderboard": manifest.leaderboard, "notes": manifest.notes, "instructions": manifest.instructions}
    return result.model_copy(update=told | {"outputs": outputs})


def sizes_of(weights: Collection[NamedWeights]) -> tuple[dict[str, int], list[str]]:
    """Bytes by model as the hub says, and what it refuses. A hub that cannot be reached says nothing."""
    if not weights:
        return {}, []

    def size_of(one: NamedWeights) -> int | str | None:
        token = os.environ.get(one.token_env) if one.token_env is not None else None
        model = HubModel(one.uri.removeprefix("hf://"), one.revision, one.mirror, token)
        try:
            return model.listing(tries=1, timeout=HUB_SECONDS).size
        except ConfigurationError as error:
            return str(error.under(one.field))
        except TransientError:
            return None

    with ThreadPoolExecutor(len(weights)) as pool:
        found = dict(zip((one.name for one in weights), pool.map(size_of, weights), strict=True))
    sizes = {name: size for name, size in found.items() if isinstance(size, int)}
    return sizes, [words for words in found.values() if isinstance(words, str)]


async def find_problems(context: PreflightContext, seen: Seen) -> list[str]:
    """A sentence for each thing that is wrong; the given instructions first, the longest of which a judge must hold.

    Args:
        context: of the preflight.
        seen: gets what there is to tell of the user's files.
    """
    task = context.task
    given = [(file.field, partial(check_file, file, task.store, seen)) for file in task.files if file.instructions]
    checks = list(local_checks(task, seen))
    # An endpoint or a bucket whose secret is missing is told of once, by the check of the secret.
    missing = {variable for variable in task.secrets.values() if not os.environ.get(variable)}
    if task.check_store and not any(field.startswith("spec.output.") for field in _fields_of(task, missing)):
        checks.insert(0, ("spec.output", context.store.check))
    able = [named for named in task.endpoints if not named.endpoint.variables & missing]
    problems = await _problems_of(context, given)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(check_endpoint(context, named, seen.longest_given)) for named in able]
        problems += await _problems_of(context, checks)
        if able:
            context.progress.step("Endpoints")
    problems += [sentence for one in asking if (sentence := one.result())]
    if task.lm_eval:
        context.progress.step("Benchmarks")
    return problems + await lm_eval_problems(task)


async def _problems_of(context: PreflightContext, checks: Iterable[Check]) -> list[str]:
    problems = []
    for field, check in checks:
        context.progress.step("Store" if check == context.store.check else "Files")
        if (error := await asyncio.to_thread(_error_of, check)) is not None:
            problems.append(str(error.under(field)))
    return problems


def _fields_of(task: PreflightTask, variables: Collection[str]) -> list[str]:
    return [field for field, variable in task.secrets.items() if variable in variables]


def _error_of(check: Callable[[], object]) -> JobError | None:
    try:
        check()
    except (ConfigurationError, TransientError) as error:
        return error
    return None


def local_checks(task: PreflightTask, seen: Seen) -> Iterator[Check]:
    """What can be seen without asking a model, but for the given instructions; the cheapest checks first."""
    for field, variable in task.secrets.items():
        yield field, partial(check_secret, variable, task.secret_places.get(variable))
    for folder in task.folders:
        yield folder.field, partial(check_folder, folder, systems_of(task) if folder.needs_template else ())
    for named in task.tokenizers:
        yield named.field, partial(check_tokenizer, named.tokenizer, systems_of(task))
    for model in task.simulated:
        yield model.field, partial(parse_sim_uri, model.uri)
    for file in task.files:
        if not file.instructions:
            yield file.field, partial(check_file, file, task.store, seen)
    for answers in task.answers:
        yield answers.field, partial(check_existing, answers, task, seen)
    if task.needs_embeddings:
        yield METHOD, check_embedder
    for name in task.benchmarks:
        yield "spec.curation.decontaminate", partial(load_known, name)
    for tasks in task.task_sets:
        yield "spec.evaluation.benchmarks", partial(load_tasks, tasks, task.store)
    if task.task_sets:
        yield "spec.evaluation", check_sandbox


async def lm_eval_problems(task: PreflightTask) -> list[str]:
    """What is wrong with tasks of lm-evaluation-harness; their data is fetched for it."""
    if not task.lm_eval:
        return []
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as folder:
        try:
            return await Harness(task.lm_eval_python, task.store, Path(folder)).problems(task.lm_eval)
        except (ConfigurationError, TransientError) as error:
            return [str(error.under(FIELD))]


def check_file(file: ReadableFile, store: StoreRef, seen: Seen) -> None:
    """A file can be read; what is in it is told where it holds the instructions, or labelled pairs."""
    if file.pairs is not None:
        seen.lines.append(f"calibration: {read_pairs(file.pairs, store)}")
        return
    found = check_texts(file.uri, file.column, store, names=file.names, **_read_as(file))
    taken = {name for schema in DATASET_TABLES.values() for name in schema.names}
    taken |= {"source_row", "source_id", "source_uri", "source_sha256", "source_license", FILE_COLUMN, "thought"}
    if mine := [name for name in file.keep if name in taken]:
        raise ConfigurationError(
            f"{file.field}.keep: {mine[0]!r} is a column that the tables have already; rename it in the file"
        )
    if file.instructions:
        repeats = reasons({"Repeat": found.repeats})
        source = file.template or file.messages or file.column
        bad = f"bad ({found.bad_places})"
        passed = reasons({bad: found.bad, "blank": found.blank, f"without {source!r}": found.missing})
        line = f"{found.texts} given" + (f": {repeats}" if repeats else "")
        seen.longest_given = found.longest
        seen.lines.append("; ".join([line, *([f"skipped: {passed}"] if passed else []), *found.notes]))


def check_embedder() -> None:
    """What embeds instructions is installed; it is not imported here, which takes seconds."""
    if find_spec("sentence_transformers") is None:
        raise missing_embedder("it")


def _read_as(file: ReadableFile) -> dict[str, Any]:
    """How a file's texts are read."""
    return {
        "sha256": file.sha256,
        "files": file.files,
        "pick": Pick(file.limit, file.sample),
        "also": file.also,
        "template": file.template,
        "messages": file.messages,
        "system": file.system,
        "on_bad_row": file.on_bad_row,
        "id": file.id,
        "keep": file.keep,
    }


def check_existing(answers: ReadableAnswers, task: PreflightTask, seen: Seen) -> None:
    """A competitor's answers are there, to as many of the instructions as must be."""
    file = next(one for one in task.files if one.instructions)
    try:
        texts = read_texts(file.uri, file.column, task.store, **_read_as(file))
        found = any([True for _ in texts.given()])
    except (ConfigurationError, TransientError):
        return  # the check of that file tells
    if found:
        asked = lambda: (Asked(given.id, given.text) for given in texts.given())  # noqa: E731
        seen.lines.append(check_answers(answers.name, answers.model, asked, task.store, task.limits))


def check_sandbox() -> None:
    """Programs of models can be held back here; on a cluster that is this node, and the others are mostly alike."""
    try:
        asyncio.run(run_program("pass", Limits()))
    except ConfinementError as error:
        raise ConfigurationError(f"code that models wrote cannot be run here: {error}") from None


def check_secret(variable: str, place: str | None) -> None:
    """A secret is where the worker will look for it."""
    if not os.environ.get(variable):
        advice = f"create {place}" if place else f"set the environment variable {variable}"
        raise ConfigurationError(f"the secret does not exist: {advice}")


def systems_of(task: PreflightTask) -> tuple[str | None, ...]:
    """The system messages with which a template must give a prefix; None: without one."""
    return task.system_prompts or (None,)


def check_folder(model: ModelFolder, systems: Iterable[str | None]) -> None:
    """A model is on this machine; where it mines, with a chat template that gives a prefix with each of `systems`."""
    folder = Path(model.path)
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder on this machine")
    if model.chat_template is None and (folder / TEKKEN_FILE).is_file():
        return  # its tokenizer has the template in its code: the server tells the prefix
    for system in systems:
        prefix_from_template(load_chat_template(folder, model.chat_template), system=system)


def check_tokenizer(tokenizer: TokenizerRecipe, systems: Iterable[str | None]) -> None:
    """A tokenizer that the manifest names is there, and its chat template gives a prefix with each of `systems`."""
    with tempfile.TemporaryDirectory(prefix="tiltyard-") as scratch:
        template = chat_template_of(tokenizer, Path(scratch))
    for system in systems:
        prefix_from_template(template, system=system)
