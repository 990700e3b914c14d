"""The end of a shard: from its journal to sealed parts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa

from tiltyard_jobs.contracts.layout import Seal
from tiltyard_jobs.contracts.recipe import Recipe
from tiltyard_jobs.shard.context import ShardContext
from tiltyard_jobs.shard.journal import Journal
from tiltyard_jobs.shard.stopping import Stopped
from tiltyard_jobs.shard.tables import GROUP_ROWS, TableWriter


async def finish_parts(
    context: ShardContext[Recipe],
    journal: Journal,
    *,
    schema: pa.Schema,
    rows: Sequence[int],
    documents: Mapping[str, bytes] | None = None,
) -> tuple[Seal, ...]:
    """Write each part's table in row order and seal it. Memory is that of one row group.

    Counts void rows by the `void` column, and tokens by `prompt_tokens` and `completion_tokens` where there are such.

    Args:
        context: the shard.
        journal: holds rows 0 to `rows[i]` - 1 of part i.
        schema: of the tables.
        rows: rows of each part.
        documents: JSON files that each part gets beside its table, by short name.

    Raises:
        Stopped: the shard was asked to stop; the journal is exported, and parts that were sealed stay so.
    """
    seals = []
    for part, count in enumerate(rows):
        seals.append(await asyncio.to_thread(_finish, context, journal, part, count, schema, documents or {}))
    return tuple(seals)


def _finish(
    context: ShardContext[Recipe],
    journal: Journal,
    part: int,
    rows: int,
    schema: pa.Schema,
    documents: Mapping[str, bytes],
) -> Seal:
    (recipe, shard), folder = context.parts[part], context.folders[part]
    voids: Counter[str] = Counter()
    prompt_tokens = completion_tokens = 0
    path = folder.path / "rows.parquet"
    beside = {name: folder.path / f"{name}.json" for name in documents}
    with TableWriter(path, schema) as table:
        for row in range(rows):
            if row % GROUP_ROWS == 0 and context.stop.is_set():
                journal.export()
                raise Stopped
            record = orjson.loads(journal.get(part, row))
            table.write(record)
            if record.get("void") is not None:
                voids[record["void"]] += 1
            prompt_tokens += record.get("prompt_tokens") or 0
            completion_tokens += record.get("completion_tokens") or 0
    for name, document in documents.items():
        beside[name].write_bytes(document)
    seal = context.artifacts.publish(
        recipe.ref,
        shard,
        {"rows": path} | beside,
        rows=rows,
        voids=voids,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )
    journal.discard(part)
    for file in (path, *beside.values()):
        file.unlink()
    return seal
