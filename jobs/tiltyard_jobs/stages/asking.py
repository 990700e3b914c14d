"""What the stages that ask a model have in common: a record in, a row out, a sealed part at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pyarrow as pa

from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe
from tiltyard_jobs.contracts.recipes import MineRecipe, ProbeRecipe
from tiltyard_jobs.errors import (
    ConfigurationError,
    NothingUsableError,
    PermanentError,
    RecordVoidError,
    TooManyVoidsError,
    TransientError,
    VoidReason,
)
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.finish import finish_parts
from tiltyard_jobs.shard.loop import WorkItem, run_records
from tiltyard_jobs.shard.stopping import DRAIN_SECONDS, Stopped, unless_stopped
from tiltyard_jobs.stages.chats import LENGTH_FIELDS
from tiltyard_jobs.stages.findings import is_probed, keep_findings, keep_probed, known_findings
from tiltyard_jobs.stages.probing import NO_FINDING, probe
from tiltyard_jobs.stages.reuse import Reuse, Texts

T = TypeVar("T")

# The endpoint's doing, whatever the record: more of these than `spec.jobs.maxVoidFraction` fails the shard.
SERVER_FAILURES = frozenset(
    {VoidReason.UNAVAILABLE, VoidReason.KILLED_SERVER, VoidReason.REFUSED_BY_SERVER, VoidReason.MALFORMED}
)
NO_OPINION = SERVER_FAILURES | {
    VoidReason.EMPTY,
    VoidReason.TRUNCATED,
    VoidReason.THOUGHT_UNFINISHED,
    VoidReason.NO_ANSWER,
    VoidReason.UNDECIDED,
}
"""Of a judge or a grader, also what was cut, left empty or left undecided."""


def rows_of_part(artifacts: Artifacts, source: ArtifactRef, shard: int, size: int) -> range:
    """The rows of `source` that part `shard` is about; none where the source ends before it."""
    total = sum(seal.rows for seal in artifacts.require(source))
    return range(min(shard * size, total), min((shard + 1) * size, total))


@asynccontextmanager
async def model_of(context: ShardContext[Recipe]) -> AsyncIterator[ModelClient]:
    """A client of the bundle's model; what is wrong with its endpoint is said under the manifest's field.

    How the model is asked is taken from what was found before (`stages.findings`). One that is up only now is probed
    with the task's `probes` by the first index, and by each other that begins before it is known what the first has
    found: no index asks for a record before. One that goes on with a journal is not probed. A stop leaves the probe
    some seconds to be answered, and an answered probe leaves a journal: it is not asked again.
    """
    recipes = context.task.recipes
    try:
        async with context.connect() as client:
            before = await known_findings(context.store, recipes)
            client.recall(before)
            try:
                if await _is_to_probe(context):
                    if await unless_stopped(_probe(context, client), context.stop, patience=DRAIN_SECONDS):
                        await keep_probed(context.store, _asked(context).id, context.task.probes)
                    context.folders[0].journal.touch()
                    found = client.findings
                    await keep_findings(context.store, recipes, found, before)
                    before = found
                    if context.stop.is_set():
                        raise Stopped
                yield client
            finally:
                await keep_findings(context.store, recipes, client.findings, before)
    except ConfigurationError as error:
        raise error.under(context.field) from error


async def _is_to_probe(context: ShardContext[Recipe]) -> bool:
    probes = context.task.probes
    if not probes or any(folder.journal.exists() for folder in context.folders):
        return False
    return context.index == 0 or not await is_probed(context.store, _asked(context).id, probes)


def _asked(context: ShardContext[Recipe]) -> ModelIdentity:
    return next(model for recipe in context.task.recipes if (model := recipe.asked) is not None)


async def _probe(context: ShardContext[Recipe], client: ModelClient) -> bool:
    """Whether the model could be probed."""
    first, shard = context.parts[0]
    task, asker = context.task, f"{first.ref.key}/{shard}"
    try:
        findings = await probe(
            client,
            task.probes,
            field=context.field,
            asker=asker,
            answer_tokens=task.answer_tokens,
            longest_given=task.longest_given,
        )
    except RecordVoidError as error:
        if isinstance(first, ProbeRecipe):  # it passes only what has given verdicts
            raise TransientError(f"{context.field}: {error}{error.quoted}") from error
        # The records will meet the same, and have a journal.
        context.log.warning("the model could not be probed", reason=str(error.reason))
        return False
    for finding in findings:
        warning = f"{context.field}: {finding.sentence}"
        context.log.warning("the model has passed its probe with a warning", finding=str(finding.kind))
        context.warnings.append(warning)
    return True


async def ask_all(
    context: ShardContext[Recipe],
    items: Iterator[WorkItem[T]],
    ask: Callable[[T], Awaitable[dict[str, Any]]],
    void: Callable[[T, VoidReason, str], dict[str, Any]],
    *,
    schema: pa.Schema,
    rows: Sequence[int],
    failing: frozenset[VoidReason] = SERVER_FAILURES,
    documents: Mapping[str, bytes] | None = None,
    texts: Callable[[T], Texts] | None = None,
    again: Callable[[T, dict[str, Any]], dict[str, Any]] | None = None,
) -> Outcome:
    """Make all rows of the index's parts and seal them.

    Of given instructions, a row about the same texts that was made by the same procedure before is taken over.

    Args:
        context: the shard.
        items: what to ask, in the order in which it should be sent.
        ask: makes a row, or raises RecordVoidError.
        void: the row that stands for a record that could not be made.
        schema: of the parts' tables.
        rows: rows of each part.
        failing: reasons that count against `spec.jobs.maxVoidFraction`.
        documents: JSON files that each part gets beside its table, by short name.
        texts: what a record is about.
        again: the row of a record, made of an earlier one about the same texts.
    """
    assert context.task.endpoint is not None
    total, limits = sum(rows), context.task.limits
    reuse: Reuse[T] | None = None
    if context.task.given and texts is not None and again is not None:
        reuse = await asyncio.to_thread(Reuse, context, rows, texts, again)
        items, ask = reuse.noting(items), reuse.before(ask)
    journal = await asyncio.to_thread(context.open_journal)
    try:
        await run_records(
            items,
            ask,
            void,
            journal=journal,
            total=total,
            concurrency=min(context.task.endpoint.max_concurrency, max(1, total)),
            stop=context.stop,
            progress=context.progress,
            max_failures=limits.max_failures(total),
            max_undecided=limits.max_undecided(total),
            failing=failing,
        )
        parts = await finish_parts(context, journal, schema=schema, rows=rows, documents=documents)
        if reuse is not None:
            await asyncio.to_thread(reuse.write, context, parts)
        return Outcome.of(parts)
    except NothingUsableError as error:
        stage = context.task.stage
        # An author's first records are its probe.
        cannot = stage == MineRecipe.STAGE and error.reason not in NO_FINDING
        kind = ConfigurationError if cannot else PermanentError
        raise kind(f"{context.field or stage}: {error}: {_remedy(stage, error.reason)}") from error
    except TooManyVoidsError as error:
        if error.reason in SERVER_FAILURES:
            raise
        raise TooManyVoidsError(error.what, error.reason, _remedy(context.task.stage, error.reason)) from error
    finally:
        journal.close()


def _remedy(stage: str, reason: VoidReason) -> str:
    """What to do about a model whose records are void for this reason."""
    if reason in (VoidReason.UNAVAILABLE, VoidReason.KILLED_SERVER, VoidReason.REFUSED_BY_SERVER):
        return "fix the cause"
    if reason is VoidReason.TRUNCATED:
        return f"raise {LENGTH_FIELDS[stage]}, or use another model"
    if stage == MineRecipe.STAGE:
        return "give the chatTemplatePrefix that this model was trained with, or use another model"
    other = " or another spec.battles.verdict.method" if stage == "judge" else ""
    return f"look at its replies, and use another model{other}"
