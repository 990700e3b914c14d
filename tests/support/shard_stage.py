"""A stage without a model, for tests of what all stages run on; `python -m support.shard_stage` runs it as a worker.

It answers each row by a rule, after `FAKE_DELAY` seconds, and appends `key row` to the file `FAKE_ASKED` each time it
is asked, so that a test can count what was asked twice. `FAKE_FAULT` names a fault to raise at row 3 of part 0.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tiltyard_jobs.contracts.identity import ModelIdentity
from tiltyard_jobs.contracts.recipe import ArtifactRef, Recipe
from tiltyard_jobs.contracts.recipes import AnswerRecipe, SamplingRecipe
from tiltyard_jobs.contracts.summary import Summary
from tiltyard_jobs.contracts.tasks import BundleTask, Part, StoreRef
from tiltyard_jobs.errors import ConfigurationError, PermanentError, RecordVoidError, TransientError, VoidReason
from tiltyard_jobs.llm.usage import Usage
from tiltyard_jobs.results.stage_tables import ANSWERS
from tiltyard_jobs.shard.context import Outcome, PreflightContext, ShardContext
from tiltyard_jobs.shard.entry import main
from tiltyard_jobs.shard.finish import finish_parts
from tiltyard_jobs.shard.loop import WorkItem, run_records
from tiltyard_jobs.shard.worker import StageFunction

FAILING = frozenset({VoidReason.UNAVAILABLE, VoidReason.MALFORMED})

FAULTS: dict[str, BaseException] = {
    "transient": TransientError("the endpoint is away"),
    "permanent": PermanentError("the input is corrupt"),
    "configuration": ConfigurationError("spec.competitors[0].endpoint: refused"),
    "bug": ValueError("a secret prompt"),
}


class Ask(NamedTuple):
    part: int
    row: int


def recipe(seed: int = 0, *, rows: int = 40, shard_size: int = 1000) -> AnswerRecipe:
    return AnswerRecipe(
        model=ModelIdentity(uri="sim://fake"),
        instructions=ArtifactRef(stage="curate", key="0" * 32),
        sampling=SamplingRecipe(temperature=Decimal(0), top_p=Decimal(1), max_tokens=16),
        rows=rows,
        seed=seed,
        shard_size=shard_size,
    )


def bundle(store: Path, recipes: tuple[AnswerRecipe, ...]) -> BundleTask:
    """One index for each shard, over all recipes."""
    return BundleTask(
        stage="answer",
        tournament="test",
        bundle="answer/fake",
        store=StoreRef(uri=store.as_uri()),
        recipes=recipes,
        indices=tuple(
            tuple(Part(recipe=position, shard=shard) for position in range(len(recipes)))
            for shard in range(recipes[0].shards)
        ),
    )


def reply(row: int) -> dict[str, Any]:
    """What the model would say: now and then something that no table likes."""
    if row % 50 == 7:
        raise RecordVoidError(VoidReason.UNDECIDED, "neither")
    return {
        "instruction_id": f"{row:020x}",
        "model_id": "fake",
        "answer": f"reply {row} \ud800" if row % 10 == 3 else f"reply {row}",
        "finish_reason": "stop",
        "prompt_tokens": row,
        "completion_tokens": 2 * row,
    }


def part_rows(made: AnswerRecipe, shard: int) -> int:
    return max(0, min(made.rows - shard * made.shard_size, made.shard_size))


async def answer(context: ShardContext[Recipe]) -> Outcome:
    delay = float(os.environ.get("FAKE_DELAY", "0"))
    fault = FAULTS.get(os.environ.get("FAKE_FAULT", ""))
    asked = os.open(os.environ["FAKE_ASKED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    counts = [part_rows(made, shard) for made, shard in context.parts if isinstance(made, AnswerRecipe)]

    async def ask(item: Ask) -> dict[str, Any]:
        made, _ = context.parts[item.part]
        os.write(asked, f"{made.ref.key} {item.row}\n".encode())
        await asyncio.sleep(delay)
        context.meter.add(Usage(requests=1, prompt_tokens=item.row), 0.0)
        if fault is not None and item == (0, 3):
            raise fault
        return reply(item.row)

    def void(item: Ask, reason: VoidReason, detail: str) -> dict[str, Any]:
        return {"instruction_id": f"{item.row:020x}", "model_id": "fake", "void": str(reason), "detail": detail}

    def items() -> Iterator[WorkItem[Ask]]:
        for row in range(max(counts)):
            for part, count in enumerate(counts):
                if row < count:
                    yield WorkItem(part, row, Ask(part, row))

    with await asyncio.to_thread(context.open_journal) as journal:
        await run_records(
            items(),
            ask,
            void,
            journal=journal,
            total=sum(counts),
            concurrency=4,
            stop=context.stop,
            progress=context.progress,
            max_failures=context.task.limits.max_failures(sum(counts)),
            failing=FAILING,
            export_records=10,
        )
        return Outcome.of(await finish_parts(context, journal, schema=ANSWERS, rows=counts))


async def preflight(context: PreflightContext) -> Summary:
    context.store.check()
    return Summary(exit_code=0, done="bits")


STAGES: dict[str, StageFunction] = {"answer": answer, "preflight": preflight}

if __name__ == "__main__":
    sys.exit(main(stage_of=STAGES.__getitem__))
