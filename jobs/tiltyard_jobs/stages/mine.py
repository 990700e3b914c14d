"""Mining: a model completes its own chat template up to where the user's words would begin (paper, section 3.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tiltyard_jobs.contracts.recipes import MineRecipe
from tiltyard_jobs.errors import RecordVoidError, VoidReason
from tiltyard_jobs.records import instruction_id, seed_of
from tiltyard_jobs.results.stage_tables import INSTRUCTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.stages.asking import ask_all, model_of
from tiltyard_jobs.stages.authors import NO_INSTRUCTION, SmokeCheck, ask_instruction, prefixes_of


async def mine(context: ShardContext[MineRecipe]) -> Outcome:
    """Make one part of `mined[a]`."""
    recipe, shard = context.recipe, context.shard
    key = recipe.ref.key
    start = shard * recipe.shard_size
    rows = min(recipe.rows, start + recipe.shard_size) - start

    async with model_of(context) as client:
        prefixes = await unless_stopped(prefixes_of(client, recipe, context.work_dir / "tokenizer"), context.stop)
        if not all(prefix.stop for prefix in prefixes):
            context.log.warning("instructions end only where the model ends its text: give chatTemplateStops")
        digests = [hashlib.sha256(prefix.text.encode()).hexdigest() for prefix in prefixes]
        smoke = SmokeCheck(context.field, given=recipe.prefix is not None)

        def blank(row: int) -> dict[str, Any]:
            setting, system = recipe.turn(row)
            return {
                "instruction_id": instruction_id(key, row),
                "attacker_id": recipe.model.id,
                "temperature": float(setting.temperature),
                "top_p": float(setting.top_p),
                "prefix_sha256": digests[system],
            }

        async def ask(row: int) -> dict[str, Any]:
            setting, system = recipe.turn(row)
            try:
                written = await ask_instruction(client, prefixes[system], setting, seed_of(recipe.seed, key, row))
            except RecordVoidError as error:
                if error.reason in NO_INSTRUCTION:
                    smoke.see("")
                raise
            smoke.see(written.text)
            return blank(row) | {
                "instruction": written.text,
                "finish_reason": written.finish_reason,
                "prompt_tokens": written.usage.prompt_tokens,
                "completion_tokens": written.usage.completion_tokens,
            }

        def void(row: int, reason: VoidReason, detail: str) -> dict[str, Any]:
            return blank(row) | {"void": str(reason), "detail": detail}

        items: Iterator[WorkItem[int]] = (WorkItem(0, row, start + row) for row in range(rows))
        documents = {"prefixes": _as_json([prefix.document() for prefix in prefixes])}
        return await ask_all(context, items, ask, void, schema=INSTRUCTIONS, rows=(rows,), documents=documents)


def _as_json(document: object) -> bytes:
    """To be read by people."""
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
