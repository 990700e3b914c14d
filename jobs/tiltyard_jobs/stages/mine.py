"""Mining: a model completes its own chat template up to where the user's words would begin (paper, section 3.2)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from tiltyard_jobs.contracts.recipes import MineRecipe
from tiltyard_jobs.curation.lint import lint
from tiltyard_jobs.curation.mined import clean
from tiltyard_jobs.curation.text import normalise
from tiltyard_jobs.errors import ConfigurationError, RecordVoidError, VoidReason
from tiltyard_jobs.llm.chat_template import ChatTemplate
from tiltyard_jobs.llm.client import ModelClient, Sampling
from tiltyard_jobs.llm.template import PromptPrefix, find_prefix
from tiltyard_jobs.records import instruction_id, seed_of
from tiltyard_jobs.results.stage_tables import INSTRUCTIONS
from tiltyard_jobs.shard.context import Outcome, ShardContext
from tiltyard_jobs.shard.loop import WorkItem
from tiltyard_jobs.shard.stopping import unless_stopped
from tiltyard_jobs.stages.asking import ask_all, model_of
from tiltyard_jobs.tokenizers import chat_template_of

SMOKE_ROWS = 16
NO_INSTRUCTION = frozenset(
    {VoidReason.EMPTY, VoidReason.NO_ANSWER, VoidReason.THOUGHT_UNFINISHED, VoidReason.TRUNCATED}
)


class SmokeCheck:
    """Fails a stage early when a template gives garbage: not one of the first completions passes the linter.

    Args:
        field: the manifest's field of the model, for the message.
        given: whether the prefix is the manifest's own.
    """

    def __init__(self, field: str, *, given: bool = False) -> None:
        self._field = field
        self._given = given
        self._issues: Counter[str] = Counter()
        self._passed = False

    def see(self, text: str) -> None:
        """Look at one completion.

        Raises:
            ConfigurationError: `SMOKE_ROWS` completions were seen and none is an instruction.
        """
        if self._passed:
            return
        issue = lint(clean(text).text)
        if issue is None:
            self._passed = True
            return
        self._issues[str(issue)] += 1
        if self._issues.total() >= SMOKE_ROWS:
            seen = ", ".join(f"{name} {count}" for name, count in sorted(self._issues.items()))
            first = f"{self._field}.chatTemplatePrefix: none of the first {SMOKE_ROWS} completions of"
            if self._given:
                raise ConfigurationError(
                    f"{first} the given prefix is an instruction ({seen}): give the one that this model was trained"
                    " with, up to where the user's words begin, and in chatTemplateStops what follows them"
                )
            raise ConfigurationError(
                f"{first} the template's prefix is an instruction ({seen}): give the prefix that this model was trained"
                " with, up to where the user's words begin"
            )


async def mine(context: ShardContext[MineRecipe]) -> Outcome:
    """Make one part of `mined[a]`."""
    recipe, shard = context.recipe, context.shard
    key = recipe.ref.key
    start = shard * recipe.shard_size
    rows = min(recipe.rows, start + recipe.shard_size) - start

    template = None
    if recipe.tokenizer is not None:
        template = await asyncio.to_thread(chat_template_of, recipe.tokenizer, context.work_dir / "tokenizer")
    async with model_of(context) as client:
        # The day is looked for in what the server renders; none is written into the artifact.
        today = datetime.now(UTC).date()
        finding = (prefix_of(client, recipe, template, system, today) for system in recipe.systems)
        prefixes = [await unless_stopped(prefix, context.stop) for prefix in finding]
        if not all(prefix.stop for prefix in prefixes):
            context.log.warning("instructions end only where the model ends its text: give chatTemplateStops")
        digests = [hashlib.sha256(prefix.text.encode()).hexdigest() for prefix in prefixes]
        smoke = SmokeCheck(context.field.removesuffix(".endpoint"), given=recipe.prefix is not None)

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
            prefix = prefixes[system]
            try:
                reply = await client.complete(
                    prefix.text if prefix.token_ids is None else list(prefix.token_ids),
                    sampling=Sampling(float(setting.temperature), float(setting.top_p), setting.max_tokens),
                    seed=seed_of(recipe.seed, key, row),
                    stop=prefix.stop,
                    stop_token_ids=prefix.stop_token_ids,
                    preserved_tokens=prefix.preserved_tokens,
                )
                # A server may know the stops and still show them, or know only its own end of sequence.
                cut = prefix.cut(reply.answer)
                text = normalise(reply.answer if cut is None else cut)
                if not text:
                    raise RecordVoidError(VoidReason.EMPTY)
            except RecordVoidError as error:
                if error.reason in NO_INSTRUCTION:
                    smoke.see("")
                raise
            smoke.see(text)
            return blank(row) | {
                "instruction": text,
                "finish_reason": reply.finish_reason if cut is None else "stop",
                "prompt_tokens": reply.usage.prompt_tokens,
                "completion_tokens": reply.usage.completion_tokens,
            }

        def void(row: int, reason: VoidReason, detail: str) -> dict[str, Any]:
            return blank(row) | {"void": str(reason), "detail": detail}

        items: Iterator[WorkItem[int]] = (WorkItem(0, row, start + row) for row in range(rows))
        documents = {"prefixes": _as_json([prefix.document() for prefix in prefixes])}
        return await ask_all(context, items, ask, void, schema=INSTRUCTIONS, rows=(rows,), documents=documents)


def _as_json(document: object) -> bytes:
    """To be read by people."""
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


async def prefix_of(
    client: ModelClient, recipe: MineRecipe, template: ChatTemplate | None, system: str | None, today: date
) -> PromptPrefix:
    """Where the user's words begin and end; as `find_prefix`, which a server may also answer with nonsense."""
    try:
        return await find_prefix(
            client, explicit=recipe.prefix, stops=recipe.stops, template=template, system=system, today=today
        )
    except RecordVoidError as error:
        raise ConfigurationError(
            f"{client.url} does not provide the chat template of model {client.model!r} ({error}):"
            " name the model's tokenizer, or give chatTemplatePrefix"
        ) from error
