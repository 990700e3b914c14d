"""Instructions from files of the user's, instead of mined ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

from tiltyard_jobs.contracts.recipes import FILE_COLUMN, PromptsRecipe
from tiltyard_jobs.errors import ConfigurationError
from tiltyard_jobs.records import instruction_id
from tiltyard_jobs.results.stage_tables import INSTRUCTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.tables import TableWriter
from tiltyard_jobs.textrows import GivenText
from tiltyard_jobs.usertexts import Pick, Texts, read_texts

FIELD = "spec.instructions.from"


async def prompts(context: ShardContext[PromptsRecipe]) -> Outcome:
    """Make `prompts[a]`: the attacker's share of the file, in the file's order."""
    try:
        return await asyncio.to_thread(_prompts, context)
    except ConfigurationError as error:
        raise error.under(FIELD) from error


def _prompts(context: ShardContext[PromptsRecipe]) -> Outcome:
    recipe, shard = context.recipe, context.shard
    path = context.work_dir / "rows.parquet"
    with TableWriter(path, INSTRUCTIONS) as table:
        rows = 0
        texts = texts_of(context)
        for given in share_of(context.recipe, texts):
            if rows == recipe.rows:
                raise ConfigurationError(
                    f"{FIELD}.perCompetitor: {texts.place} holds more than {recipe.rows} instructions for"
                    " one competitor; raise it, or shorten the file"
                )
            kept = ({FILE_COLUMN: given.file} if recipe.several else {}) | given.kept
            row = {
                "attacker_id": recipe.attacker_id,
                "instruction": given.text,
                "history": given.history or None,
                "source_row": given.row,
                "source_id": given.id,
                "kept": json.dumps(kept, ensure_ascii=False) if kept else None,
            }
            table.write(row | {"instruction_id": instruction_id(recipe.ref.key, rows)})
            rows += 1
    return Outcome.of([context.artifacts.publish(recipe.ref, shard, {"rows": path}, rows=rows)])


def share_of(recipe: PromptsRecipe, texts: Texts) -> Iterator[GivenText]:
    """The attacker's texts: those that name it, or every `turns`-th one."""
    for number, given in enumerate(texts.given()):
        mine = given.beside == recipe.attacker if recipe.attacker_field else number % recipe.turns == recipe.turn
        if mine:
            yield given


def texts_of(context: ShardContext[PromptsRecipe]) -> Texts:
    """The texts of all attackers."""
    recipe = context.recipe
    return read_texts(
        recipe.uri,
        recipe.field,
        context.task.store,
        sha256=recipe.sha256,
        files=recipe.files,
        pick=Pick(recipe.limit, recipe.sample),
        also=recipe.attacker_field,
        template=recipe.template,
        messages=recipe.messages_field,
        system=recipe.system_field,
        on_bad_row=recipe.on_bad_row,
        id=recipe.id_field,
        keep=recipe.keep,
    )
