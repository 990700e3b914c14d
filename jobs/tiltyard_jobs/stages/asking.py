"""What the stages that ask a model have in common: a record in, a row out, a sealed part at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pyarrow as pa

from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe
from tiltyard_jobs.errors import ConfigurationError, VoidReason
from tiltyard_jobs.llm.client import ModelClient
from tiltyard_jobs.shard.artifacts import Artifacts
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.finish import finish_parts
from tiltyard_jobs.shard.loop import WorkItem, run_records

T = TypeVar("T")

# The endpoint's doing, whatever the record: more of these than `spec.jobs.maxVoidFraction` fails the shard.
SERVER_FAILURES = frozenset(
    {VoidReason.UNAVAILABLE, VoidReason.KILLED_SERVER, VoidReason.REFUSED_BY_SERVER, VoidReason.MALFORMED}
)


def rows_of_part(artifacts: Artifacts, source: ArtifactRef, shard: int, size: int) -> range:
    """The rows of `source` that part `shard` is about; none where the source ends before it."""
    total = sum(seal.rows for seal in artifacts.require(source))
    return range(min(shard * size, total), min((shard + 1) * size, total))


@asynccontextmanager
async def model_of(context: ShardContext[Recipe]) -> AsyncIterator[ModelClient]:
    """A client of the bundle's model; what is wrong with its endpoint is said under the manifest's field."""
    try:
        async with context.connect() as client:
            yield client
    except ConfigurationError as error:
        raise error.under(context.field) from error


async def ask_all(
    context: ShardContext[Recipe],
    items: Iterator[WorkItem[T]],
    ask: Callable[[T], Awaitable[dict[str, Any]]],
    void: Callable[[T, VoidReason, str], dict[str, Any]],
    *,
    schema: pa.Schema,
    rows: Sequence[int],
    failing: frozenset[VoidReason] = SERVER_FAILURES,
) -> Outcome:
    """Make all rows of the index's parts and seal them.

    Args:
        context: the shard.
        items: what to ask, in the order in which it should be sent.
        ask: makes a row, or raises RecordVoidError.
        void: the row that stands for a record that could not be made.
        schema: of the parts' tables.
        rows: rows of each part.
        failing: reasons that count against `spec.jobs.maxVoidFraction`.
    """
    assert context.task.endpoint is not None
    total = sum(rows)
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
            max_failures=context.max_failures(total),
            failing=failing,
        )
        return Outcome.of(await finish_parts(context, journal, schema=schema, rows=rows))
    finally:
        journal.close()
